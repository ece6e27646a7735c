"""The longest cell that other readers of CSV accept is not changed by reading an estate."""

import csv
import io

from tierwise.estates.csv_files import CsvSheet
from tierwise.estates.findings import Findings


def test_long_cells_are_read_and_the_limit_of_the_process_stays() -> None:
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    sheet = CsvSheet("vInfo", lambda: io.BytesIO(f"VM,Annotation\nweb-1,{long}\n".encode()), Findings())
    assert [row for _, row in sheet.rows()][1] == ["web-1", long]
    assert csv.field_size_limit() == before

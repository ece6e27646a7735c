"""Our own columns in Parquet: machine, metric, at, value, unit."""

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.documents import Problem
from chargeback.importers import Importer, ImportOptions
from chargeback.importers._clean import clean_import
from chargeback.samples import COLUMNS, SampleImport, import_arrow, nothing


def recognises(head: bytes) -> bool:
    """By the first four bytes."""
    return head.startswith(b"PAR1")


def read(content: bytes, file: str, options: ImportOptions) -> SampleImport:
    """In bulk where all cells are plain; else row by row, which names what is wrong or unusual."""
    try:
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        message = f"not readable as Parquet: {why}; the file may be cut short, copy it again"
        return nothing([Problem(file, 1, 1, "", "", message)])
    found = None
    if sorted(table.column_names) == sorted(COLUMNS):
        found = clean_import(table.select(COLUMNS), options.expected_interval_s)
    return found or import_arrow(table, file, expected_interval_s=options.expected_interval_s)


IMPORTER = Importer(
    summary="Parquet with the columns machine, metric, at, value, unit", recognises=recognises, read=read
)

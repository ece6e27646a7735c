"""Our own columns in Parquet: machine, metric, at, value, unit."""

from typing import Any

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
        table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read()
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        message = f"not readable as Parquet: {why}; the file may be cut short, copy it again"
        return nothing([Problem(file, 1, 1, "", "", message)])
    table = _with_texts(table)
    found = None
    if sorted(table.column_names) == sorted(COLUMNS):
        found = clean_import(table.select(COLUMNS), options.expected_interval_s)
    return found or import_arrow(table, file, expected_interval_s=options.expected_interval_s)


def _with_texts(table: Any) -> Any:
    """Columns of bytes as the text that they are; some writers do not say which of the two they wrote."""
    for place, field in enumerate(table.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            try:
                table = table.set_column(place, field.name, table[field.name].cast(pa.string()))
            except pa.ArrowInvalid:
                continue  # no UTF-8, so it is refused by its name
    return table


IMPORTER = Importer(
    summary="Parquet with the columns machine, metric, at, value, unit", recognises=recognises, read=read
)

"""Our own CSV: machine, metric, at, value, unit."""

import io
from typing import Any

import pyarrow as pa
from pyarrow import csv

from catalog.documents import Problem
from chargeback.importers import Importer, ImportOptions
from chargeback.importers._clean import clean_import
from chargeback.samples import COLUMNS, SampleImport, import_csv, nothing


def recognises(head: bytes) -> bool:
    """By its header; any text whose first line names some of the columns is ours, to say what is wrong with it."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].lower()
    return b"machine" in first and (b"metric" in first or b"value" in first)


def read(content: bytes, file: str, options: ImportOptions) -> SampleImport:
    """In bulk where all cells are plain; else row by row, which names what is wrong or unusual."""
    table = _texts(content)
    found = None if table is None else clean_import(table, options.expected_interval_s)
    if found is not None:
        return found
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return nothing(
            [Problem(file, 1, 1, "", "", f"not UTF-8 text (byte {error.start}); save it as UTF-8")]
        )
    return import_csv(text, file, expected_interval_s=options.expected_interval_s)


def _texts(content: bytes) -> Any:
    """The cells as text; None where the file is unusual in any way."""
    kinds = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    try:
        table = csv.read_csv(io.BytesIO(content), convert_options=kinds)
    except pa.ArrowInvalid:
        return None
    return table.select(COLUMNS) if sorted(table.column_names) == sorted(COLUMNS) else None


IMPORTER = Importer(
    summary="CSV with the columns machine, metric, at, value, unit", recognises=recognises, read=read
)

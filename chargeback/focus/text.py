"""An Arrow table of FOCUS as CSV text: numbers without useless zeros, moments with ``Z``, nothing for null."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

_BATCH_ROWS = 10_000


def csv_lines(table: Any) -> Iterator[str]:
    """The text in pieces, the header first. Lines end with a line feed."""
    yield _written([table.column_names])
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        columns = [cells(column) for column in batch.columns]
        yield _written(list(zip(*columns, strict=True)))


def cells(column: Any) -> list[str | None]:
    """Each value as FOCUS writes it as text; exactly, also for decimals."""
    if pa.types.is_decimal(column.type):
        return [None if text is None else _short(text) for text in column.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(column.type):
        return [None if at is None else _moment(at) for at in column.to_pylist()]
    return list(column.cast(pa.string()).to_pylist())


def _short(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _written(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()

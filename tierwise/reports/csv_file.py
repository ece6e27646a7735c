"""A report as CSV: UTF-8 with a byte order mark, so that spreadsheets read every letter."""

import csv
import io
from typing import Any

from chargeback.report import Kind, Report
from tierwise.reports.words import harmless, record_names, records

_BREAKS = str.maketrans("\r\0", "  ")


def render(report: Report) -> bytes:
    """The rows that programs get. Text that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO()
    names = record_names(report)
    words = {column.name for column in report.export.columns if column.kind is Kind.TEXT}
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    for row in records(report):
        writer.writerow({name: _cell(value) if name in words else value for name, value in row.items()})
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    # A lone carriage return ends a line for some readers, quoted or not; none can be meant in a name.
    return harmless(value.translate(_BREAKS)) if isinstance(value, str) else value

"""Reports as files: CSV, XLSX, HTML and PDF of any report. The same report gives the same bytes."""

from importlib import import_module
from pathlib import Path

from chargeback.report import Report
from tierwise.errors import InvalidInput

_MODULES = {".csv": "csv_file", ".html": "html", ".pdf": "pdf", ".xlsx": "xlsx"}

SUFFIXES = tuple(_MODULES)
"""How the names of files end that can be written."""


def render(report: Report, suffix: str) -> bytes:
    """The report as the content of such a file; only what this one needs is imported."""
    content: bytes = import_module(f"{__name__}.{_MODULES[suffix]}").render(report)
    return content


def suffix_of(target: Path) -> str:
    """How a file's name ends. Raises InvalidInput where nothing can be written that ends like it."""
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        msg = f"{target}: a report can be written as {', '.join(SUFFIXES)}; let the file's name end in one of them"
        raise InvalidInput(msg)
    return suffix

"""Workbooks of a few rows, written as other programs write them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from catalog.estates import Estate
from tierwise.estates import read

HEADINGS = (
    "VM", "Powerstate", "Template", "CPUs", "Memory", "Provisioned MiB", "In Use MiB", "Datacenter", "Cluster", "Host",
    "VM ID", "VM UUID", "VI SDK UUID",
)  # fmt: skip
WEB = ("web", "poweredOn", "False", 2, 2048, 1000, 500, "dc", "cl", "h1", "vm-1", "uuid-1", "vc")
DB = ("db", "poweredOff", "False", 4, 4096, 3000, 1500, "dc", "cl", "h2", "vm-2", "uuid-2", "vc")
HOSTS = (
    ("Host", "Datacenter", "Cluster", "# CPU", "Cores per CPU", "# Cores", "# Memory"),
    ("h1", "dc", "cl", 2, 8, 16, 1000),
    ("h2", "dc", "cl", 2, 8, 16, 1000),
)

Sheets = Mapping[str, Sequence[Sequence[Any]]]


def changed(row: Sequence[Any], **values: Any) -> tuple[Any, ...]:
    """A row of machines with other values; headings as names, with _ for blanks."""
    found = dict(zip(HEADINGS, row, strict=True)) | {
        name.replace("_", " "): value for name, value in values.items()
    }
    return tuple(found.values())


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    """Writes a workbook: sheet -> rows."""

    def write(sheets: Sheets, name: str = "export.xlsx", **options: Any) -> Path:
        book = xlsxwriter.Workbook(str(tmp_path / name), options)
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for number, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if cell is not None:
                        sheet.write(number, column, cell)
        book.close()
        return tmp_path / name

    return write


@pytest.fixture
def imported(workbook: Callable[..., Path]) -> Callable[..., Estate]:
    """The estate of such a workbook."""
    return lambda sheets, **options: read(workbook(sheets), **options)


@pytest.fixture
def of_rows(imported: Callable[..., Estate]) -> Callable[..., Estate]:
    """The estate of these rows of vInfo, on the two hosts."""
    return lambda *rows, headings=HEADINGS: imported({"vInfo": [headings, *rows], "vHost": HOSTS})

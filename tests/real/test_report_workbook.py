"""A real spreadsheet opens the workbooks, computes every formula anew, and comes to the same figures."""

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chargeback.reports import every, make
from chargeback.statement_report import statement_report
from tierwise.reports import render
from tierwise.testing.bill_rows import books

OFFICE = shutil.which("soffice")

pytestmark = pytest.mark.skipif(OFFICE is None, reason="LibreOffice Calc is not installed")


def recomputed(contents: dict[str, bytes], folder: Path) -> dict[str, Any]:
    """The workbooks as LibreOffice saves them, its own results in place of ours."""
    openpyxl = pytest.importorskip("openpyxl")
    for name, content in contents.items():
        (folder / f"{name}.xlsx").write_bytes(content)
    subprocess.run(
        [str(OFFICE), "--headless", "--norestore", f"-env:UserInstallation=file://{folder}/profile",
         "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "out"),
         *(str(folder / f"{name}.xlsx") for name in contents)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return {
        name: openpyxl.load_workbook(folder / "out" / f"{name}.xlsx", data_only=True) for name in contents
    }


@pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")  # what LibreOffice adds and openpyxl leaves out
def test_libreoffice_computes_every_formula_to_what_the_workbook_says(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    contents = {
        name: render(make(name, books(by="os" if name == "label" else "")), ".xlsx") for name in every()
    }
    contents |= {
        f"of-{tenant}": render(statement_report(books(), tenant), ".xlsx")
        for tenant in ("payroll", "research")
    }
    theirs = recomputed(contents, tmp_path)
    formulas = texts = 0
    for name, content in contents.items():
        written, ours = (
            openpyxl.load_workbook(io.BytesIO(content), data_only=only) for only in (False, True)
        )
        for cell in (cell for page in written.worksheets for row in page.iter_rows() for cell in row):
            their_value = theirs[name][cell.parent.title][cell.coordinate].value
            our_value = ours[cell.parent.title][cell.coordinate].value
            if cell.data_type == "f":
                formulas += 1
                assert their_value == pytest.approx(our_value, rel=1e-12), (name, cell.value)
            elif cell.data_type == "s":
                texts += 1
                assert their_value == our_value, (name, cell.coordinate)
    assert (formulas > 100, texts > 500) == (True, True)

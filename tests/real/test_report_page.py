"""A real browser prints a report's page: nothing of a wide table stands beyond the paper."""

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chargeback.report import Column, Kind, Report, Table
from tierwise.reports import render

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

COLUMNS = (
    "Cost per year", "Of it sunk", "Proven within", "Moves", "At least", "To copy", "Hosts", "Impossible", "N+k holds",
    "Break-even", "Confidence", "Saved per year",
)  # fmt: skip


def printed(report: Report, folder: Path) -> bytes:
    page, paper = folder / "report.html", folder / "report.pdf"
    page.write_bytes(render(report, ".html"))
    subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
         "--no-pdf-header-footer", f"--print-to-pdf={paper}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return paper.read_bytes()


def test_the_last_of_thirteen_columns_is_on_the_paper_in_full(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    kinds = (Kind.MONEY, Kind.MONEY, Kind.TEXT, *[Kind.TEXT] * 8, Kind.MONEY)
    columns = (
        Column("scenario", "Scenario"),
        *(Column(f"c{n}", title, kind) for n, (title, kind) in enumerate(zip(COLUMNS, kinds, strict=True))),
    )
    words = (
        "12.345 %",
        "10,000",
        "9,999",
        "123.4 TiB",
        "1,234",
        "8,765",
        "yes",
        "month 25, without 8",
        "100.0 %",
    )
    rows = tuple(
        (name, 91_234_567, 8_765_432, *words, saved)
        for name, saved in (("retire-vsphere", 82_345_678), ("lose-munich", -73_456_789))
    )
    paper = pypdf.PdfReader(io.BytesIO(printed(_report(columns, rows), tmp_path)))
    ends: dict[str, float] = {}

    def seen(text: str, outer: Any, inner: Any, font: Any, size: float) -> None:
        del font
        across = outer[0] * inner[0]
        for word in ("82,345,678", "-73,456,789"):
            if word in text:
                # Digits are about 0.6 of their size wide.
                ends[word] = outer[4] + outer[0] * inner[4] + len(word) * 0.6 * size * abs(across)

    page = paper.pages[0]
    page.extract_text(visitor_text=seen)
    assert ends.keys() == {"82,345,678", "-73,456,789"}
    margin = 14 * 72 / 25.4
    assert all(end < float(page.mediabox.width) - margin + 5 for end in ends.values()), ends


def _report(columns: tuple[Column, ...], rows: tuple[Any, ...]) -> Report:
    return Report("wide", "Wide", "a page", "EUR", 0, 0, (Table("", columns, rows),))

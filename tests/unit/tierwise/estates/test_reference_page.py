"""The reference page names every kind of export and every reason for leaving a row out, and the schema beside it is current."""

import re
from pathlib import Path

from catalog.estates import EstateTotals
from tierwise.estates import document
from tierwise.estates.importers import importers
from tierwise.estates.rvtools.headings import HEADINGS

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "reference" / "estates.md").read_text()


def test_every_kind_figure_and_sheet_stands_on_the_page() -> None:
    for name in [*importers(), *EstateTotals.model_fields]:
        assert f"`{name}`" in PAGE, name
    for name in HEADINGS:
        assert name in PAGE, name


def test_every_reason_for_dropping_a_row_stands_on_the_page() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "tierwise" / "estates").rglob("*.py"))
    reasons = set(re.findall(r'return "([^"]+)"\n', sources.split("def _reason")[1].split("def ")[0]))
    reasons |= set(re.findall(r'"((?:no \w+ name)|duplicate|line of headings repeated)"', sources))
    assert len(reasons) >= 8
    for reason in reasons:
        assert f"`{reason}`" in PAGE, reason


def test_the_published_schema_is_the_one_of_today() -> None:
    assert (ROOT / "docs" / "reference" / "estate.schema.json").read_text() == document.schema_text()

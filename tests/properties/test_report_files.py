"""Whatever machines are called: no file breaks, nothing runs, and what is read back is the name."""

import csv
import io
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargeback.report import Column, Kind, Report, Table
from tierwise.reports import render

# No half of a surrogate pair: no file in UTF-8 can hold one.
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
printable = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=80)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def report(given_names: list[str]) -> Report:
    columns = (Column("name", "Name"), Column("amount", "Amount", Kind.MONEY, adds=True))
    rows = tuple((name, i - 3) for i, name in enumerate(given_names))
    total = sum(i - 3 for i in range(len(given_names)))
    return Report("names", "Names", "any", "EUR", 2, total, (Table("Names", columns, rows),))


@given(st.lists(names, max_size=6))
@few
def test_every_kind_of_file_can_be_written_of_any_names(found: list[str]) -> None:
    for suffix in (".csv", ".html", ".pdf", ".xlsx"):
        assert render(report(found), suffix) == render(report(found), suffix)


@given(st.lists(names, min_size=1, max_size=6))
@few
def test_a_csv_gives_every_name_back_but_for_the_apostrophe_before_a_formula(found: list[str]) -> None:
    text = render(report(found), ".csv").decode("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    for row, name in zip(read, [n.replace("\r", " ").replace("\0", " ") for n in found], strict=True):
        assert row["name"] in {name, f"'{name}"}
        assert row["name"].lstrip()[:1] not in {"=", "+", "-", "@"}
    assert [int(row["amount_minor"]) for row in read] == [i - 3 for i in range(len(found))]


class Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.inside = False
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.inside = tag == "th" and ("scope", "row") in attrs
        if self.inside:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


PLAIN_TAGS = Cells(render(report(["a"]), ".html").decode()).tags


@given(st.lists(printable, min_size=1, max_size=6))
@few
def test_a_page_shows_every_name_as_it_is_and_gains_no_tag(found: list[str]) -> None:
    page = Cells(render(report(found), ".html").decode())
    assert page.found == [*found, "Total"]
    assert page.tags == PLAIN_TAGS


@given(st.lists(printable, min_size=1, max_size=6))
@few
def test_a_workbook_holds_every_name_as_text(found: list[str]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    page = openpyxl.load_workbook(io.BytesIO(render(report(found), ".xlsx"))).worksheets[0]
    cells = [page.cell(5 + i, 1) for i in range(len(found))]
    assert [cell.value for cell in cells] == found
    assert {cell.data_type for cell in cells} == {"s"}

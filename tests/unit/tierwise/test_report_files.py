"""What is read back from each file is the bill: every cent, every name, and nothing that runs."""

import csv
import errno
import io
import os
import re
import zipfile
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from chargeback.report import Column, Kind, Report, Table
from chargeback.reports import every, make
from chargeback.statement_report import EXPORTED, statement_report
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.reports import SUFFIXES, render, suffix_of
from tierwise.reports.files import write_whole
from tierwise.reports.words import sheet
from tierwise.reports.xlsx import kept
from tierwise.testing.bill_rows import HOSTILE, books, october

TENANTS = sorted({row["tenant"] for row in october()})


def reports() -> dict[str, Report]:
    found = {name: make(name, books(by="os" if name == "label" else "")) for name in every()}
    return found | {f"statement of {tenant}": statement_report(books(), tenant) for tenant in TENANTS}


REPORTS, AGAIN = reports(), reports()


def money(text: str) -> int:
    """``-1,234.50`` in cents, with no code of the product."""
    whole, _, cents = text.replace(",", "").removeprefix("-").partition(".")
    minor = int(whole) * 100 + int(cents)
    return -minor if text.startswith("-") else minor


def workbook(content: bytes) -> Any:
    openpyxl = pytest.importorskip("openpyxl")
    return openpyxl.load_workbook(io.BytesIO(content))


def pages(content: bytes) -> list[str]:
    pypdf = pytest.importorskip("pypdf")
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_bill_gives_the_same_bytes(suffix: str, name: str) -> None:
    assert render(REPORTS[name], suffix) == render(AGAIN[name], suffix)


@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_a_statement_does_not_show_in_which_order_the_rows_came(suffix: str) -> None:
    once, again = (statement_report(books(rows=rows), "payroll") for rows in (october(), october()[::-1]))
    assert render(once, suffix) == render(again, suffix)


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_csv_of_a_statement_has_every_row_of_it(tenant: str) -> None:
    content = render(REPORTS[f"statement of {tenant}"], ".csv")
    read = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    expected = [row for row in october() if row["tenant"] == tenant]
    assert tuple(read[0]) == EXPORTED
    assert [int(row["amount_minor"]) for row in read] == [row["amount_minor"] for row in expected]
    assert [money(row["amount"]) for row in read] == [row["amount_minor"] for row in expected]
    assert [row["quantity"] for row in read] == [row["quantity"] for row in expected]


@pytest.mark.parametrize("name", REPORTS)
def test_the_csv_of_a_report_has_its_money_as_decimals_and_as_whole_cents(name: str) -> None:
    table = REPORTS[name].export
    read = list(csv.DictReader(io.StringIO(render(REPORTS[name], ".csv").decode("utf-8-sig"))))
    assert len(read) == len(table.rows)
    for i, column in enumerate(table.columns):
        if column.kind is Kind.MONEY:
            assert [int(row[f"{column.name}_minor"]) for row in read] == [row[i] for row in table.rows]
            assert [money(row[column.name]) for row in read] == [row[i] for row in table.rows]


def test_no_text_of_a_csv_begins_as_a_formula_and_negative_numbers_stay_numbers() -> None:
    for name, report in REPORTS.items():
        read = list(csv.reader(io.StringIO(render(report, ".csv").decode("utf-8-sig"))))
        for row in read[1:]:
            for cell in row:
                runs = cell.lstrip()[:1] in set("=+-@\t\r")
                assert not runs or re.fullmatch(r"-[\d.]+( \d+/\d+)?", cell), (name, cell)
    text = render(REPORTS["statement of research"], ".csv").decode("utf-8-sig")
    assert "'=HYPERLINK(0)" in text
    assert ",-103.68," in render(REPORTS["statement of payroll"], ".csv").decode("utf-8-sig")


@pytest.mark.parametrize("name", REPORTS)
def test_the_numbers_of_a_workbook_are_the_report_to_the_cent_and_its_sums_agree(name: str) -> None:
    report = REPORTS[name]
    formulas = workbook(render(report, ".xlsx"))
    for table, page in zip(report.tables, formulas.worksheets, strict=False):
        first, last = 5, 4 + len(table.rows)
        assert page.freeze_panes == "B5"
        assert page.auto_filter.ref == f"A4:{page.cell(4, len(table.columns)).column_letter}{max(last, 4)}"
        for i, column in enumerate(table.columns, 1):
            cells = [page.cell(r, i) for r in range(first, last + 1)]
            if column.kind is not Kind.MONEY:
                continue
            values = [cell.value for cell in cells]
            assert [None if v is None else Decimal(str(v)) * 100 for v in values] == [
                row[i - 1] for row in table.rows
            ]
            assert all(cell.number_format == "#,##0.00" for cell in cells if cell.value is not None)
            total = page.cell(last + 1, i).value
            if column.adds and table.rows:
                letter = cells[0].column_letter
                assert total == f"=ROUND(SUM({letter}{first}:{letter}{last}),2)"
                # What a spreadsheet computes: binary fractions added up, then rounded.
                assert round(sum(values), 2) == table.totals[i - 1] / 100


def test_the_sums_that_a_workbook_shows_before_it_computes_are_the_totals() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    for report in REPORTS.values():
        book = openpyxl.load_workbook(io.BytesIO(render(report, ".xlsx")), data_only=True)
        for table, page in zip(report.tables, book.worksheets, strict=False):
            for i, total in enumerate(table.totals, 1):
                if total is not None and table.rows:
                    assert Decimal(str(page.cell(5 + len(table.rows), i).value)) * 100 == total


def test_every_formula_shows_a_number_before_it_is_computed() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    content = render(REPORTS["statement of payroll"], ".xlsx")
    shown = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    found = [
        cell
        for page in workbook(content)
        for row in page.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ]
    assert len(found) > 40
    for cell in found:
        value = shown[cell.parent.title][cell.coordinate].value
        assert isinstance(value, int | float), (cell.parent.title, cell.coordinate, value)
        if "/" in cell.value:
            assert value == pytest.approx(eval(cell.value.removeprefix("=")), rel=1e-14)


def test_a_quantity_without_a_finite_decimal_is_an_exact_formula() -> None:
    page = workbook(render(REPORTS["statement of payroll"], ".xlsx"))["Lines"]
    column = [cell.value for cell in page[4]].index("Quantity") + 1
    values = [page.cell(r, column).value for r in range(5, page.max_row)]
    assert "=529+59/60" in values
    assert 1 in values
    corrections = workbook(render(REPORTS["statement of payroll"], ".xlsx"))["Data"]
    assert "=-(5+1/3)" in [cell.value for row in corrections.iter_rows() for cell in row]


def test_names_that_look_like_formulas_stay_text_in_a_workbook_even_after_an_edit() -> None:
    book = workbook(render(REPORTS["statement of research"], ".xlsx"))
    cells = {cell.value: cell for row in book["Lines"].iter_rows() for cell in row if cell.value}
    for name in HOSTILE:
        assert cells[name].data_type == "s", name
        if name[0] in "=+-@":
            assert cells[name].quotePrefix, name


def huge() -> Report:
    columns = (Column("name", "Name"), Column("amount", "Amount", Kind.MONEY, adds=True))
    rows = (("a", 10**17 + 1), ("b", -1), ("c", 12345))
    return Report("huge", "Huge", "October 2026", "EUR", 2, 10**17 + 12345, (Table("Huge", columns, rows),))


def test_an_amount_of_more_digits_than_a_spreadsheet_keeps_is_exact_text_and_so_is_its_sum() -> None:
    page = workbook(render(huge(), ".xlsx")).worksheets[0]
    assert [page.cell(r, 2).value for r in (5, 6, 7, 8)] == [
        "1000000000000000.01", -0.01, 123.45, "1000000000000123.45",
    ]  # fmt: skip
    assert (kept("9999999999999.99"), kept("99999999999999.99"), kept("0.0000000000000001")) == (
        True,
        False,
        True,
    )


@pytest.mark.parametrize("name", REPORTS)
def test_a_pdf_prints_every_amount_and_the_total(name: str) -> None:
    report = REPORTS[name]
    text = " ".join(pages(render(report, ".pdf")))
    for table in report.tables:
        for row in sheet(table, report).rows:
            for cell, numeric in zip(row.cells, sheet(table, report).numeric, strict=True):
                assert not numeric or cell in text, cell
    assert f"{report.total_minor // 100:,}" in text


def test_a_long_pdf_repeats_its_headings_and_numbers_its_pages() -> None:
    report = statement_report(books(30), "payroll")
    found = pages(render(report, ".pdf"))
    assert len(found) > 10
    for number, text in enumerate(found, 1):
        assert f"page {number} of {len(found)}" in text
        if number < len(found):
            assert "Quantity" in text
            assert "Statement 2026-10/payroll" in text
    printed = re.findall(r"(?m)^(-?[\d,]+\.\d\d)$", "\n".join(found))
    lines = [money(text) for text in printed]
    for row in report.tables[1].rows:
        assert row[-1] in lines


def test_a_pdf_writes_umlauts_and_cyrillic_and_says_which_signs_its_font_lacks() -> None:
    text = " ".join(pages(render(REPORTS["statement of research"], ".pdf")))
    for name in (
        "käse-öl-ß",
        "Заказы",
        "<script>alert(1)</script>",
        "=HYPERLINK(0)",
        "Forschung & Entwicklung",
    ):
        assert name in text, name
    assert "2 signs are shown as a box" in text
    assert "shown as a box" not in " ".join(pages(render(REPORTS["statement of payroll"], ".pdf")))
    assert b"/FontFile2" in render(REPORTS["tier"], ".pdf"), "the font is not in the file"


class Page(HTMLParser):
    """The words of a page by tag, and everything that could ask for something outside of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [
            f"{tag} {k}" for k, _ in attrs if k in {"src", "href", "action", "onload", "onclick", "srcset"}
        ]
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in {"td", "th"}:
            self.cells[-1] += data


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_shows_every_cell_as_text_and_asks_nobody_for_anything(name: str) -> None:
    report = REPORTS[name]
    text = render(report, ".html").decode()
    page = Page(text)
    assert page.outside == []
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?://", text)
    expected = [
        cell
        for table in report.tables
        for shown in [sheet(table, report)]
        for cells in (shown.headings, *(row.cells for row in shown.rows))
        for cell in cells
    ]
    assert page.cells == expected


def test_a_name_as_markup_stands_escaped_in_the_page() -> None:
    text = render(REPORTS["statement of research"], ".html").decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_nothing_of_a_file_says_when_or_where_it_was_made() -> None:
    content = render(REPORTS["tenant"], ".xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        assert b"2000-01-01" in archive.read("docProps/core.xml")
    assert str(Path.cwd()).encode() not in render(REPORTS["tenant"], ".pdf")


def test_a_report_without_rows_can_be_written_in_every_form() -> None:
    for suffix in SUFFIXES:
        for name in sorted(set(every()) - {"budgets", "label", "margin"}):
            assert render(make(name, books(rows=[], before=[])), suffix)


def test_a_report_without_rows_says_that_nothing_was_charged_for() -> None:
    report = make("tenant", books(rows=[], before=[]))
    said = "nothing was charged for in October 2026"
    assert f'colspan="8">{said}' in render(report, ".html").decode()
    assert said in " ".join(" ".join(pages(render(report, ".pdf"))).split())
    told = [cell.value for sheet in workbook(render(report, ".xlsx")) for row in sheet for cell in row]
    assert any(said in str(value) for value in told)
    assert said not in render(REPORTS["tenant"], ".html").decode()


def test_figures_are_left_out_where_all_are_zero_unless_nothing_but_names_would_be_left() -> None:
    columns = (
        Column("knob", "Knob"),
        Column("less", "Less", Kind.MONEY),
        Column("more", "More", Kind.MONEY),
    )

    def shown(*rows: tuple[str, int, int]) -> tuple[str, ...]:
        table = Table("Swings", columns, rows)
        return sheet(table, Report("s", "S", "", "EUR", 2, 0, (table,))).headings

    assert shown(("power", 0, 1), ("space", 0, 0)) == ("Knob", "More")
    assert shown(("power", 0, 0), ("space", 0, 0)) == ("Knob", "Less", "More")


def test_a_file_of_another_kind_is_refused_with_those_that_can_be_written() -> None:
    with pytest.raises(
        InvalidInput, match=r"x\.docx: a report can be written as \.csv, \.html, \.pdf, \.xlsx"
    ):
        suffix_of(Path("x.docx"))
    assert suffix_of(Path("X.PDF")) == ".pdf"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bill.pdf"
    write_whole(target, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TierwiseError, match=r"bill\.pdf was not written: No space left on device; check"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["bill.pdf"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TierwiseError, match=r"no/bill\.pdf was not written: No such file or directory"):
        write_whole(tmp_path / "no" / "bill.pdf", b"x")


def test_a_file_is_as_readable_as_others_and_keeps_its_rights_when_replaced(tmp_path: Path) -> None:
    target = tmp_path / "bill.csv"
    (tmp_path / "other").write_text("")
    write_whole(target, b"x")
    assert target.stat().st_mode == (tmp_path / "other").stat().st_mode
    target.chmod(0o640)
    write_whole(target, b"y")
    assert target.stat().st_mode & 0o777 == 0o640

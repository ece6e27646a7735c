"""A report as a workbook: numbers are numbers, and every total is a formula that agrees with it.

A spreadsheet keeps 15 digits. What needs more is written as text, exactly, and a column that holds
such a text has its total as text too.
"""

import io
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]  # ships no type information
from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]  # as above

from chargeback.frames import fraction
from chargeback.money import format_minor
from chargeback.report import Cell, Chart, Column, Kind, Report, Shape, Table
from tierwise.reports.charts import COLOURS, LINE
from tierwise.reports.words import heading, is_formula, notes, percent

DIGITS = 15
"""How many digits of a number a spreadsheet keeps."""

_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
"""The workbook's date; the real one would make every copy of a bill another file."""

_NAME_MOST = 31
"""How long spreadsheets let a sheet's name be."""

_TOP = 3
"""The row of the column headings, counted from 0."""


def render(report: Report) -> bytes:
    """One sheet a table, then charts with their figures, then what was written beside them."""
    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_numbers": False,
        "strings_to_formulas": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties({"title": report.title, "subject": report.subtitle, "created": _CREATED})
        book.set_calc_mode("auto")
        writer = _Writer(book, report)
        tables = [*report.tables, *([report.data] if report.data else [])]
        for table in tables:
            writer.table(table)
        writer.charts([chart for chart in report.charts if chart.labels])
        writer.about()
    return buffer.getvalue()


class _Writer:
    """One workbook and its formats."""

    def __init__(self, book: Any, report: Report) -> None:
        self.book, self.report = book, report
        places = f".{'0' * report.minor_digits}" if report.minor_digits else ""
        self.money = f"#,##0{places}"
        self.formats: dict[str, Any] = {}
        self.indented: dict[tuple[int, bool], Any] = {}
        self.used: set[str] = set()

    def table(self, table: Table) -> None:
        """A sheet: title, headings that stay in sight, rows with a filter, total."""
        page = self.sheet(table.title or "Overview")
        page.write_string(0, 0, self.report.title, self.format("title", bold=True, font_size=14))
        said = ". ".join(text for text in (table.title, self.report.subtitle) if text)
        page.write_string(1, 0, said, self.format("faint", font_color="#5b6875"))
        for i, column in enumerate(table.columns):
            page.write_string(_TOP, i, heading(column, self.report), self._head(column, first=i == 0))
            page.set_column(i, i, self._width(table, i))
        for r, row in enumerate(table.rows, _TOP + 1):
            for i, cell in enumerate(row):
                level = table.levels[r - _TOP - 1] if table.levels else 0
                # Words keep a little away from the numbers to their left.
                self.cell(page, (r, i), cell, table.columns[i], 1 if i else level)
        last = _TOP + len(table.rows)
        page.freeze_panes(_TOP + 1, 1)
        page.autofilter(_TOP, 0, max(last, _TOP), len(table.columns) - 1)
        self._totals(page, table, last)
        self._print(page, table)

    def cell(self, page: Any, at: tuple[int, int], cell: Cell, column: Column, level: int = 0) -> None:
        """One cell, as a number wherever a spreadsheet keeps all of it."""
        if cell is None or cell == "":
            return
        if column.kind is Kind.TEXT:
            self._text(page, at, str(cell), level)
        elif column.kind is Kind.MONEY:
            self._number(page, at, format_minor(int(cell), self.report.minor_digits), self.money)
        elif column.kind is Kind.COUNT:
            self._number(page, at, str(cell), "#,##0")
        elif column.kind is Kind.SHARE:
            page.write_number(
                *at, Decimal(percent(Fraction(cell), 8)).scaleb(-2), self.format("%", num_format="0.0%")
            )
        else:
            self._exact(page, at, str(cell))

    def charts(self, charts: Sequence[Chart]) -> None:
        """A sheet of charts that read the figures beside them."""
        if not charts:
            return
        page = self.sheet("Charts")
        page.fit_to_pages(1, 0)
        page.set_landscape()
        page.set_column(0, 0, 30)
        page.set_column(1, max(len(chart.series) for chart in charts), 14)
        row = 0
        for chart in charts:
            row = self._chart(page, chart, row) + 2

    def about(self) -> None:
        """A sheet of the facts and notes."""
        page = self.sheet("About")
        page.fit_to_pages(1, 0)
        page.set_column(0, 0, 22)
        page.set_column(1, 1, 90)
        facts = [
            ("Report", self.report.title), ("Period", self.report.subtitle), *self.report.facts,
        ]  # fmt: skip
        facts += [("Status", self.report.status)] if self.report.status else []
        facts += [("Note", note) for note in notes(self.report)]
        for i, (label, value) in enumerate(facts):
            page.write_string(i, 0, label, self.format("bold", bold=True, valign="top"))
            page.write_string(i, 1, value, self._words(value, text_wrap=True, valign="top"))

    def sheet(self, title: str) -> Any:
        """A new sheet; its name has no characters that spreadsheets refuse, and stands once."""
        plain = "".join(" " if c in "[]:*?/\\" else c for c in title)
        name = base = plain.strip("'")[:28].rstrip("'") or "Sheet"
        for number in itertools.count(2):
            if name.lower() not in self.used:
                break
            name = f"{base[: _NAME_MOST - len(str(number)) - 1]} {number}"
        self.used.add(name.lower())
        return self.book.add_worksheet(name)

    def format(self, key: str, **properties: Any) -> Any:
        """A format, made once."""
        if key not in self.formats:
            self.formats[key] = self.book.add_format(properties)
        return self.formats[key]

    def _head(self, column: Column, *, first: bool) -> Any:
        words = {
            "bold": True,
            "bottom": 2,
            "bottom_color": "#1f4e79",
            "text_wrap": True,
            "valign": "bottom",
        }
        if column.kind is Kind.TEXT:
            return self.format(f"head {first}", align="left", indent=0 if first else 1, **words)
        return self.format("head right", align="right", **words)

    def _text(self, page: Any, at: tuple[int, int], text: str, level: int) -> None:
        key = (level, is_formula(text))
        if key not in self.indented:
            self.indented[key] = self._words(text, indent=level)
        page.write_string(*at, text, self.indented[key])

    def _words(self, text: str, **properties: Any) -> Any:
        """A format for text; with the mark that keeps a formula from being one after it is edited, too."""
        marked = {"quote_prefix": True} if is_formula(text) else {}
        return self.format(f"words {properties} {marked}", **properties, **marked)

    def _number(self, page: Any, at: tuple[int, int], text: str, num_format: str) -> None:
        if kept(text):
            page.write_number(*at, Decimal(text), self.format(num_format, num_format=num_format))
        else:
            page.write_string(*at, text, self.format("right", align="right"))

    def _exact(self, page: Any, at: tuple[int, int], text: str) -> None:
        """A quantity or a rate; a fraction is a formula, so that nothing of it is lost."""
        if "/" not in text:
            self._number(page, at, text, "General")
            return
        whole, part = text.removeprefix("-").split()
        if not all(kept(number) for number in (whole, *part.split("/"))):
            page.write_string(*at, text, self.format("right", align="right"))
            return
        sum_ = f"{whole}+{part}"
        formula = f"=-({sum_})" if text.startswith("-") else f"={sum_}"
        page.write_formula(*at, formula, self.format("fraction", num_format="#,##0.0000"), _rounded(text))

    def _totals(self, page: Any, table: Table, last: int) -> None:
        if all(total is None for total in table.totals):
            return
        page.write_string(last + 1, 0, "Total", self.format("total", bold=True, top=2))
        for i, (column, total) in enumerate(zip(table.columns, table.totals, strict=True)):
            if total is None:
                if i:
                    page.write_blank(last + 1, i, None, self.format("total", bold=True, top=2))
                continue
            is_money = column.kind is Kind.MONEY
            digits = self.report.minor_digits if is_money else 0
            text = format_minor(total, digits)
            num_format = self.money if is_money else "#,##0"
            style = self.format(f"total {num_format}", bold=True, top=2, num_format=num_format)
            cells = [format_minor(int(row[i] or 0), digits) for row in table.rows]
            if table.rows and all(map(kept, (text, *cells))):
                name = xl_col_to_name(i)
                # Rounded: a sum of binary fractions is a hair beside the amount.
                formula = f"=ROUND(SUM({name}{_TOP + 2}:{name}{last + 1}),{digits})"
                page.write_formula(last + 1, i, formula, style, Decimal(text))
            elif kept(text):
                page.write_number(last + 1, i, Decimal(text), style)
            else:
                page.write_string(
                    last + 1, i, text, self.format("total right", bold=True, top=2, align="right")
                )

    def _width(self, table: Table, i: int) -> int:
        column = table.columns[i]
        cells = [] if column.kind is Kind.SHARE else [str(row[i] or "") for row in table.rows[:2000]]
        texts = [heading(column, self.report), *cells]
        spare = 4 if i or column.kind in {Kind.MONEY, Kind.COUNT} else 2
        longest = max(map(len, cells), default=0)
        words = max(len(word) for word in texts[0].split()) if texts[0] else 0
        return min(max(longest + spare, words + 4, 9), 60)

    def _print(self, page: Any, table: Table) -> None:
        page.repeat_rows(_TOP)
        page.set_paper(9)
        if len(table.columns) > 6:
            page.set_landscape()
        page.fit_to_pages(1, 0)
        page.set_footer("&C&P / &N")

    def _chart(self, page: Any, chart: Chart, row: int) -> int:
        """The figures of a chart, and the chart to their right; gives the first row below both."""
        money = chart.kind is Kind.MONEY
        digits, form = (self.report.minor_digits, self.money) if money else (0, "#,##0")
        title = f"{chart.title} ({self.report.currency})" if money else chart.title
        page.write_string(row, 0, title, self.format("bold", bold=True))
        for j, (name, _) in enumerate(chart.series, 1):
            page.write_string(row + 1, j, name, self._words(name, bold=True))
        for i, label in enumerate(chart.labels):
            self._text(page, (row + 2 + i, 0), label, 0)
            for j, (_, values) in enumerate(chart.series, 1):
                self._number(page, (row + 2 + i, j), format_minor(values[i], digits), form)
        drawn = self.book.add_chart(_CHARTS[chart.shape])
        name, end = page.get_name(), row + 1 + len(chart.labels)
        for j in range(1, len(chart.series) + 1):
            drawn.add_series({
                "name": [name, row + 1, j],
                "categories": [name, row + 2, 0, end, 0],
                "values": [name, row + 2, j, end, j],
                **_look(chart.shape, COLOURS[(j - 1) % len(COLOURS)]),
            })  # fmt: skip
        drawn.set_title({"name": chart.title})
        axis = {"num_format": form, "major_gridlines": {"visible": True, "line": {"color": LINE}}}
        if chart.shape is Shape.LINES:
            drawn.set_y_axis(axis)
        else:
            drawn.set_y_axis({"reverse": True})
            drawn.set_x_axis({**axis, "label_position": "high"})
        drawn.set_legend({"position": "bottom"} if len(chart.series) > 1 else {"none": True})
        height = max(len(chart.labels) + 4, 16)
        drawn.set_size({"width": 720, "height": 20 * height})
        page.insert_chart(row, len(chart.series) + 2, drawn)
        return max(end + 1, row + height)


_CHARTS: dict[Shape, dict[str, str]] = {
    Shape.STACKED: {"type": "bar", "subtype": "stacked"},
    Shape.GROUPED: {"type": "bar"},
    Shape.LINES: {"type": "line"},
}


def _look(shape: Shape, colour: str) -> dict[str, Any]:
    """How a series looks."""
    if shape is Shape.LINES:
        return {"line": {"color": colour, "width": 2}, "marker": {"type": "circle", "size": 4}}
    return {"fill": {"color": colour}, "gap": 60}


def kept(text: str) -> bool:
    """Whether a spreadsheet keeps all digits of a decimal."""
    return len(text.replace("-", "").replace(".", "").lstrip("0")) <= DIGITS


def _rounded(text: str) -> Decimal:
    """A fraction as the spreadsheet will show it, until it computes it itself."""
    exact = fraction(text)
    assert exact is not None
    return Decimal(f"{Decimal(exact.numerator) / Decimal(exact.denominator):.{DIGITS}g}")

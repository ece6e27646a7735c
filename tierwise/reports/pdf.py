"""A report as a PDF for people: head, summary, charts, tables over pages, notes."""

from collections.abc import Sequence

from chargeback.money import spelled
from chargeback.report import Report
from tierwise.reports.charts import Box, Picture, Stroke, pieces
from tierwise.reports.fonts import BOLD, PLAIN, width, wrapped
from tierwise.reports.pdf_pages import ALERT, DEEP, FAINT, LINE, Pages
from tierwise.reports.pdf_tables import draw_table
from tierwise.reports.words import notes as notes_of
from tierwise.reports.words import sheet

_WIDE_FROM = 9
"""From so many columns on, pages lie on their side."""


def render(report: Report) -> bytes:
    """The document. Signs that its font lacks are shown as boxes, and a note says so."""
    sheets = [sheet(table, report) for table in report.tables]
    columns = max(len(one.headings) for one in sheets)
    pages = Pages(f"{report.title}", f"{report.title}, {report.subtitle}", wide=columns >= _WIDE_FROM)
    _head(pages, report)
    _facts(pages, report.facts)
    for i, one in enumerate(sheets):
        pages.y += 14
        draw_table(pages, one)
        if i == 0:
            _charts(pages, report)
    _notes(pages, report)
    return pages.finish()


def _head(pages: Pages, report: Report) -> None:
    pages.box(0, 0, pages.page_width, 6, DEEP)
    total = f"{report.currency} {spelled(report.total_minor, report.minor_digits)}"
    room = pages.room - max(width(total, BOLD, 18), width(report.total_title, PLAIN, 9), 90) - 24
    top = pages.y
    pages.words(pages.right, top + 8, report.total_title, size=9, fill=FAINT, end=True)
    pages.words(pages.right, top + 29, total, font=BOLD, size=18, end=True)
    y = top + 12
    for line in wrapped(pages.clean(report.title), BOLD, 18, room):
        pages.words(pages.left, y + 4, line, font=BOLD, size=18)
        y += 23
    lines = wrapped(pages.clean(report.subtitle), PLAIN, 10, room)
    for n, line in enumerate(lines):
        pages.words(pages.left, y + 1 + 13 * n, line, size=10, fill=FAINT)
    y += 13 * (len(lines) - 1)
    if report.status:
        y += 16
        pages.words(pages.left, y + 1, report.status.upper(), font=BOLD, size=8.5, fill=ALERT)
    pages.y = y + 14


def _facts(pages: Pages, facts: Sequence[tuple[str, str]]) -> None:
    """Label over value, two or three beside each other."""
    if not facts:
        return
    pages.line(pages.left, pages.y, pages.right, LINE)
    pages.y += 8
    count = 2
    column = pages.room / count
    for i in range(0, len(facts), count):
        cells = [wrapped(pages.clean(value), PLAIN, 9.5, column - 14) for _, value in facts[i : i + count]]
        height = 16 + 12 * max(map(len, cells))
        pages.need(height)
        for j, lines in enumerate(cells):
            x = pages.left + j * column
            pages.words(x, pages.y + 9, facts[i + j][0], size=7.5, fill=FAINT)
            for n, line in enumerate(lines):
                pages.words(x, pages.y + 21 + 12 * n, line, size=9.5)
        pages.y += height
    pages.line(pages.left, pages.y + 2, pages.right, LINE)
    pages.y += 4


def _charts(pages: Pages, report: Report) -> None:
    height = pages.bottom - 100  # of a page that has nothing else on it
    for chart in report.charts:
        if not chart.labels:
            continue
        for drawn in pieces(chart, pages.room, report.minor_digits, report.currency, height):
            pages.y += 16
            pages.need(drawn.height + 26)
            _chart(pages, drawn)


def _chart(pages: Pages, drawn: Picture) -> None:
    pages.words(pages.left, pages.y + 14, drawn.title, font=BOLD, size=11, fill=DEEP)
    pages.y += 24
    for shape in drawn.shapes:
        if isinstance(shape, Box):
            pages.box(pages.left + shape.x, pages.y + shape.y, shape.width, shape.height, shape.fill)
        elif isinstance(shape, Stroke):
            pages.stroke([(pages.left + x, pages.y + y) for x, y in shape.points], shape.colour)
        else:
            pages.words(
                pages.left + shape.x, pages.y + shape.y, shape.text,
                size=8.5, fill=shape.fill, end=shape.anchor == "end",
            )  # fmt: skip
    pages.y += drawn.height


def _notes(pages: Pages, report: Report) -> None:
    notes = list(notes_of(report))
    if pages.lacks:
        signs = len(pages.lacks)
        notes.append(
            f"{signs} {'sign is' if signs == 1 else 'signs are'} shown as a box, as this document's font has none for it; "
            "the HTML, XLSX and CSV of this report have all names in full"
        )
    if not notes:
        return
    pages.y += 18
    pages.need(40)
    pages.words(pages.left, pages.y + 10, "Notes", font=BOLD, size=9, fill=FAINT)
    pages.y += 16
    for note in notes:
        lines = wrapped(pages.clean(note), PLAIN, 8, pages.room - 10)
        pages.need(11.0 * len(lines))
        pages.words(pages.left, pages.y + 9, "-", size=8, fill=FAINT)
        for n, line in enumerate(lines):
            pages.words(pages.left + 10, pages.y + 9 + 11 * n, line, size=8, fill=FAINT)
        pages.y += 11 * len(lines) + 1

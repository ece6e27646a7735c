"""A report's figures as people and programs read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from chargeback.money import Rounding, divided, format_minor, spelled
from chargeback.report import Cell, Column, Kind, Report, Table

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula; the last four are full-width forms."""


def percent(share: Fraction, decimals: int = 1) -> str:
    """A fraction of one as percent, rounded half up: ``12.3``."""
    scaled = divided(share.numerator * 100 * 10**decimals, share.denominator, Rounding.HALF_UP)
    return format_minor(scaled, decimals)


def cell_text(cell: Cell, column: Column, digits: int) -> str:
    """A cell for people."""
    if cell is None:
        return ""
    if column.kind is Kind.MONEY:
        return spelled(_whole(cell), digits)
    if column.kind is Kind.COUNT:
        return f"{_whole(cell):,}"
    if column.kind is Kind.SHARE:
        return f"{percent(Fraction(cell))} %"
    return str(cell)


def heading(column: Column, report: Report) -> str:
    """A column's title; money names its currency."""
    return f"{column.title} ({report.currency})" if column.kind is Kind.MONEY else column.title


def notes(report: Report) -> tuple[str, ...]:
    """The report's notes; the first one says so where no table has a row."""
    empty = not any(table.rows for table in report.tables)
    return (report.nothing, *report.notes) if empty and report.nothing else report.notes


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a text as a formula."""
    return text.lstrip(" \u00a0").startswith(_STARTS_FORMULA) or text[:1] in {"\t", "\r", "\n"}


def harmless(text: str) -> str:
    """A text that no spreadsheet runs: with an apostrophe before what would begin a formula."""
    return f"'{text}" if is_formula(text) else text


def records(report: Report) -> list[dict[str, Any]]:
    """The rows for programs: money as a decimal text, and in whole minor units beside it (``_minor``).

    A share is a text in percent with four decimals; what is None is None.
    """
    table = report.export
    return [
        dict(
            pair
            for column, cell in zip(table.columns, row, strict=True)
            for pair in _plain(column, cell, report)
        )
        for row in table.rows
    ]


def record_names(report: Report) -> tuple[str, ...]:
    """The names of the fields of `records`, for a report without rows too."""
    return tuple(
        name
        for column in report.export.columns
        for name in ((column.name, f"{column.name}_minor") if column.kind is Kind.MONEY else (column.name,))
    )


def _plain(column: Column, cell: Cell, report: Report) -> Iterator[tuple[str, Any]]:
    if column.kind is Kind.MONEY:
        yield column.name, None if cell is None else format_minor(_whole(cell), report.minor_digits)
        yield f"{column.name}_minor", cell
    elif column.kind is Kind.SHARE:
        yield column.name, None if cell is None else percent(Fraction(cell), 4)
    else:
        yield column.name, cell


@dataclass(frozen=True, slots=True)
class Shown:
    """A row for people. `kind` is ``row``, ``band`` (a heading with subtotals) or ``total``."""

    kind: str
    cells: tuple[str, ...]
    level: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table for people: without columns that say nothing here, with bands and the total.

    The title is empty where the report has the same. `key` is the column to be seen at any width.
    """

    title: str
    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    key: int
    rows: tuple[Shown, ...]


def sheet(table: Table, report: Report) -> Sheet:
    """The table as it is shown on a page."""
    kept = visible(table)
    columns = [table.columns[i] for i in kept]
    has_money = any(column.kind is Kind.MONEY for column in columns)
    title = "" if table.title == report.title else table.title
    return Sheet(
        f"{title} ({report.currency})" if title and has_money else title,
        tuple(column.title for column in columns),
        tuple(column.kind is not Kind.TEXT for column in columns),
        columns.index(next((c for c in columns if c.name == "amount"), columns[-1])),
        tuple(_shown(table, report, kept)),
    )


def visible(table: Table) -> list[int]:
    """The columns worth their place: not the band's, not empty ones, not ``charges`` that are the amount.

    Where that leaves the first alone, figures that are all zero are worth it too: names by themselves say nothing.
    """
    useful = [i for i, column in enumerate(table.columns) if not _useless(table, i, column)]
    if len(useful) > 1:
        return useful
    figures = [
        i for i, column in enumerate(table.columns) if column.name != table.band and _zeros(table, i)
    ]
    return sorted({*useful, *figures})


def _zeros(table: Table, i: int) -> bool:
    return any(row[i] == 0 for row in table.rows)


def _useless(table: Table, i: int, column: Column) -> bool:
    if column.name == table.band:
        return True
    if column.name == "amount" or i == 0 or not table.rows:
        return False
    if column.name == "charges" and "amount" in table.names:
        at = table.names.index("amount")
        return all(row[i] == row[at] for row in table.rows)
    return all(row[i] in {None, "", 0} and not isinstance(row[i], Fraction) for row in table.rows)


def _shown(table: Table, report: Report, kept: Sequence[int]) -> Iterator[Shown]:
    def texts(cells: Sequence[Cell]) -> tuple[str, ...]:
        return tuple(cell_text(cells[i], table.columns[i], report.minor_digits) for i in kept)

    for heading_, group in _bands(table):
        if heading_:
            subtotal = texts(_sums(table, group))
            yield Shown("band", (heading_, *subtotal[1:]))
        for i in group:
            yield Shown("row", texts(table.rows[i]), table.levels[i] if table.levels else 0)
    if any(total is not None for total in table.totals):
        yield Shown("total", ("Total", *texts(table.totals)[1:]))


def _bands(table: Table) -> Iterator[tuple[str, list[int]]]:
    """Each band's heading and the numbers of its rows."""
    if not table.band:
        yield "", list(range(len(table.rows)))
        return
    at = table.names.index(table.band)
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(table.rows):
        groups.setdefault(str(row[at]), []).append(i)
    yield from groups.items()


def _sums(table: Table, group: Sequence[int]) -> tuple[int | None, ...]:
    return tuple(
        sum(_whole(table.rows[i][at]) for i in group) if column.adds else None
        for at, column in enumerate(table.columns)
    )


def _whole(cell: Cell) -> int:
    assert cell is None or isinstance(cell, int), f"not a whole number: {cell!r}"
    return cell or 0

"""What a report is: tables of exact figures and the charts made of them, without a way to be shown.

Amounts are whole minor units, shares are fractions, quantities are exact texts. Whoever renders a
report formats them; nobody computes with them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from chargeback.money import spelled

Cell = str | int | Fraction | None
"""One figure or word of a table; None where there is nothing to say."""


class InvalidReport(ValueError):
    """A report that cannot be made of what is there; the message says what to ask for instead."""


class Kind(StrEnum):
    """What a column holds: words, minor units, a number of things, a share, or a number as exact text."""

    TEXT = "text"
    MONEY = "money"
    COUNT = "count"
    SHARE = "share"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `adds` says that its total is the sum of its rows; others have no total.

    A SHARE is a fraction of one. A NUMBER is text as `money.exact_text` writes it, or empty.
    """

    name: str
    title: str
    kind: Kind = Kind.TEXT
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns. `levels` is each row's depth in a tree; empty where there is no tree.

    `band` names a column by which the rows are sorted already, so that they can be shown in bands.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    levels: tuple[int, ...] = ()
    band: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a row that does not fit the columns."""
        for row in self.rows:
            for column, cell in zip(self.columns, row, strict=True):
                _check(column, cell)
        if self.levels and len(self.levels) != len(self.rows):
            msg = f"{len(self.levels)} levels for {len(self.rows)} rows"
            raise ValueError(msg)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def totals(self) -> tuple[int | None, ...]:
        """The sum of every column that adds; None for the others."""
        return tuple(added(self.rows, i) if column.adds else None for i, column in enumerate(self.columns))

    def total(self, name: str) -> int:
        """The sum of a column. Raises ValueError where there is no such column."""
        return added(self.rows, self.names.index(name))


def added(rows: Sequence[tuple[Cell, ...]], i: int) -> int:
    """The sum of the whole numbers in the i-th cells."""
    return sum(cell for row in rows if isinstance(cell := row[i], int))


class Shape(StrEnum):
    """How the series of a chart stand: behind each other in one bar a label, each with its own bar, or as lines."""

    STACKED = "stacked"
    GROUPED = "grouped"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Chart:
    """Per label, one amount for each series: in minor units, or of things where `kind` is COUNT.

    The labels of LINES are in order, from left to right.
    """

    title: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[int, ...]], ...]
    shape: Shape = Shape.STACKED
    kind: Kind = Kind.MONEY

    def __post_init__(self) -> None:
        """Raises ValueError for a series that is longer or shorter than the labels."""
        for name, values in self.series:
            if len(values) != len(self.labels):
                msg = f"series {name} has {len(values)} values for {len(self.labels)} labels"
                raise ValueError(msg)


def shown(value: int, chart: Chart, digits: int) -> str:
    """A value of a chart for people, without its unit."""
    return spelled(value, digits if chart.kind is Kind.MONEY else 0)


@dataclass(frozen=True, slots=True)
class Report:
    """A report. The first table is the one that programs get; `total_minor` is what it is about.

    `total_title` says what that total is. `facts` are short pairs of label and value for the head; `status` is empty, or says that the
    figures are not final. `data` is what a CSV holds where that is not the first table. `nothing` is said of a table without rows.
    """

    name: str
    title: str
    subtitle: str
    currency: str
    minor_digits: int
    total_minor: int
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    status: str = ""
    data: Table | None = None
    total_title: str = "Total"
    nothing: str = ""

    @property
    def main(self) -> Table:
        """The first table."""
        return self.tables[0]

    @property
    def export(self) -> Table:
        """What programs read."""
        return self.data or self.main


def _check(column: Column, cell: Cell) -> None:
    allowed = {
        Kind.TEXT: str, Kind.NUMBER: str, Kind.MONEY: int, Kind.COUNT: int, Kind.SHARE: Fraction,
    }[column.kind]  # fmt: skip
    if cell is not None and not isinstance(cell, allowed):
        msg = f"column {column.name} holds {column.kind}, not {cell!r}"
        raise ValueError(msg)

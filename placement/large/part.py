"""Part of a matrix: some columns are free, the others keep their values, and their share moves to the rows' limits."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.relaxation import ranges
from placement.stages import Stage


@dataclass(frozen=True, eq=False)
class Columns:
    """A matrix by columns: the entries of column n are those from ``start[n]`` to ``start[n + 1]``."""

    start: Int64
    row: Int64
    coefficient: Int64

    @classmethod
    def of(cls, matrix: Matrix) -> "Columns":
        """The same entries, sorted by column."""
        row = np.repeat(np.arange(len(matrix.row_lower), dtype=np.int32), np.diff(matrix.start))
        order = np.argsort(matrix.column.astype(np.int32), kind="stable")
        counts = np.bincount(matrix.column, minlength=len(matrix.lower))
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(start, row[order].astype(np.int64), matrix.coefficient[order])

    def entries(self, columns: Int64) -> Int64:
        """Where the entries of these columns are, one column after another."""
        return ranges(self.start[columns], self.start[columns + 1])


@dataclass(frozen=True, eq=False)
class Part:
    """The free columns as a matrix of their own, with what rows have left for them."""

    columns: Int64
    matrix: Matrix

    def stage(self, name: str, costs: Int64) -> Stage:
        """An expression over the free columns, from costs [N] of all."""
        mine = costs[self.columns]
        some = np.flatnonzero(mine)
        return Stage(name, Expression(some, mine[some]))


@dataclass
class State:
    """Values of all columns that keep every row, and what each row adds up to."""

    matrix: Matrix
    by_column: Columns
    values: Int64
    activity: Int64

    @classmethod
    def of(cls, matrix: Matrix, by_column: Columns, values: Int64) -> "State":
        """The state of these values."""
        return cls(matrix, by_column, values, matrix.activity(values))

    def take(self, columns: Int64, values: Int64) -> None:
        """Give some columns other values."""
        change = values - self.values[columns]
        moved = np.flatnonzero(change)
        columns, change = columns[moved], change[moved]
        entries = self.by_column.entries(columns)
        each = np.repeat(change, self.by_column.start[columns + 1] - self.by_column.start[columns])
        np.add.at(self.activity, self.by_column.row[entries], each * self.by_column.coefficient[entries])
        self.values[columns] += change

    def rows_of(self, columns: Int64) -> Int64:
        """The rows that these columns are in."""
        return np.unique(self.by_column.row[self.by_column.entries(columns)])


def beyond(state: State, columns: Int64, first: int, most: int) -> Int64:
    """The columns from `first` on that share a row with `columns`, and those that share one with these; not above `most`."""
    found = np.empty(0, dtype=np.int64)
    edge = columns
    for _ in range(3):
        rows = state.rows_of(edge)
        met = state.matrix.column[ranges(state.matrix.start[rows], state.matrix.start[rows + 1])]
        new = np.setdiff1d(np.unique(met[met >= first]), found)
        new = np.setdiff1d(new, columns)
        if len(new) == 0 or len(found) + len(new) > most:
            break
        found, edge = np.concatenate([found, new]), new
    return np.sort(found)


def part_of(state: State, columns: Int64) -> Part:
    """The part of these columns, which are sorted; rows that can no longer be broken are left out."""
    matrix, by_column = state.matrix, state.by_column
    entries = by_column.entries(columns)
    rows, row = np.unique(by_column.row[entries], return_inverse=True)
    row = row.reshape(-1)
    counts = by_column.start[columns + 1] - by_column.start[columns]
    column = np.repeat(np.arange(len(columns), dtype=np.int64), counts)
    coefficient = by_column.coefficient[entries]
    now = np.zeros(len(rows), dtype=np.int64)
    np.add.at(now, row, coefficient * state.values[columns][column])
    others = state.activity[rows] - now
    row_lower, row_upper = (
        np.where(np.abs(one) >= NO_LIMIT, one, one - others)
        for one in (matrix.row_lower[rows], matrix.row_upper[rows])
    )
    lower, upper = matrix.lower[columns].copy(), matrix.upper[columns].copy()
    _fold(lower, upper, row, column, coefficient, row_lower, row_upper)
    least, most = _reach(len(rows), row, coefficient, lower[column], upper[column])
    kept = (least < row_lower) | (most > row_upper)
    return Part(columns, _rows(lower, upper, row, column, coefficient, row_lower, row_upper, kept))


def _fold(
    lower: Int64,
    upper: Int64,
    row: Int64,
    column: Int64,
    coefficient: Int64,
    row_lower: Int64,
    row_upper: Int64,
) -> None:
    """What a row of one column says, as the column's own bounds."""
    alone = np.bincount(row, minlength=len(row_lower))[row] == 1
    at, sign, size = row[alone], np.sign(coefficient[alone]), np.abs(coefficient[alone])
    low = np.where(sign > 0, row_lower[at], -row_upper[at])
    high = np.where(sign > 0, row_upper[at], -row_lower[at])
    some = low > -NO_LIMIT
    np.maximum.at(lower, column[alone][some], -(-low[some] // size[some]))
    some = high < NO_LIMIT
    np.minimum.at(upper, column[alone][some], high[some] // size[some])


def _reach(count: int, row: Int64, coefficient: Int64, lower: Int64, upper: Int64) -> tuple[Int64, Int64]:
    """The least and the most that each row can add up to."""
    least, most = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    np.add.at(least, row, np.where(coefficient > 0, coefficient * lower, coefficient * upper))
    np.add.at(most, row, np.where(coefficient > 0, coefficient * upper, coefficient * lower))
    return least, most


def _rows(
    lower: Int64,
    upper: Int64,
    row: Int64,
    column: Int64,
    coefficient: Int64,
    row_lower: Int64,
    row_upper: Int64,
    kept: np.ndarray,
) -> Matrix:
    number = np.cumsum(kept) - 1
    some = np.flatnonzero(kept[row])
    some = some[np.argsort(row[some], kind="stable")]
    counts = np.bincount(number[row[some]], minlength=int(kept.sum()))
    return Matrix(
        lower=lower,
        upper=upper,
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        column=column[some],
        coefficient=coefficient[some],
        row_lower=row_lower[kept],
        row_upper=row_upper[kept],
        terms={},
    )

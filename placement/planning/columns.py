"""The planning model as it is built: columns, rows and what they cost, in integers.

Columns that must be whole are told apart from those that bounds may take in parts (`placement.planning.mip`);
in plans all are whole.
"""

from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from placement.matrix import NO_LIMIT, Expression, Matrix

EMPTY: Int64 = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Sum:
    """A weighted sum of columns, and the most that it can be."""

    columns: Int64
    factors: Int64
    most: int

    def times(self, factor: int) -> "Sum":
        """So many times as much."""
        return Sum(self.columns, self.factors * factor, self.most * factor)

    @property
    def empty(self) -> bool:
        """Whether it is always 0."""
        return not self.factors.any()


NOTHING = Sum(EMPTY, EMPTY, 0)


def one(column: int, most: int, factor: int = 1) -> Sum:
    """Of one column that is at most so much."""
    return Sum(np.array([column], dtype=np.int64), np.array([factor], dtype=np.int64), most * factor)


def added(parts: list[Sum]) -> Sum:
    """All of them."""
    return Sum(
        np.concatenate([EMPTY, *(part.columns for part in parts)]),
        np.concatenate([EMPTY, *(part.factors for part in parts)]),
        sum(part.most for part in parts),
    )


@dataclass(frozen=True, eq=False)
class Later:
    """Rows ``cell <= count * sum of on`` that only the linear program needs; R rows."""

    cells: Int64
    """[R]"""
    count: Int64
    """[R]"""
    on: Int64
    """[R, n]"""


@dataclass(frozen=True, eq=False)
class Split:
    """Machines of some groups in one pool by the alternative that licenses them: rows ``sum of by_way - cells = 0``."""

    rows: Int64
    """[n]"""
    groups: Int64
    """[n]"""
    cells: Int64
    """[n] columns."""
    by_way: Int64
    """[A, n] columns."""


@dataclass
class Columns:
    """What the parts of the model post to."""

    count: int = 0
    _lower: list[Int64] = field(default_factory=list)
    _upper: list[Int64] = field(default_factory=list)
    _whole: list[Bool] = field(default_factory=list)
    _row: list[Int64] = field(default_factory=list)
    _column: list[Int64] = field(default_factory=list)
    _factor: list[Int64] = field(default_factory=list)
    _row_lower: list[Int64] = field(default_factory=list)
    _row_upper: list[Int64] = field(default_factory=list)
    _costs: list[tuple[Int64, Int64]] = field(default_factory=list)
    row_count: int = 0
    later: list["Later"] = field(default_factory=list)
    switches: list[Int64] = field(default_factory=list)
    """Columns that are 0 or 1 and decide about others."""
    splits: list["Split"] = field(default_factory=list)

    def split(self, groups: Int64, cells: Int64, by_way: Int64) -> None:
        """Machines are what alternatives license of them, group by group."""
        n, ways = len(cells), len(by_way)
        each = np.arange(n, dtype=np.int64)
        self.splits.append(Split(self.row_count + each, groups, cells, by_way))
        factors = np.concatenate([np.ones(n * ways, dtype=np.int64), np.full(n, -1, dtype=np.int64)])
        none = np.zeros(n, dtype=np.int64)
        self.rows(np.tile(each, ways + 1), np.concatenate([by_way.reshape(-1), cells]), factors, none, none)

    def switch(self, count: int) -> Int64:
        """[count] new columns that are 0 or 1 and decide about others."""
        found = self.add(np.ones(count, dtype=np.int64))
        self.switches.append(found)
        return found

    def at_most_where(self, cells: Int64, count: Int64, on: Int64) -> None:
        """``cell <= count * sum of on``: true in whole numbers anyway, and for bounds to add where parts break it."""
        self.later.append(Later(cells, count, np.repeat(on[None, :], len(cells), axis=0)))

    def add(self, upper: Int64, *, whole: bool = True, lower: Int64 | None = None) -> Int64:
        """New columns from `lower`, or 0, to `upper`, in the same shape; in parts, where they need not be `whole`."""
        found = np.arange(self.count, self.count + upper.size, dtype=np.int64).reshape(upper.shape)
        self.count += upper.size
        from_ = np.zeros(upper.size, dtype=np.int64) if lower is None else lower.reshape(-1)
        self._lower.append(from_.astype(np.int64))
        self._upper.append(upper.reshape(-1).astype(np.int64))
        self._whole.append(np.full(upper.size, whole, dtype=np.bool_))
        return found

    def column(self, most: int, *, whole: bool = True) -> int:
        """One new column."""
        return int(self.add(np.array([most], dtype=np.int64), whole=whole)[0])

    def rows(self, row: Int64, column: Int64, factor: Int64, lower: Int64, upper: Int64) -> None:
        """Many rows at once; `row` counts from 0 within this call."""
        used = factor != 0
        self._row.append(row[used] + self.row_count)
        self._column.append(column[used])
        self._factor.append(factor[used])
        self._row_lower.append(lower)
        self._row_upper.append(upper)
        self.row_count += len(lower)

    def row(self, left: Sum, lower: int = -NO_LIMIT, upper: int = NO_LIMIT) -> None:
        """One row: ``lower <= left <= upper``."""
        self.rows(
            np.zeros(len(left.columns), dtype=np.int64),
            left.columns,
            left.factors,
            np.array([lower], dtype=np.int64),
            np.array([upper], dtype=np.int64),
        )

    def below(self, less: Sum, more: Sum, beside: int = 0) -> None:
        """``less <= more + beside``."""
        self.row(added([less, more.times(-1)]), upper=beside)

    def equal(self, a: Sum, b: Sum) -> None:
        """``a = b``."""
        self.row(added([a, b.times(-1)]), 0, 0)

    def cost(self, columns: Int64, micros: Int64) -> None:
        """What each of these columns costs."""
        self._costs.append((columns.reshape(-1), micros.reshape(-1)))

    @property
    def lower(self) -> Int64:
        """[N]."""
        return np.concatenate([EMPTY, *self._lower])

    @property
    def upper(self) -> Int64:
        """[N]."""
        return np.concatenate([EMPTY, *self._upper])

    @property
    def whole(self) -> Bool:
        """[N]."""
        return np.concatenate([np.empty(0, dtype=np.bool_), *self._whole])

    def matrix(self) -> Matrix:
        """All of it by rows, each pair of row and column once; its one term is ``cost``."""
        row = np.concatenate([EMPTY, *self._row])
        column = np.concatenate([EMPTY, *self._column])
        factor = np.concatenate([EMPTY, *self._factor])
        key, at = np.unique(row * max(self.count, 1) + column, return_inverse=True)
        summed = np.zeros(len(key), dtype=np.int64)
        np.add.at(summed, at.reshape(-1), factor)
        row, column = key // max(self.count, 1), key % max(self.count, 1)
        sizes = np.bincount(row, minlength=self.row_count)
        cost = np.zeros(self.count, dtype=np.int64)
        for columns, micros in self._costs:
            np.add.at(cost, columns, micros)
        priced = np.flatnonzero(cost)
        return Matrix(
            lower=self.lower,
            upper=self.upper,
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            column=column,
            coefficient=summed,
            row_lower=np.concatenate([EMPTY, *self._row_lower]),
            row_upper=np.concatenate([EMPTY, *self._row_upper]),
            terms={"cost": Expression(priced, cost[priced])},
        )

"""Columns and rows of a matrix that look alike, each kind of them as one: a small program with the same prices.

Colour refinement: two columns are alike where they have the same bounds and costs, and the same coefficients in
rows that are alike; two rows where they have the same limits and the same coefficients on columns that are alike.
Where all hosts of a kind are alike, the small program has the large one's optimum (Grohe, Kersting, Mladenov and
Selman, "Dimension reduction via colour refinement", ESA 2014). Where limits differ a little, rows may be taken as
alike all the same: the small program is then of averages, and its prices are only good, not best. Bounds hold for any.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.matrix import NO_LIMIT, Matrix
from placement.relaxation import Float64, Program

UInt64 = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 12
ENOUGH = 60_000
"""Kinds above which differences of limits and costs are overlooked."""
_STEPS = (None, 2.0)
"""How finely values are told apart: exactly, or by so many steps for each doubling."""


@dataclass(frozen=True, eq=False)
class Alike:
    """The kind of each column [N] and of each row [M], numbered from 0."""

    column: Int64
    row: Int64

    @property
    def columns(self) -> int:
        """How many kinds of columns there are."""
        return int(self.column.max(initial=-1)) + 1

    @property
    def rows(self) -> int:
        """How many kinds of rows there are."""
        return int(self.row.max(initial=-1)) + 1


def alike(matrix: Matrix, costs: Int64, enough: int = ENOUGH) -> Alike | None:
    """At most so many kinds, told apart as finely as that allows; None where that takes more. Costs [N]."""
    for step in _STEPS:
        found, stable = _refined(matrix, costs, step, enough)
        if stable:
            return found
    return None


def coarsest(matrix: Matrix, costs: Int64) -> Alike:
    """The kinds before there would be too many: the small program is then of averages of different things."""
    return _refined(matrix, costs, _STEPS[-1], ENOUGH)[0]


def program_of(matrix: Matrix, costs: Int64, kinds: Alike) -> Program:
    """The averages: all columns of a kind are equal, and of a kind of rows only their mean must hold."""
    many = np.bincount(kinds.row, minlength=kinds.rows).astype(np.float64)
    row = kinds.row[_row_of(matrix)]
    key, at = np.unique(row * max(1, kinds.columns) + kinds.column[matrix.column], return_inverse=True)
    total = np.bincount(at.reshape(-1), weights=matrix.coefficient, minlength=len(key))
    at_row, at_column = key // max(1, kinds.columns), key % max(1, kinds.columns)
    size = np.bincount(kinds.column, minlength=kinds.columns).astype(np.float64)
    return Program(
        lower=_mean(kinds.column, matrix.lower, size),
        upper=_mean(kinds.column, matrix.upper, size),
        cost=_mean(kinds.column, costs, size) * size,
        start=np.searchsorted(at_row, np.arange(kinds.rows + 1)),
        column=at_column,
        coefficient=total / many[at_row],
        row_lower=_mean_limit(kinds.row, matrix.row_lower, many),
        row_upper=_mean_limit(kinds.row, matrix.row_upper, many),
    )


def prices_of(kinds: Alike, prices: Float64) -> Float64:
    """[M] what a price of each kind of rows is for each row of it."""
    many = np.bincount(kinds.row, minlength=kinds.rows).astype(np.float64)
    spread: Float64 = (prices / np.maximum(many, 1.0))[kinds.row]
    return spread


def _mean(kind: Int64, values: Int64, size: Float64) -> Float64:
    means: Float64 = np.bincount(kind, weights=values, minlength=len(size)) / np.maximum(size, 1.0)
    return means


def _mean_limit(kind: Int64, limits: Int64, size: Float64) -> Float64:
    """The mean of finite limits; rows of a kind are all open, or none is."""
    is_open = np.abs(limits) >= NO_LIMIT
    means = _mean(kind, np.where(is_open, 0, limits), size)
    means[kind[is_open]] = np.sign(limits[is_open]) * np.inf
    return means


def _row_of(matrix: Matrix) -> Int64:
    return np.repeat(np.arange(len(matrix.row_lower), dtype=np.int64), np.diff(matrix.start))


def _refined(matrix: Matrix, costs: Int64, step: float | None, enough: int) -> tuple[Alike, bool]:
    """Refine until nothing changes, or until there would be more than enough kinds; and whether it ended."""
    column = _number(matrix.lower, matrix.upper, _rounded(costs, step))
    limits = (matrix.row_lower, matrix.row_upper)
    row = _number(*(np.where(np.abs(one) >= NO_LIMIT, one, _rounded(one, step)) for one in limits))
    now = Alike(column, row)
    count = (now.columns, now.rows)
    for _ in range(_ROUNDS):
        row = _number(now.row, _met_by_rows(matrix, now.column))
        column = _number(now.column, _met_by_columns(matrix, row))
        finer = Alike(column, row)
        if finer.columns + finer.rows > enough:
            return now, False
        now = finer
        if (now.columns, now.rows) == count:
            return now, True
        count = (now.columns, now.rows)
    return now, True


def _met_by_rows(matrix: Matrix, kind: Int64) -> Int64:
    """[M] a number that stands for what the coefficients on each kind of columns add up to; sums wrap around."""
    products = matrix.coefficient * _hash(kind).view(np.int64)[matrix.column]
    sums = np.concatenate([[0], np.cumsum(products)])
    met: Int64 = sums[matrix.start[1:]] - sums[matrix.start[:-1]]
    return met


def _met_by_columns(matrix: Matrix, kind: Int64) -> Int64:
    """[N] the same of the rows that each column is in."""
    products = matrix.coefficient * np.repeat(_hash(kind).view(np.int64), np.diff(matrix.start))
    sums = np.zeros(len(matrix.lower), dtype=np.int64)
    np.add.at(sums, matrix.column, products)
    return sums


def _rounded(values: Int64, step: float | None) -> Int64:
    """Values as they are, or on a scale of so many steps for each doubling."""
    if step is None:
        return values
    size = np.floor(np.log2(np.maximum(np.abs(values), 1).astype(np.float64)) * step + 0.5)
    return np.where(values == 0, 0, np.sign(values) * (size.astype(np.int64) + 1))


def _number(*values: Int64) -> Int64:
    """Numbers from 0, equal where all values are; which number stands for what depends on the values alone."""
    total = np.zeros(len(values[0]), dtype=np.uint64)
    for one in values:
        total = _mixed(total * _ODD + _hash(one))
    return np.unique(total, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _hash(values: Int64) -> UInt64:
    return _mixed(values.astype(np.uint64) + _ODD)


def _mixed(values: Any) -> UInt64:
    """The finaliser of SplitMix64: two different numbers that come to the same are not to be expected."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64 = values ^ (values >> np.uint64(31))
    return mixed

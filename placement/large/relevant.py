"""Which rows and columns of a matrix a bound needs, when all of them would leave nothing alike.

Any rows give a bound. Those that say where a few requests must not meet tell every host apart and hardly change what
all cost; those that tie costs to cells, and those of room, are what the costs come from.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.matrix import NO_LIMIT, Matrix
from placement.relaxation import Float64, ranges

_HOPS = 8
_ALL = 6_000_000
"""Entries up to which all rows are tried."""
_NEAR = 0.05


@dataclass(frozen=True, eq=False)
class View:
    """Some rows of a matrix; columns that have no use there stay at their lower bounds."""

    matrix: Matrix
    rows: Int64
    count: int
    """How many rows there are in the whole."""

    def whole(self, prices: Float64) -> Float64:
        """Prices of all rows: nothing for those that are not here."""
        every = np.zeros(self.count)
        every[self.rows] = prices
        return every


def views(
    matrix: Matrix, costs: Int64, shape: tuple[int, int], values: Int64 | None = None
) -> Iterator[View]:
    """All rows; then those of classes, of room and of costs; then only those of them that a plan comes near to.

    `shape` is (G, V); `values` [N] are a plan's. Rows of single providers are kept as long as there are any.
    """
    classes, providers = shape
    size = np.diff(matrix.start)
    own = np.arange(len(size)) < classes
    wide = (size >= max(1, classes // 2)) | own
    idle = _idle(matrix, costs)
    if len(matrix.column) <= _ALL:
        yield _view(matrix, np.ones(len(size), dtype=np.bool_), idle)
    priced = _about_costs(matrix, costs, classes * providers, idle)
    yield _view(matrix, wide | priced, idle)
    if values is not None:
        near = own | (size <= classes) | _near(matrix, values)
        yield _view(matrix, (wide & near) | priced, idle)
        yield _view(matrix, wide & near, idle)
    yield _view(matrix, own | (wide & (size <= classes)), idle)


def _view(matrix: Matrix, rows: Bool, idle: Bool) -> View:
    chosen = np.flatnonzero(rows)
    entries = ranges(matrix.start[chosen], matrix.start[chosen + 1])
    number = np.repeat(np.arange(len(chosen)), matrix.start[chosen + 1] - matrix.start[chosen])
    used = ~idle[matrix.column[entries]] | (matrix.lower[matrix.column[entries]] != 0)
    counts = np.bincount(number[used], minlength=len(chosen))
    view = Matrix(
        lower=matrix.lower,
        upper=np.where(idle, matrix.lower, matrix.upper),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        column=matrix.column[entries][used],
        coefficient=matrix.coefficient[entries][used],
        row_lower=matrix.row_lower[chosen],
        row_upper=matrix.row_upper[chosen],
        terms={},
    )
    return View(view, chosen, len(matrix.row_lower))


def _near(matrix: Matrix, values: Int64) -> Bool:
    """[M] rows that a plan comes near to breaking: only these are likely to have a price."""
    activity = matrix.activity(values).astype(np.float64)
    below = activity >= matrix.row_upper * (1 - _NEAR * np.sign(matrix.row_upper))
    above = activity <= matrix.row_lower * (1 + _NEAR * np.sign(matrix.row_lower))
    near: Bool = below | above
    return near


def _idle(matrix: Matrix, costs: Int64) -> Bool:
    """Columns that cost nothing less and loosen no row when they rise: an optimum has them at their lower bounds."""
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    loosens = np.where(
        matrix.coefficient > 0, matrix.row_lower[row] > -NO_LIMIT, matrix.row_upper[row] < NO_LIMIT
    )
    useful = np.bincount(matrix.column, weights=loosens, minlength=len(matrix.lower)) > 0
    idle: Bool = ~useful & (costs >= 0)
    return idle


def _about_costs(matrix: Matrix, costs: Int64, cells: int, idle: Bool) -> Bool:
    """[M] rows with a column beyond the cells that costs something, or that shares such a row with one that does."""
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    beyond = (matrix.column >= cells) & ~idle[matrix.column]
    row, column = row[beyond], matrix.column[beyond]
    reached = (costs != 0) & (np.arange(len(costs)) >= cells)
    rows = np.zeros(len(matrix.row_lower), dtype=np.bool_)
    for _ in range(_HOPS):
        rows[row[reached[column]]] = True
        more = reached.copy()
        more[column[rows[row]]] = True
        if (more == reached).all():
            break
        reached = more
    return rows

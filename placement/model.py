"""The decision as a matrix, for any solver: how many requests of each class go to each pool.

A cell is one class in one pool, numbered ``class * P + pool``. Constraints forbid cells and post rows;
`rows` then gives what is left of both once what can never bind has been dropped.
"""

from dataclasses import dataclass

import numpy as np

from placement.classes import Classes, classes_of
from placement.problem import Bool, Int64, PlacementProblem


@dataclass(frozen=True, eq=False)
class Rows:
    """Upper bounds of cells, and rows ``sum(coefficient * count) <= limit`` by their entries.

    E entries, sorted by cell, all with coefficient > 0 and a cell whose upper bound is > 0; M rows.
    """

    upper: Int64
    """[G, P] the most of a class that can be in a pool."""
    row: Int64
    """[E]."""
    cell: Int64
    """[E]."""
    coefficient: Int64
    """[E]."""
    limit: Int64
    """[M]."""
    start: Int64
    """[G + 1] where the entries of each class begin."""


class CountModel:
    """What constraints post to. All rows are packing rows: coefficients and limits are >= 0."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        self.classes: Classes = classes_of(problem)
        self._upper = np.repeat(self.classes.count[:, None], len(problem.pool_ids), axis=1)
        self._cells: list[Int64] = []
        self._coefficients: list[Int64] = []
        self._limits: list[int] = []

    @property
    def shape(self) -> tuple[int, int]:
        """(G, P)."""
        g, p = self._upper.shape
        return g, p

    def forbid(self, cells: Bool) -> None:
        """No request of the class may go to the pool where `cells` [G, P] is true."""
        self._upper[cells] = 0

    def at_most(self, cells: Int64, coefficients: Int64, limit: int) -> None:
        """The counts of `cells` times their `coefficients` must not add up to more than `limit`."""
        if limit < 0 or (coefficients < 0).any():
            msg = f"a packing row has no negative values: limit {limit}, {coefficients.min(initial=0)}"
            raise AssertionError(msg)
        used = coefficients > 0
        self._cells.append(cells[used])
        self._coefficients.append(coefficients[used])
        self._limits.append(limit)

    def rows(self) -> Rows:
        """The posted model without the entries and rows that cannot bind."""
        limit = np.array(self._limits, dtype=np.int64)
        sizes = [len(cells) for cells in self._cells]
        row = np.repeat(np.arange(len(limit), dtype=np.int64), sizes)
        cell = np.concatenate([np.empty(0, dtype=np.int64), *self._cells])
        coefficient = np.concatenate([np.empty(0, dtype=np.int64), *self._coefficients])

        upper = self._upper.reshape(-1).copy()
        np.minimum.at(upper, cell, limit[row] // coefficient)
        reach = np.zeros(len(limit), dtype=np.int64)
        np.add.at(reach, row, coefficient * upper[cell])
        keep = (upper[cell] > 0) & (reach > limit)[row]
        order = np.argsort(cell[keep], kind="stable")
        row, cell, coefficient = row[keep][order], cell[keep][order], coefficient[keep][order]
        kept, row = np.unique(row, return_inverse=True)
        g, p = self.shape
        start = np.searchsorted(cell, np.arange(g + 1) * p)
        return Rows(upper.reshape(g, p), row, cell, coefficient, limit[kept], start)

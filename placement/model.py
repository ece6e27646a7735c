"""The decision as a matrix: how many requests of each class go to each provider.

A cell is one class on one provider, numbered ``class * V + provider``; cells are the first columns. What a
constraint needs beyond them, it adds as columns of its own.
"""

from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from placement.classes import Classes, classes_of
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.problem import TERMS, PlacementProblem


@dataclass(frozen=True, eq=False)
class Rows:
    """Upper bounds of cells, and rows ``sum(coefficient * count) <= limit`` by their entries.

    E entries, sorted by cell, all with coefficient > 0 and a cell whose upper bound is > 0; M rows.
    """

    upper: Int64
    """[G, V] the most of a class that can be on a provider."""
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


@dataclass
class _Blocks:
    """Rows and entries as they are posted, many at a time."""

    first: list[int] = field(default_factory=list)
    """Of each block, how many rows stand before it."""
    row: list[Int64] = field(default_factory=list)
    """From 0 within each block."""
    column: list[Int64] = field(default_factory=list)
    coefficient: list[Int64] = field(default_factory=list)
    lower: list[Int64] = field(default_factory=list)
    upper: list[Int64] = field(default_factory=list)
    about: list[Int64] = field(default_factory=list)
    count: int = 0


class Model:
    """What constraints post to. `classes` are the problem's, where they are known already.

    Where constraints are kept `apart`, nothing of one may need another: rows of each then hold by it alone, so
    that `placement.conflict` can leave others out.
    """

    def __init__(
        self, problem: PlacementProblem, classes: Classes | None = None, *, apart: bool = False
    ) -> None:
        self.problem, self.apart = problem, apart
        self.classes: Classes = classes_of(problem) if classes is None else classes
        v = len(problem.providers.ids)
        self._upper = np.repeat(self.classes.count[:, None], v, axis=1)
        self._blocks = _Blocks()
        self._more_lower: list[Int64] = []
        self._more_upper: list[Int64] = []
        self._columns = self._upper.size
        self._cells: Int64 | None = None
        self._terms: dict[str, list[tuple[Int64, Int64]]] = {}
        self._staying: Int64 | None = None
        self.choices: dict[str, Int64] = {}
        """[G, V, C] by constraint: the column that counts who of a class on a provider chose what; -1: nobody can."""

    @property
    def shape(self) -> tuple[int, int]:
        """(G, V)."""
        g, v = self._upper.shape
        return g, v

    @property
    def upper(self) -> Int64:
        """[G, V] the most of a class on a provider so far, read-only; all of it, where constraints are kept apart."""
        every = np.broadcast_to(self.classes.count[:, None], self._upper.shape)
        view = every if self.apart else self._upper.view()
        view.setflags(write=False)
        return view

    @property
    def forbidden(self) -> Bool:
        """[G, V] the cells that were forbidden so far."""
        cells: Bool = self._upper == 0
        return cells

    @property
    def plain(self) -> bool:
        """Whether there are cells only, packing rows only, and nothing but their prices costs anything."""
        packing = all((rows > -NO_LIMIT).sum() == 0 for rows in self._blocks.lower) and all(
            (n >= 0).all() for n in self._blocks.coefficient
        )
        return packing and self._columns == self._upper.size and not self._terms

    @property
    def row_count(self) -> int:
        """How many rows the matrix has so far: one for each class, then those that were posted."""
        return len(self.classes.count) + self._blocks.count

    def abouts(self) -> Int64:
        """What each row of the matrix is about; 0 for the rows of classes."""
        return np.concatenate([np.zeros(len(self.classes.count), dtype=np.int64), *self._blocks.about])

    def cells(self) -> Int64:
        """[G, V] the column of each cell, read-only."""
        if self._cells is None:
            self._cells = np.arange(self._upper.size, dtype=np.int64).reshape(self._upper.shape)
            self._cells.setflags(write=False)
        return self._cells

    def forbid(self, cells: Bool) -> None:
        """No request of the class may go to the provider where `cells` [G, V] is true."""
        self._upper[cells] = 0

    def variables(self, lower: Int64, upper: Int64) -> Int64:
        """New whole-number columns with these bounds, in the same shape."""
        count = lower.size
        self._more_lower.append(lower.reshape(-1).astype(np.int64))
        self._more_upper.append(upper.reshape(-1).astype(np.int64))
        self._columns += count
        return np.arange(self._columns - count, self._columns, dtype=np.int64).reshape(lower.shape)

    def booleans(self, count: int) -> Int64:
        """[count] new columns that are 0 or 1."""
        return self.variables(np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64))

    def rows(
        self,
        row: Int64,
        column: Int64,
        coefficient: Int64,
        lower: Int64,
        upper: Int64,
        about: Int64 | None = None,
    ) -> None:
        """Many rows at once: ``lower[m] <= sum of coefficient * column over entries with row == m <= upper[m]``.

        `row` counts from 0 within this call; entries with coefficient 0 are dropped. `about` [m] tells apart
        the facts that a constraint's rows are about, for `placement.conflict`; all are about one where it is not given.
        The arrays are kept as they are: whoever posts them must not change them.
        """
        used = coefficient != 0
        if not used.all():
            row, column, coefficient = row[used], column[used], coefficient[used]
        blocks = self._blocks
        blocks.first.append(blocks.count)
        blocks.row.append(row)
        blocks.column.append(column)
        blocks.coefficient.append(coefficient)
        blocks.lower.append(lower)
        blocks.upper.append(upper)
        blocks.about.append(np.zeros(len(lower), dtype=np.int64) if about is None else about)
        blocks.count += len(lower)

    def row(self, columns: Int64, coefficients: Int64, lower: int, upper: int) -> None:
        """One row; `NO_LIMIT` (negated, below) where a side is open."""
        zeros = np.zeros(columns.size, dtype=np.int64)
        bounds = np.array([lower], dtype=np.int64), np.array([upper], dtype=np.int64)
        self.rows(zeros, columns.reshape(-1), coefficients.reshape(-1), *bounds)

    def at_most(self, columns: Int64, coefficients: Int64, limit: int) -> None:
        """A packing row: `columns` times their `coefficients` must not add up to more than `limit`, all >= 0."""
        if limit < 0 or (coefficients < 0).any():
            msg = f"a packing row has no negative values: limit {limit}, {coefficients.min(initial=0)}"
            raise AssertionError(msg)
        self.row(columns, coefficients, -NO_LIMIT, limit)

    def cost(self, term: str, columns: Int64, coefficients: Int64) -> None:
        """Add to a term of the objective."""
        assert term in TERMS, f"'{term}' is no term of the objective: {TERMS}"
        self._terms.setdefault(term, []).append((columns.reshape(-1), coefficients.reshape(-1)))

    def indicator(self, columns: Int64, most: Int64) -> int:
        """A new column that is 1 where any of `columns` is above 0; `most` are their upper bounds.

        It may be 1 without need: what it costs keeps it down.
        """
        (on,) = self.booleans(1).tolist()
        n = columns.size
        row = np.repeat(np.arange(n, dtype=np.int64), 2)
        pairs = np.column_stack([columns.reshape(-1), np.full(n, on, dtype=np.int64)]).reshape(-1)
        signs = np.column_stack([np.ones(n, dtype=np.int64), -most.reshape(-1)]).reshape(-1)
        self.rows(row, pairs, signs, np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64))
        return int(on)

    def staying(self) -> Int64:
        """New columns for each cell where some of a class run today: how many of them stay; posted once."""
        if self._staying is None:
            upper = np.minimum(self.classes.current, self._upper).reshape(-1)
            home = np.flatnonzero(upper)
            stay = self.variables(np.zeros(len(home), dtype=np.int64), upper[home])
            n = len(home)
            row = np.repeat(np.arange(n, dtype=np.int64), 2)
            pairs = np.column_stack([stay, home]).reshape(-1)
            signs = np.tile(np.array([1, -1], dtype=np.int64), n)
            self.rows(row, pairs, signs, np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64))
            self._staying = stay
        return self._staying

    def choose(self, name: str, columns: Int64) -> None:
        """Say which columns [G, V, C] count the choices of a constraint; -1 where there is none to make.

        The constraint itself posts that the choices of a cell add up to the cell.
        """
        self.choices[name] = columns

    def chosen(self, values: Int64) -> dict[str, Int64]:
        """[G, V, C] by constraint, how many of a cell chose what, from the values of all columns."""
        return {
            name: np.where(columns >= 0, values[np.maximum(columns, 0)], 0)
            for name, columns in self.choices.items()
        }

    def matrix(self) -> Matrix:
        """All that was posted, by rows; each class placed at most as often as it is there, prices, and moves."""
        g, v = self.shape
        moves = self._moves()
        cells = self.cells()
        blocks = self._blocks
        ordered = [
            _by_row(*block)
            for block in zip(blocks.row, blocks.column, blocks.coefficient, blocks.lower, strict=True)
        ]
        lower = np.concatenate([np.zeros(self._upper.size, dtype=np.int64), *self._more_lower])
        upper = np.concatenate([self._upper.reshape(-1), *self._more_upper])
        sizes = np.concatenate([np.full(g, v, dtype=np.int64), *(size for size, _, _ in ordered)])
        return Matrix(
            lower=lower,
            upper=upper,
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            column=np.concatenate([cells.reshape(-1), *(column for _, column, _ in ordered)]),
            coefficient=np.concatenate([np.ones(g * v, dtype=np.int64), *(some for _, _, some in ordered)]),
            row_lower=np.concatenate([np.full(g, -NO_LIMIT), *blocks.lower]),
            row_upper=np.concatenate([self.classes.count, *blocks.upper]),
            terms=self._expressions(cells, moves),
        )

    def _moves(self) -> list[tuple[Int64, Int64]]:
        """Less one for each machine that stays where it runs."""
        if not any("moves" in level for level in self.problem.objective) or not self.classes.current.any():
            return []
        stay = self.staying()
        return [(stay, np.full(len(stay), -1, dtype=np.int64))]

    def _expressions(self, cells: Int64, moves: list[tuple[Int64, Int64]]) -> dict[str, Expression]:
        price = (cells.reshape(-1), self.classes.cost.reshape(-1))
        posted = {"price": [price], **self._terms}
        if moves:
            posted["moves"] = moves
        return {
            term: Expression(np.concatenate([c for c, _ in parts]), np.concatenate([n for _, n in parts]))
            for term, parts in posted.items()
        }

    def packing_rows(self) -> Rows:
        """What a plain model posted, without the entries and rows that cannot bind."""
        assert self.plain, "only a model of cells is a packing"
        blocks = self._blocks
        empty = np.empty(0, dtype=np.int64)
        row = np.concatenate([empty, *(one + n for one, n in zip(blocks.row, blocks.first, strict=True))])
        cell = np.concatenate([empty, *blocks.column])
        coefficient = np.concatenate([empty, *blocks.coefficient])
        limit = np.concatenate([empty, *blocks.upper])

        upper = self._upper.reshape(-1).copy()
        np.minimum.at(upper, cell, limit[row] // coefficient)
        reach = np.zeros(len(limit), dtype=np.int64)
        np.add.at(reach, row, coefficient * upper[cell])
        keep = (upper[cell] > 0) & (reach > limit)[row]
        order = np.argsort(cell[keep], kind="stable")
        row, cell, coefficient = row[keep][order], cell[keep][order], coefficient[keep][order]
        kept, row = np.unique(row, return_inverse=True)
        g, v = self.shape
        start = np.searchsorted(cell, np.arange(g + 1) * v)
        return Rows(upper.reshape(g, v), row, cell, coefficient, limit[kept], start)


def _by_row(row: Int64, column: Int64, coefficient: Int64, lower: Int64) -> tuple[Int64, Int64, Int64]:
    """A block's number of entries by row, and its entries row after row, those of a row in the order posted."""
    count = len(lower)
    sizes = np.bincount(row, minlength=count)
    if (row[1:] >= row[:-1]).all():
        return sizes, column, coefficient
    # Numpy sorts 16 bits by counting, which is several times as quick.
    order = np.argsort(row.astype(np.uint16) if count <= 2**16 else row, kind="stable")
    return sizes, column[order], coefficient[order]

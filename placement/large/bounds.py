"""What no plan is below, stage by stage: prices of the small program of what is alike, checked on the whole matrix.

Where whole hosts (or packs) make a difference, how many of a kind of columns are used is branched on: at most n of
them, or at least n + 1. Every leaf's bound is recomputed in integers on the whole matrix; the least of them holds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from math import ceil, floor

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.large import alike
from placement.large.alike import Alike
from placement.large.relevant import View, views
from placement.matrix import NO_LIMIT, Matrix
from placement.outcome import NOTHING_PROVEN
from placement.relaxation import Float64, Program, Relaxed, Solver, Sums, dense, proven, with_row
from placement.stages import Stage

_ITERATIONS_PER_UNIT = 200_000.0
"""Simplex iterations that count as one second of deterministic time, at a thousand entries."""
_COUNTED_S = 1e-8
"""Deterministic time of counting one entry of the matrix."""
_LEAVES = 200
_WHOLE = 1e-6
_DEAR, _FEW = 4.0, 50.0
"""In the program, leaving out so few more than the plan at hand does costs so many times what this stage has come to."""


@dataclass(order=True)
class _Node:
    value: float
    number: int
    limits: Mapping[int, tuple[int, int]] = field(compare=False)
    """How many of a kind of columns there are together, where that is limited."""
    answer: Relaxed = field(compare=False)


class Bounds:
    """Asked for one stage after the other, with what the plan at hand has reached on those before."""

    def __init__(self, matrix: Matrix, shape: tuple[int, int], budget: Budget) -> None:
        """`shape` is (G, V): the first G times V columns are cells, the first G rows are of classes."""
        self._matrix, self._shape, self._budget = matrix, shape, budget
        self._own = _packed(matrix)

    def least(
        self,
        stages: tuple[Stage, ...],
        reached: tuple[int, ...],
        stage: Stage,
        value: int,
        deterministic_time: float,
        values: Int64 | None = None,
    ) -> int:
        """No plan that reaches as much in `stages` makes `stage` less.

        `value` is what the plan at hand has, and `values` [N] are its columns, which tell what rows may matter.
        """
        matrix = self._matrix
        for one, most in zip(stages, reached, strict=True):
            if len(one.expression.column):
                matrix = with_row(matrix, one.expression, -NO_LIMIT, most - one.constant)
        everyone = sum(one.constant for one in stages if one.name == "unplaced")
        dear = _DEAR * (abs(value) + 1.0) * min(1.0, _FEW / max(1, everyone))
        end = self._budget.deterministic_time - deterministic_time
        costs = dense(len(matrix.lower), stage.expression)
        bound = NOTHING_PROVEN
        for view, kinds in _small(matrix, costs, self._shape, values):
            cells = self._shape[0] * self._shape[1]
            tree = _Tree(matrix, stage, view, kinds, cells, self._own, self._budget, dear)
            bound = max(bound, tree.bound(value, end))
            if tree.answered or self._budget.spent:
                break
        return min(value, bound)


def _small(
    matrix: Matrix, costs: Int64, shape: tuple[int, int], values: Int64 | None
) -> Iterator[tuple[View, Alike]]:
    """Views with few enough kinds, the fullest first; of the last, whatever its kinds are."""
    view = None
    for view in views(matrix, costs, shape, values):
        kinds = alike.alike(view.matrix, costs)
        if kinds is not None:
            yield view, kinds
    assert view is not None, "there is always a view of all rows"
    yield view, alike.coarsest(view.matrix, costs)


class _Tree:
    """Branch and bound over how many of each kind of columns beyond the cells are used."""

    def __init__(
        self,
        matrix: Matrix,
        stage: Stage,
        view: View,
        kinds: Alike,
        cells: int,
        own: Int64,
        budget: Budget,
        dear: float,
    ) -> None:
        """What the program misses, it misses at a `dear` price."""
        self._matrix, self._stage, self._budget, self._own = matrix, stage, budget, own
        self._view, self.kinds = view, kinds
        costs = dense(len(matrix.lower), stage.expression)
        self._step = max(1, int(np.gcd.reduce(stage.expression.coefficient)))
        self._size = np.bincount(self.kinds.column, minlength=self.kinds.columns)
        self._program: Program = alike.program_of(view.matrix, costs, self.kinds)
        beyond = np.unique(self.kinds.column[cells:])
        self._counted = beyond[self._program.lower[beyond] >= 0]
        self._solver = Solver(_elastic(self._program, dear))
        self._numbers = count()
        self._closed: list[int] = []
        self.answered = False

    def bound(self, value: int, end: float) -> int:
        """The least of the leaves when the budget is down to `end`, when all are proven, or when none can be raised."""
        root = self._solved({})
        if root is None:
            return self._exact({}, np.zeros(self.kinds.rows))
        self.answered = True
        best = self._exact(root.limits, root.answer.prices)
        open_nodes = [root]
        for _ in range(_LEAVES):
            if self._over(end) or not open_nodes or self._raised(open_nodes[0].value) >= value:
                break
            node = heappop(open_nodes)
            at = self._branching(node.answer)
            if at is None:
                self._closed.append(self._exact(node.limits, node.answer.prices))
                continue
            for child in self._children(node, at):
                heappush(open_nodes, child)
        leaves = [self._exact(node.limits, node.answer.prices) for node in open_nodes]
        return max(best, min([*self._closed, *leaves], default=value))

    def _children(self, node: _Node, at: int) -> list[_Node]:
        total = float(node.answer.values[at] * self._size[at])
        low, high = node.limits.get(at, self._range(at))
        found = []
        for limits in ((low, floor(total)), (ceil(total), high)):
            child = self._solved({**node.limits, at: limits})
            if child is None:
                # Its parent's prices prove no less of it than they did of the parent; it is not looked at again.
                self._closed.append(self._exact({**node.limits, at: limits}, node.answer.prices))
            else:
                found.append(child)
        return found

    def _range(self, at: int) -> tuple[int, int]:
        size = int(self._size[at])
        return round(float(self._program.lower[at]) * size), round(float(self._program.upper[at]) * size)

    def _solved(self, limits: Mapping[int, tuple[int, int]]) -> _Node | None:
        for at, (low, high) in limits.items():
            self._solver.bound(at, low / self._size[at], high / self._size[at])
        entries = len(self._program.column)
        most = int(self._budget.deterministic_time * _ITERATIONS_PER_UNIT * 1000 / max(1000, entries))
        answer = self._solver.solve(self._budget.time_limit_s, most, self._budget.seed)
        for at in limits:
            self._solver.bound(at, self._program.lower[at], self._program.upper[at])
        if answer is None:
            self._budget.spend(0.01, 0.0)
            return None
        work = answer.iterations * max(1000, entries) / 1000 / _ITERATIONS_PER_UNIT
        self._budget.spend(work + 0.001, answer.wall_s)
        return _Node(answer.objective, next(self._numbers), limits, answer)

    def _over(self, end: float) -> bool:
        return self._budget.spent or self._budget.deterministic_time < end

    def _branching(self, answer: Relaxed) -> int | None:
        """The kind whose total is farthest from whole."""
        total = answer.values[self._counted] * self._size[self._counted]
        away = np.abs(total - np.rint(total))
        if not len(away) or away.max() < _WHOLE:
            return None
        return int(self._counted[int(np.argmax(away))])

    def _exact(self, limits: Mapping[int, tuple[int, int]], prices: Float64) -> int:
        self._budget.spend(_COUNTED_S * len(self._matrix.column), 0.0)
        sums = self._sums(limits)
        spread = self._view.whole(alike.prices_of(self.kinds, prices))
        least = proven(self._matrix, self._stage.expression, spread, sums)
        return -(-least // self._step) * self._step + self._stage.constant

    def _raised(self, objective: float) -> int:
        """What a leaf of this value would prove, were floats exact."""
        least = objective - abs(objective) * 1e-9
        return (
            ceil(least / self._step) * self._step + self._stage.constant
            if np.isfinite(least)
            else NOTHING_PROVEN
        )

    def _sums(self, limits: Mapping[int, tuple[int, int]]) -> Sums:
        """The class rows of the cells, and what was branched on."""
        of = self._own.copy()
        lower, upper = np.zeros(len(self._matrix.row_lower), dtype=np.int64), self._matrix.row_upper.copy()
        if limits:
            kinds = np.array(sorted(limits), dtype=np.int64)
            number = np.full(self.kinds.columns, -1, dtype=np.int64)
            number[kinds] = len(lower) + np.arange(len(kinds))
            chosen = number[self.kinds.column]
            of = np.where(chosen >= 0, chosen, of)
            lower = np.append(lower, [limits[k][0] for k in kinds.tolist()])
            upper = np.append(upper, [limits[k][1] for k in kinds.tolist()])
        return Sums(of, lower, upper)


def _elastic(program: Program, dear: float) -> Program:
    """With a column for each row that is not kept where all are at their lower bounds, which it may be missed by.

    Then every branch has an answer, and where that misses a row its value says how hopeless it is.
    """
    row_of = np.repeat(np.arange(len(program.row_lower)), np.diff(program.start))
    products = program.coefficient * program.lower[program.column]
    least = np.bincount(row_of, weights=products, minlength=len(program.row_lower))
    rows = np.flatnonzero((least < program.row_lower) | (least > program.row_upper))
    n = len(rows)
    order = np.argsort(np.concatenate([row_of, rows]), kind="stable")
    columns = np.concatenate([program.column, len(program.lower) + np.arange(n)])
    signs = np.where(least[rows] < program.row_lower[rows], 1.0, -1.0)
    coefficients = np.concatenate([program.coefficient, signs])
    counts = np.diff(program.start)
    counts[rows] += 1
    return replace(
        program,
        lower=np.append(program.lower, np.zeros(n)),
        upper=np.append(program.upper, np.full(n, np.inf)),
        cost=np.append(program.cost, np.full(n, dear)),
        start=np.concatenate([[0], np.cumsum(counts)]),
        column=columns[order],
        coefficient=coefficients[order],
    )


def _packed(matrix: Matrix) -> Int64:
    """[N] for each column >= 0 a row that limits the sum of such columns, the first there is; -1 for none."""
    row_of = np.repeat(np.arange(len(matrix.row_lower), dtype=np.int64), np.diff(matrix.start))
    bad = (matrix.coefficient < 1) | (matrix.lower[matrix.column] < 0)
    good = np.bincount(row_of, weights=bad, minlength=len(matrix.row_lower)) == 0
    good &= (matrix.row_upper < NO_LIMIT) & (matrix.row_lower <= 0)
    found = np.full(len(matrix.lower), len(good), dtype=np.int64)
    some = good[row_of] & (matrix.lower[matrix.column] == 0)
    np.minimum.at(found, matrix.column[some], row_of[some])
    return np.where(found == len(good), -1, found)

"""Column generation: what requests are worth when hosts can only be filled in ways that exist.

A linear program mixes fillings of hosts, each of one kind, so that all requests are placed at the least
cost; its dual prices say what a request of each shape is worth, and the search for the filling that is
worth most adds the next. With any prices, the most that one host of each kind can hold is a cut
(Gilmore and Gomory 1961; Dantzig and Wolfe's bound): prices are rounded to integers and the search
is exact, so that no cut depends on floating point.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.hosts.cuts import Cut
from placement.hosts.kinds import Kinds

_SCALE = 1_000
"""Prices are rounded to this part of a unit of cost."""
_NODES = 1_000_000
"""Where the search for a filling takes more steps, hosts hold too many requests for this."""
_NODES_PER_UNIT = 20_000_000
_ROUNDS = 200
SHAPES = 400
"""More shapes than this make the linear program slow."""


def filling_cuts(kinds: Kinds, host_of: Int64, budget: Budget) -> Iterator[Cut]:
    """A cut of each round whose searches came to their end, beginning with the fillings of a plan."""
    from placement.hosts.kernels import fullest  # noqa: PLC0415 - loads numba, which takes a second

    if not 0 < len(kinds.count) <= SHAPES:
        return
    master = _Master(kinds)
    for kind, filling in _fillings(kinds, host_of):
        master.add(kind, filling)
    for _ in range(_ROUNDS):
        worth = master.prices()
        if worth is None or budget.spent:
            return
        value, added, ended = np.zeros(len(kinds.cost), dtype=np.int64), False, True
        for t in range(len(kinds.cost)):
            chosen = _order(kinds, worth, t)
            most, filling, nodes = fullest(
                kinds.demand[chosen], kinds.count[chosen], kinds.capacity[t].copy(), worth[chosen], _NODES
            )
            budget.spend(nodes / _NODES_PER_UNIT, 0.0)
            value[t], ended = most, ended and nodes < _NODES
            if most > master.asked[t]:
                every = np.zeros(len(kinds.count), dtype=np.int64)
                every[chosen] = filling
                added = master.add(t, every) or added
        if not ended:
            return
        yield Cut(value, worth)
        if not added:
            return


def _order(kinds: Kinds, worth: Int64, t: int) -> Int64:
    """Shapes that a kind can take and that are worth something, those worth most for their size first."""
    size = (kinds.demand / np.maximum(kinds.capacity[t], 1)).max(axis=1, initial=0.0)
    order = np.argsort(-worth / np.maximum(size, 1e-9), kind="stable")
    chosen: Int64 = order[kinds.fits[order, t] & (worth[order] > 0)]
    return chosen


def _fillings(kinds: Kinds, host_of: Int64) -> Iterator[tuple[int, Int64]]:
    """(kind of host, [C] requests of each shape) of each different filling of a plan."""
    placed = np.flatnonzero((host_of >= 0) & (kinds.shape_of >= 0))
    hosts, position = np.unique(host_of[placed], return_inverse=True)
    counts = np.zeros((len(hosts), len(kinds.count)), dtype=np.int64)
    np.add.at(counts, (position, kinds.shape_of[placed]), 1)
    for row in np.unique(np.column_stack([kinds.kind_of[hosts], counts]), axis=0):
        yield int(row[0]), row[1:]


class _Master:
    """The linear program of all fillings so far."""

    def __init__(self, kinds: Kinds) -> None:
        from ortools.linear_solver import pywraplp  # noqa: PLC0415 - many problems need none

        self._optimal = pywraplp.Solver.OPTIMAL
        self._lp: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._infinity = self._lp.infinity()
        self._cost, self._known = kinds.cost, set[bytes]()
        self.asked: list[int] = []
        """[T] what a filling must be worth, in the parts of the prices, to make the program cheaper."""
        self._shapes = [self._lp.Constraint(float(n), self._infinity) for n in kinds.count.tolist()]
        self._hosts = [self._lp.Constraint(-self._infinity, float(n)) for n in kinds.hosts.tolist()]
        self._lp.Objective().SetMinimization()
        for row in self._shapes:  # Without a host: dear, so that there is an answer from the beginning.
            out = self._lp.NumVar(0.0, self._infinity, "")
            self._lp.Objective().SetCoefficient(out, 4.0 * float(kinds.cost.max(initial=1)) + 1.0)
            row.SetCoefficient(out, 1.0)

    def add(self, kind: int, filling: Int64) -> bool:
        """One more way to fill a host; whether it is new."""
        key = bytes([kind % 256, kind // 256]) + filling.tobytes()
        if key in self._known:
            return False
        self._known.add(key)
        column = self._lp.NumVar(0.0, self._infinity, "")
        self._lp.Objective().SetCoefficient(column, float(self._cost[kind]))
        self._hosts[kind].SetCoefficient(column, 1.0)
        for c in np.flatnonzero(filling).tolist():
            self._shapes[c].SetCoefficient(column, float(filling[c]))
        return True

    def prices(self) -> Int64 | None:
        """[C] what a request of each shape is worth, in parts of a unit of cost; None where that failed."""
        if self._lp.Solve() != self._optimal:
            return None
        self.asked = [
            round((cost - row.dual_value()) * _SCALE)
            for cost, row in zip(self._cost.tolist(), self._hosts, strict=True)
        ]
        dual = np.array([row.dual_value() for row in self._shapes])
        worth: Int64 = np.rint(np.maximum(dual, 0.0) * _SCALE).astype(np.int64)
        return worth

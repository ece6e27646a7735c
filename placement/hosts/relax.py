"""The linear program of shapes on kinds of host: what it would pay for each resource of each kind."""

from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.hosts.cuts import Cut, priced
from placement.hosts.kinds import Kinds

_SCALE = 2.0**32
"""A request without a host weighs this; prices are rounded to it."""
CELLS = 60_000
"""Above so many shapes x kinds the program takes seconds, and the cuts of counting must do."""


def separate(kinds: Kinds, counts: Int64) -> Cut | None:
    """The strongest priced cut against `counts` [T] hosts of each kind; None where it says nothing."""
    if kinds.fits.size > CELLS:
        return None
    price = _prices(kinds, counts)
    if price is None or not price.any():
        return None
    cut = priced(kinds, price)
    return Cut(cut.value, np.minimum(cut.weight, int(_SCALE)))


def _prices(kinds: Kinds, counts: Int64) -> Int64 | None:
    """[T, K] from: leave out the fewest, where the hosts of one kind are one large host."""
    from ortools.linear_solver import pywraplp  # noqa: PLC0415 - most of a second, and small problems need none

    solver: Any = pywraplp.Solver.CreateSolver("GLOP")
    infinity = solver.infinity()
    rows = [
        [solver.Constraint(-infinity, float(has * n)) for has in capacity]
        for capacity, n in zip(kinds.capacity.tolist(), counts.tolist(), strict=True)
    ]
    solver.Objective().SetMinimization()
    demand = kinds.demand.tolist()
    for c, count in enumerate(kinds.count.tolist()):
        every = solver.Constraint(float(count), infinity)
        out = solver.NumVar(0.0, infinity, "")
        solver.Objective().SetCoefficient(out, 1.0)
        every.SetCoefficient(out, 1.0)
        for t in np.flatnonzero(kinds.fits[c] & (counts > 0)).tolist():
            variable = solver.NumVar(0.0, infinity, "")
            every.SetCoefficient(variable, 1.0)
            for k, amount in enumerate(demand[c]):
                if amount:
                    rows[t][k].SetCoefficient(variable, float(amount))
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        return None
    dual = np.array([[-row.dual_value() for row in one] for one in rows]).reshape(kinds.capacity.shape)
    price: Int64 = np.rint(np.maximum(dual, 0.0) * _SCALE).astype(np.int64)
    return price

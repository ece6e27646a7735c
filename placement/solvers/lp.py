"""The linear program under the counts: where it would put fractions, and what it pays for the rows.

Only a hint: what it says is rounded to a packing that keeps every row, and to bounds that hold for
any prices (`placement.bounds`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.packing import Packing


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Whole parts of the counts [G, P], and prices of the rows [M]."""

    counts: Int64
    prices: list[float]


def relax(packing: Packing, value: Int64, placed: int, budget: Budget, share: float) -> Relaxed | None:
    """Minimise `value` [G, P] over fractional counts that place at least `placed`.

    None where a `share` of the budget did not suffice. GLOP does not tell the deterministic time that
    it took, so only its wall time is taken off.
    """
    from ortools.linear_solver import pywraplp  # noqa: PLC0415 - many plans need no solver

    solver: Any = pywraplp.Solver.CreateSolver("GLOP")
    # Perturbed dual simplex: 0.8 s for 40,000 cells, where GLOP's default takes 2 to 4 s.
    solver.SetSolverSpecificParametersAsString(
        "use_dual_simplex: true perturb_costs_in_dual_simplex: true "
        f"max_deterministic_time: {budget.deterministic_time * share} "
        f"max_time_in_seconds: {budget.time_limit_s * share}"
    )
    cells = np.flatnonzero(packing.upper).tolist()
    variables = _variables(solver, packing, cells, value)
    _post_classes(solver, packing, variables)
    every = solver.Constraint(float(placed), solver.infinity())
    for variable in variables.values():
        every.SetCoefficient(variable, 1.0)
    rows = _post_rows(solver, packing, variables)
    status = solver.Solve()
    budget.spend(0.0, solver.wall_time() / 1000)
    if status != pywraplp.Solver.OPTIMAL:
        return None
    counts = np.zeros(packing.upper.size, dtype=np.int64)
    # Simplex answers are within 1e-6 of the vertex; a hair below an integer is that integer.
    counts[cells] = [int(variables[cell].solution_value() + 1e-6) for cell in cells]
    prices = [-row.dual_value() for row in rows]
    return Relaxed(counts.reshape(packing.upper.shape), prices)


def seat(packing: Packing, counts: Int64) -> None:
    """Add as many of `counts` [G, P] as every row allows."""
    for g in np.flatnonzero(counts.any(axis=1)).tolist():
        for p in np.flatnonzero(counts[g]).tolist():
            n = min(int(counts[g, p]), int(packing.room(g)[p]), packing.waiting(g))
            if n > 0:
                packing.add(g, p, n)


def _variables(solver: Any, packing: Packing, cells: list[int], value: Int64) -> dict[int, Any]:
    upper, values = packing.upper.reshape(-1).tolist(), value.reshape(-1).tolist()
    objective = solver.Objective()
    objective.SetMinimization()
    variables = {}
    for cell in cells:
        variables[cell] = solver.NumVar(0.0, float(upper[cell]), "")
        objective.SetCoefficient(variables[cell], float(values[cell]))
    return variables


def _post_classes(solver: Any, packing: Packing, variables: dict[int, Any]) -> None:
    limits = [solver.Constraint(0.0, float(count)) for count in packing.classes.count.tolist()]
    pools = packing.upper.shape[1]
    for cell, variable in variables.items():
        limits[cell // pools].SetCoefficient(variable, 1.0)


def _post_rows(solver: Any, packing: Packing, variables: dict[int, Any]) -> list[Any]:
    rows = packing.rows
    posted = [solver.Constraint(-solver.infinity(), float(limit)) for limit in rows.limit.tolist()]
    for row, cell, n in zip(rows.row.tolist(), rows.cell.tolist(), rows.coefficient.tolist(), strict=True):
        posted[row].SetCoefficient(variables[cell], float(n))
    return posted

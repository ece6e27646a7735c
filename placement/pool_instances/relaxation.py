"""Stage 1: which pools to open and how many licence packs to buy, in whole numbers; requests may be cut.

Its optimum is a bound that no plan is below. SCIP does this in a second where CP-SAT, or whole counts,
do not end; what it proves is proven in floating point, so a millionth of the bound is given away.

The solvers are spoken to through ortools' compiled helper: `model_builder` itself loads pandas, which
takes longer than most of these models take to solve.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64
from placement.pool_instances.cells import Cells

# By name: its stub, once read, makes mypy believe that `ortools.linear_solver` has nothing else.
helper: Any = import_module("ortools.linear_solver.python.model_builder_helper")

Float64 = npt.NDArray[np.float64]

_TOLERANCE = 1e-6
"""SCIP's own feasibility tolerance; the bound is lowered by this part of itself."""

_PARAMETERS = """
limits/gap = {gap}
randomization/randomseedshift = {seed}
separating/maxrounds = 0
separating/maxroundsroot = 0
presolving/maxrestarts = 0
"""
"""Only a few dozen variables are whole: branching on them ends three to ten times sooner than cutting planes."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A bound; and where there was time to find one, an answer in parts of requests."""

    bound: int
    counts: Float64 | None
    """[G, P]."""
    opened: Bool
    """[P]; all where there is no answer."""


def nothing(cells: Cells) -> Relaxed:
    """What is known before anything was solved."""
    return Relaxed(0, None, np.ones(cells.pools, dtype=np.bool_))


def relax(cells: Cells, time_limit_s: float, seed: int) -> Relaxed:
    """The least that opened pools, licence packs and parts of requests can cost.

    Deterministic where the wall limit does not stop it; then the bound is what was proven so far.
    """
    used = np.flatnonzero(cells.upper)
    solver = helper.ModelSolverHelper("scip")
    solver.set_time_limit_in_seconds(max(time_limit_s, 0.01))
    solver.set_solver_specific_parameters(_PARAMETERS.format(gap=_TOLERANCE, seed=seed))
    solver.solve(_model(cells, used, np.arange(cells.pools), whole=True))
    opened = np.ones(cells.pools, dtype=np.bool_)
    counts = None
    if solver.has_solution():
        values = np.array(solver.variable_values())
        counts = np.zeros(cells.upper.shape)
        counts.reshape(-1)[used] = values[: len(used)]
        opened = values[len(used) : len(used) + cells.pools] > 0.5
    bound = solver.best_objective_bound() if solver.has_response() else 0.0
    return Relaxed(_whole(bound), counts, opened)


def prices(cells: Cells, opened: Bool) -> Float64:
    """[P, R] what one more of a resource in an opened pool would save, with packs in parts too.

    The duals of the rooms; 0 where there is room to spare, in pools that are not opened, and everywhere
    if the linear program found no end.
    """
    used = np.flatnonzero((cells.upper > 0) & opened)
    pools = np.flatnonzero(opened)
    solver = helper.ModelSolverHelper("glop")
    solver.solve(_model(cells, used, pools, whole=False))
    worth = np.zeros(cells.instance.capacity.shape)
    if solver.status() == helper.SolveStatus.OPTIMAL:
        duals = np.array(solver.dual_values())
        first, many = len(cells.count), cells.demand.shape[1] * cells.pools
        worth = np.maximum(-duals[first : first + many].reshape(-1, cells.pools).T, 0.0)
    return np.where(opened[:, None], worth, 0.0)


def room(cells: Cells) -> Int64:
    """[P, R] the most of a resource that whole requests can use: capacity, down to a common divisor."""
    capacity = cells.instance.capacity.copy()
    for p in range(cells.pools):
        divisor = np.maximum(np.gcd.reduce(cells.demand[cells.upper[:, p] > 0], axis=0), 1)
        capacity[p] -= capacity[p] % divisor
    return capacity


def _whole(bound: float) -> int:
    """Costs are whole numbers, and none is negative."""
    if not np.isfinite(bound) or bound <= 0:
        return 0
    return int(np.ceil(bound - max(bound, 1.0) * _TOLERANCE))


class _Rows:
    """Rows of a linear model, collected as blocks of columns."""

    def __init__(self) -> None:
        self.entries: list[tuple[Int64, Int64, Float64]] = []
        self.low: list[Float64] = []
        self.high: list[Float64] = []
        self.number = 0

    def add(self, low: Any, high: Any, *blocks: tuple[Any, Any, Any]) -> None:
        """As many rows as `high` has; a block is (row of this group, variable, coefficient) per entry."""
        highs = np.asarray(high, dtype=np.float64)
        for row, variable, coefficient in blocks:
            n = len(row)
            coefficients = np.broadcast_to(np.asarray(coefficient, dtype=np.float64), (n,))
            self.entries.append((np.asarray(row) + self.number, np.asarray(variable), coefficients))
        self.high.append(highs)
        self.low.append(np.broadcast_to(np.asarray(low, dtype=np.float64), highs.shape))
        self.number += len(highs)

    def post(self, model: Any) -> None:
        """Into a model that has the variables."""
        for low, high in zip(np.concatenate(self.low), np.concatenate(self.high), strict=True):
            row = model.add_linear_constraint()
            model.set_constraint_lower_bound(row, low)
            model.set_constraint_upper_bound(row, high)
        columns = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        row, variable, coefficient = columns
        some = np.flatnonzero(coefficient)
        terms = (column[some].tolist() for column in (row, variable, coefficient))
        for each in zip(*terms, strict=True):
            model.add_term_to_constraint(*each)


def _model(cells: Cells, used: Int64, may_open: Int64, *, whole: bool) -> Any:
    """Variables: used cells, opened [P], packs [P], unplaced [G].

    Where nothing is whole, the pools that may open are open, and the first rows are the requests [G]
    and the rooms [R, P].
    """
    problem, pools, many = cells.instance, cells.pools, len(used)
    first_pack, first_unplaced = many + pools, many + 2 * pools
    total = first_unplaced + len(cells.count)
    lower, upper, cost = np.zeros(total), np.full(total, np.inf), np.empty(total)
    upper[:many] = cells.upper.reshape(-1)[used]
    upper[many:first_pack] = 0
    upper[many + may_open] = 1
    lower[many + may_open] = 0 if whole else 1
    upper[first_unplaced:] = cells.count
    cost[:many] = cells.cost.reshape(-1)[used]
    cost[many:first_pack] = problem.open_cost
    cost[first_pack:first_unplaced] = problem.licence_pack_cost
    cost[first_unplaced:] = problem.unplaced_cost
    model = helper.ModelBuilderHelper()
    for low, high, price in zip(lower.tolist(), upper.tolist(), cost.tolist(), strict=True):
        variable = model.add_var()
        model.set_var_lower_bound(variable, low)
        model.set_var_upper_bound(variable, high)
        model.set_var_objective_coefficient(variable, price)
    for variable in range(many, first_unplaced if whole else many):
        model.set_var_integrality(variable, True)
    _rows(cells, used // pools, used % pools, many).post(model)
    return model


def _rows(cells: Cells, g: Int64, p: Int64, many: int) -> _Rows:
    problem, pools = cells.instance, cells.pools
    variable, most = np.arange(many), room(cells)
    every, pool_of = np.arange(len(cells.count)), np.arange(pools)
    opened, packs, unplaced = many + pool_of, many + pools + pool_of, many + 2 * pools + every
    rows = _Rows()
    rows.add(cells.count, cells.count, (g, variable, 1), (every, unplaced, 1))
    for r in range(cells.demand.shape[1]):
        needs = np.flatnonzero(cells.demand[g, r])
        rows.add(
            -np.inf,
            np.zeros(pools),
            (p[needs], variable[needs], cells.demand[g[needs], r]),
            (pool_of, opened, -most[:, r]),
        )
    windows = np.flatnonzero(cells.licence[g])
    rows.add(
        -np.inf,
        np.zeros(pools),
        (p[windows], variable[windows], cells.licence[g[windows]]),
        (pool_of, packs, -problem.licence_pack_vcpus),
    )
    _add_seats(rows, cells, p, opened)
    _add_packs_in_all(rows, cells, packs, unplaced)
    _add_groups(rows, cells, g, p, opened)
    return rows


def _add_seats(rows: _Rows, cells: Cells, p: Int64, opened: Int64) -> None:
    """The most requests in a pool, where its rooms do not say less: the row is dense, and SCIP slower for it."""
    least = cells.demand.min(axis=0, initial=np.iinfo(np.int64).max)
    fits = np.full(cells.pools, np.iinfo(np.int64).max)
    for r in np.flatnonzero(least):
        fits = np.minimum(fits, cells.instance.capacity[:, r] // least[r])
    bound = np.flatnonzero(np.minimum(cells.pool_limit, cells.count.sum()) < fits)
    mine = np.flatnonzero(np.isin(p, bound))
    row = np.searchsorted(bound, p[mine])
    each = np.arange(len(bound))
    rows.add(-np.inf, np.zeros(len(bound)), (row, mine, 1), (each, opened[bound], -cells.pool_limit[bound]))


def _add_packs_in_all(rows: _Rows, cells: Cells, packs: Int64, unplaced: Int64) -> None:
    """Rounding up in each pool is at least rounding up the sum (a Chvatal-Gomory cut of the packs)."""
    size = cells.instance.licence_pack_vcpus
    need = -(-int(cells.licence @ cells.count) // size)
    each = -(-cells.licence // size)
    some = np.flatnonzero(each)
    zero, zeros = np.zeros(len(packs), dtype=np.int64), np.zeros(len(some), dtype=np.int64)
    rows.add(need, np.full(1, np.inf), (zero, packs, 1), (zeros, unplaced[some], each[some]))


def _add_groups(rows: _Rows, cells: Cells, g: Int64, p: Int64, opened: Int64) -> None:
    pools = cells.pools
    spread = np.flatnonzero(cells.group[g] >= 0)
    if not len(spread):
        return
    key, row = np.unique(cells.group[g[spread]] * pools + p[spread], return_inverse=True)
    limit = -cells.group_limit[key // pools]
    each = np.arange(len(key))
    rows.add(-np.inf, np.zeros(len(key)), (row.reshape(-1), spread, 1), (each, opened[key % pools], limit))

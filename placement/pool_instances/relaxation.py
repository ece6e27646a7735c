"""Stage 1: which pools to open and how many licence packs to buy, in whole numbers; requests may be cut.

Its optimum is a bound that no plan is below. SCIP does this in a second where CP-SAT, or whole counts,
do not end; what it proves is proven in floating point, so a millionth of the bound is given away.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from placement.pool_instances.cells import Cells
from placement.problem import Bool, Int64

Float64 = npt.NDArray[np.float64]

_TOLERANCE = 1e-6
"""SCIP's own feasibility tolerance; the bound is lowered by this part of itself."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A bound; and where there was time to find one, an answer in parts of requests."""

    bound: int
    counts: Float64 | None
    """[G, P]."""
    opened: Bool
    """[P]; all where there is no answer."""


def relax(cells: Cells, time_limit_s: float, seed: int) -> Relaxed:
    """The least that opened pools, licence packs and parts of requests can cost.

    Deterministic where the wall limit does not stop it; then the bound is what was proven so far.
    """
    used = np.flatnonzero(cells.upper)
    model = mathopt.Model.from_model_proto(_proto(cells, used))
    parameters = mathopt.SolveParameters(
        time_limit=timedelta(seconds=time_limit_s), random_seed=seed, relative_gap_tolerance=_TOLERANCE
    )
    result = mathopt.solve(model, mathopt.SolverType.GSCIP, params=parameters)
    opened = np.ones(cells.pools, dtype=np.bool_)
    counts = None
    if result.has_primal_feasible_solution():
        values = np.array(result.variable_values(list(model.variables())))
        counts = np.zeros(cells.upper.shape)
        counts.reshape(-1)[used] = values[: len(used)]
        opened = values[len(used) : len(used) + cells.pools] > 0.5
    return Relaxed(_whole(result.termination.objective_bounds.dual_bound), counts, opened)


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


def _proto(cells: Cells, used: Int64) -> Any:
    """Variables: used cells, opened [P], packs [P], unplaced [G]."""
    problem, pools, many = cells.instance, cells.pools, len(used)
    g, p = used // pools, used % pools
    first_pack, first_unplaced = many + pools, many + 2 * pools
    total = first_unplaced + len(cells.count)
    upper = np.full(total, np.inf)
    upper[:many] = cells.upper.reshape(-1)[used]
    upper[many:first_pack] = 1
    upper[first_unplaced:] = cells.count
    cost = np.concatenate(
        [
            cells.cost.reshape(-1)[used],
            problem.open_cost,
            np.full(pools, problem.licence_pack_cost),
            np.full(len(cells.count), problem.unplaced_cost),
        ]
    ).astype(np.float64)
    proto = model_pb2.ModelProto()
    variables = proto.variables
    variables.ids.extend(np.arange(total))
    variables.lower_bounds.extend(np.zeros(total))
    variables.upper_bounds.extend(upper)
    whole = np.zeros(total, dtype=np.bool_)
    whole[many:first_unplaced] = True
    variables.integers.extend(whole.tolist())
    priced = np.flatnonzero(cost)
    proto.objective.linear_coefficients.ids.extend(priced)
    proto.objective.linear_coefficients.values.extend(cost[priced])
    rows = _rows(cells, g, p, many)
    _post(proto, rows)
    return proto


def _rows(cells: Cells, g: Int64, p: Int64, many: int) -> _Rows:
    problem, pools = cells.instance, cells.pools
    variable = np.arange(many)
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
            (pool_of, opened, -problem.capacity[:, r]),
        )
    windows = np.flatnonzero(cells.licence[g])
    rows.add(
        -np.inf,
        np.zeros(pools),
        (p[windows], variable[windows], cells.licence[g[windows]]),
        (pool_of, packs, -problem.licence_pack_vcpus),
    )
    rows.add(-np.inf, np.zeros(many), (variable, variable, 1), (variable, many + p, -cells.upper[g, p]))
    rows.add(-np.inf, np.zeros(pools), (p, variable, 1), (pool_of, opened, -cells.pool_limit))
    _add_packs_in_all(rows, cells, packs, unplaced)
    _add_groups(rows, cells, g, p, opened)
    return rows


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


def _post(proto: Any, rows: _Rows) -> None:
    row, variable, coefficient = (np.concatenate(part) for part in zip(*rows.entries, strict=True))
    some = coefficient != 0
    row, variable, coefficient = row[some], variable[some], coefficient[some]
    order = np.lexsort((variable, row))
    constraints, matrix = proto.linear_constraints, proto.linear_constraint_matrix
    constraints.ids.extend(np.arange(rows.number))
    constraints.lower_bounds.extend(np.concatenate(rows.low))
    constraints.upper_bounds.extend(np.concatenate(rows.high))
    matrix.row_ids.extend(row[order])
    matrix.column_ids.extend(variable[order])
    matrix.coefficients.extend(coefficient[order])

"""The best whole counts near known ones, by CP-SAT over a few hundred cells at a time.

CP-SAT is spoken to through ortools' compiled helper: `cp_model` itself loads pandas, for seconds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model_helper as helper

from placement.arrays import Int64
from placement.pool_instances.cells import Cells

_LOWEST = -(2**61)


@dataclass(frozen=True, eq=False)
class Near:
    """Which counts may change, and what may be spent on it."""

    low: Int64
    """[G, P]."""
    high: Int64
    """[G, P]; equal to `low` where the count stays."""
    deterministic_time: float
    time_limit_s: float
    seed: int
    light: bool = False
    """Whether to go without what pays only for larger parts: probing, symmetries, presolving again and again."""


@dataclass(frozen=True, eq=False)
class Found:
    """Counts at least as good as those known; `bound` holds for plans that differ only where they may."""

    counts: Int64
    bound: int


def improve(cells: Cells, counts: Int64, near: Near) -> Found | None:
    """Counts [G, P] that cost no more, or None where the limits were over before there were any.

    One worker and a limit in deterministic time give the same counts, unless the wall limit stops it.
    """
    model = helper.CpModelProto()
    built = _Built(cells, counts, near, model)
    parameters = helper.SatParameters()
    parameters.num_workers = 1  # More workers race, and ties then fall by chance.
    parameters.linearization_level = 2  # The rows are knapsacks: their relaxation says most.
    parameters.random_seed = near.seed
    parameters.max_deterministic_time = near.deterministic_time
    parameters.max_time_in_seconds = max(near.time_limit_s, 0.01)
    if near.light:
        parameters.cp_model_probing_level = 0
        parameters.symmetry_level = 0
        parameters.max_presolve_iterations = 1
    solver: Any = helper.SolveWrapper()
    solver.set_parameters(parameters)
    response = solver.solve(model)
    if response.status == helper.CpSolverStatus.UNKNOWN:
        return None
    if response.status not in {helper.CpSolverStatus.OPTIMAL, helper.CpSolverStatus.FEASIBLE}:
        msg = (
            f"a model with a known answer is {response.status}: {helper.CpSatHelper.validate_model(model)}"
        )
        raise AssertionError(msg)
    better = built.fixed.copy()
    better[built.g, built.p] = list(response.solution)[: len(built.g)]
    return Found(better, built.constant + int(response.inner_objective_lower_bound))


class _Built:
    """The model's rows, each named for what it keeps."""

    def __init__(self, cells: Cells, counts: Int64, near: Near, proto: Any) -> None:
        self._cells, self._counts, self._proto = cells, counts, proto
        self.g, self.p = np.nonzero(near.high > near.low)
        self.fixed = np.where(near.high > near.low, 0, counts)
        self._hint = counts[self.g, self.p].tolist()
        self._cost = cells.cost[self.g, self.p].tolist()
        domains = zip(near.low[self.g, self.p].tolist(), near.high[self.g, self.p].tolist(), strict=True)
        for low, high in domains:
            proto.variables.add().domain.extend([low, high])
        for g in np.unique(self.g).tolist():
            self._each_request_once(g)
        for p in np.unique(self.p).tolist():
            self._open_pool_has_room(p)
            self._packs_cover_windows(p)
        self._groups_spread()
        self._minimise()
        untouched = np.ones(cells.pools, dtype=np.bool_)
        untouched[self.p] = False
        rest = self.fixed.any(axis=0) & untouched
        self.constant = int((cells.cost * self.fixed).sum()) + int(cells.instance.open_cost[rest].sum())
        packs = int(cells.packs(self.fixed)[untouched].sum())
        self.constant += packs * cells.instance.licence_pack_cost
        waiting = np.ones(len(cells.count), dtype=np.bool_)
        waiting[self.g] = False
        self.constant += int(cells.unplaced(self.fixed)[waiting].sum()) * cells.instance.unplaced_cost

    def _each_request_once(self, g: int) -> None:
        cells = self._cells
        rest = int(cells.count[g] - self.fixed[g].sum())
        mine = np.flatnonzero(self.g == g)
        waits = self._variable(
            0, rest, int(cells.count[g] - self._counts[g].sum()), cells.instance.unplaced_cost
        )
        self._row(np.append(mine, waits), np.ones(len(mine) + 1, dtype=np.int64), rest, rest)

    def _open_pool_has_room(self, p: int) -> None:
        cells = self._cells
        mine = np.flatnonzero(self.p == p)
        taken = self.fixed[:, p]
        must = int(taken.any())
        opened = self._variable(must, 1, int(self._counts[:, p].any()), int(cells.instance.open_cost[p]))
        left = cells.instance.capacity[p] - taken @ cells.demand
        for r, room in enumerate(left.tolist()):
            self._row(np.append(mine, opened), np.append(cells.demand[self.g[mine], r], -room), _LOWEST, 0)
        seats = int(min(cells.pool_limit[p], cells.count.sum()) - taken.sum())
        self._row(np.append(mine, opened), np.append(np.ones_like(mine), -seats), _LOWEST, 0)

    def _packs_cover_windows(self, p: int) -> None:
        cells = self._cells
        mine = np.flatnonzero((self.p == p) & (cells.licence[self.g] > 0))
        size, taken = cells.instance.licence_pack_vcpus, int(cells.licence @ self.fixed[:, p])
        most = -(-int(cells.licence @ cells.count) // size)
        packs = self._variable(0, most, int(cells.packs(self._counts)[p]), cells.instance.licence_pack_cost)
        self._row(np.append(mine, packs), np.append(cells.licence[self.g[mine]], -size), _LOWEST, -taken)

    def _groups_spread(self) -> None:
        cells = self._cells
        group = cells.group[self.g]
        spread = np.flatnonzero(group >= 0)
        key = group[spread] * cells.pools + self.p[spread]
        for one in np.unique(key).tolist():
            a, p = divmod(one, cells.pools)
            taken = int(self.fixed[cells.group == a, p].sum())
            mine = spread[key == one]
            self._row(mine, np.ones_like(mine), _LOWEST, int(cells.group_limit[a]) - taken)

    def _minimise(self) -> None:
        self._proto.objective.vars.extend(np.arange(len(self._cost), dtype=np.int32))
        self._proto.objective.coeffs.extend(np.array(self._cost, dtype=np.int64))
        self._proto.solution_hint.vars.extend(np.arange(len(self._hint), dtype=np.int32))
        self._proto.solution_hint.values.extend(np.array(self._hint, dtype=np.int64))

    def _variable(self, low: int, high: int, hint: int, cost: int) -> int:
        self._proto.variables.add().domain.extend([low, high])
        self._hint.append(hint)
        self._cost.append(cost)
        return len(self._hint) - 1

    def _row(self, variables: Any, coefficients: Any, low: int, high: int) -> None:
        linear = self._proto.constraints.add().linear
        linear.vars.extend(np.asarray(variables, dtype=np.int32))
        linear.coeffs.extend(np.asarray(coefficients, dtype=np.int64))
        linear.domain.extend([low, high])

"""How many must stay out, and what the hosts must cost: proven with whole hosts of each kind.

Cuts and counts take turns: the cheapest counts of hosts that keep all cuts so far, then the cut that the
linear program finds against them. Counts and cuts are integers and the solver of the counts is exact.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from placement.budget import Budget
from placement.hosts.cuts import Cut, first_cuts
from placement.hosts.kinds import Kinds
from placement.hosts.relax import separate
from placement.problem import Int64

_ROUNDS = 40
_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Target:
    """Counts [T] of hosts that no cut forbids; None where there are none. No cheaper ones exist than `bound`."""

    counts: Int64 | None
    bound: int


@dataclass
class Bounds:
    """Cuts as they are found; asked for bounds and for counts of hosts that may suffice."""

    kinds: Kinds
    budget: Budget
    cuts: list[Cut] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what counting says."""
        self.cuts.extend(first_cuts(self.kinds))

    def least_unplaced(self) -> int:
        """No plan leaves out fewer of the requests that fit some host."""
        least = max((cut.least_unplaced(self.kinds) for cut in self.cuts), default=0)
        cut = separate(self.kinds, self.kinds.hosts)
        if cut is not None:
            self.cuts.append(cut)
            least = max(least, cut.least_unplaced(self.kinds))
        return least

    def cheapest(self, unplaced: int, at_least: int) -> Target:
        """The cheapest counts, of at least that cost, with which at most `unplaced` may stay out."""
        bound = at_least
        counts: Int64 | None = None
        for _ in range(_ROUNDS):
            counts, bound = self._counts(unplaced, bound)
            if counts is None or self.budget.spent:
                break
            cut = separate(self.kinds, counts)
            if cut is None or int((cut.value * counts).sum()) >= cut.need(self.kinds, unplaced):
                break
            self.cuts.append(cut)
        return Target(counts, bound)

    def _counts(self, unplaced: int, at_least: int) -> tuple[Int64 | None, int]:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - takes seconds; greedy alone needs none

        model: Any = cp_model.CpModel()
        counts = [model.new_int_var(0, int(n), "") for n in self.kinds.hosts]
        for cut in self.cuts:
            need = cut.need(self.kinds, unplaced)
            if need > 0:
                model.add(cp_model.LinearExpr.weighted_sum(counts, cut.value.tolist()) >= need)
        cost = cp_model.LinearExpr.weighted_sum(counts, self.kinds.cost.tolist())
        model.add(cost >= at_least)
        model.minimize(cost)
        solver: Any = cp_model.CpSolver()
        solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
        solver.parameters.random_seed = self.budget.seed
        solver.parameters.max_deterministic_time = max(self.budget.deterministic_time * _SHARE, 0.01)
        solver.parameters.max_time_in_seconds = max(self.budget.time_limit_s * _SHARE, 0.01)
        status = solver.solve(model)
        self.budget.spend(solver.deterministic_time, solver.wall_time)
        if status == cp_model.INFEASIBLE:
            return None, int((self.kinds.cost * self.kinds.hosts).sum()) + 1
        bound = at_least
        if status in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
            bound = max(bound, int(solver.response_proto.inner_objective_lower_bound))
            return np.array([solver.value(n) for n in counts], dtype=np.int64), bound
        return None, bound

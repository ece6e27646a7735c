"""How many must stay out, and what the hosts must cost: proven with whole hosts of each kind.

Cuts and counts take turns: the cheapest counts of hosts that keep all cuts so far, then the cut that the
linear program finds against them. Counts and cuts are integers and the solver of the counts is exact.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from placement.budget import Budget
from placement.hosts.counts import CELLS, Needs, cheapest, roomiest, strongest
from placement.hosts.cuts import Cut, first_cuts
from placement.hosts.kinds import Kinds
from placement.hosts.relax import separate
from placement.problem import Int64

_ROUNDS = 40
_SHARE = 0.2
_CELLS_PER_UNIT = 100_000_000
"""Counts x cuts looked at that count as one second of deterministic time."""


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
        target = Target(None, at_least)
        for _ in range(_ROUNDS):
            target = self.counted(unplaced, target.bound)
            if target.counts is None or self.budget.spent:
                break
            cut = separate(self.kinds, target.counts)
            if cut is None or int((cut.value * target.counts).sum()) >= cut.need(self.kinds, unplaced):
                break
            self.cuts.append(cut)
        return target

    def counted(self, unplaced: int, at_least: int) -> Target:
        """The cheapest counts that the cuts so far allow."""
        needs = self._needs(unplaced)
        if needs.cells > CELLS:
            return self._solved(needs, at_least)
        counts = cheapest(needs, at_least)
        self.budget.spend(needs.cells / _CELLS_PER_UNIT, 0.0)
        if counts is None:
            return Target(None, int((self.kinds.cost * self.kinds.hosts).sum()) + 1)
        return Target(counts, int((self.kinds.cost * counts).sum()))

    def roomiest(self, unplaced: int, at_most: int) -> Target:
        """Of the counts that cost at most that, those with the most to spare; `bound` is their cost."""
        needs = self._needs(unplaced)
        if needs.cells > CELLS:
            return self._solved(needs, at_most)
        self.budget.spend(needs.cells / _CELLS_PER_UNIT, 0.0)
        counts = roomiest(needs, at_most)
        return Target(counts, 0 if counts is None else int((self.kinds.cost * counts).sum()))

    def _needs(self, unplaced: int) -> Needs:
        value = np.array([cut.value for cut in self.cuts], dtype=np.int64)
        value = value.reshape(len(self.cuts), len(self.kinds.hosts))
        need = np.array([cut.need(self.kinds, unplaced) for cut in self.cuts], dtype=np.int64)
        strong = strongest(value, need)
        return Needs(value[strong], need[strong], self.kinds.cost, self.kinds.hosts)

    def _solved(self, needs: Needs, at_least: int) -> Target:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - takes seconds; greedy alone needs none

        model: Any = cp_model.CpModel()
        counts = [model.new_int_var(0, int(n), "") for n in self.kinds.hosts]
        for value, need in zip(needs.value.tolist(), needs.need.tolist(), strict=True):
            model.add(cp_model.LinearExpr.weighted_sum(counts, value) >= need)
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
            return Target(None, int((self.kinds.cost * self.kinds.hosts).sum()) + 1)
        bound = at_least
        if status in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
            bound = max(bound, int(solver.response_proto.inner_objective_lower_bound))
            return Target(np.array([solver.value(n) for n in counts], dtype=np.int64), bound)
        return Target(None, bound)

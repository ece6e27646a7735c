"""The search: place the most, then pay the least, then move the fewest.

Each step goes from what is quick to what is thorough, and stops as soon as counting proves the
answer: greedy, the linear program rounded, CP-SAT. Whatever stops it, the best packing and the best
bounds so far are the answer.
"""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.bounds import least_cost_micros, most_placed
from placement.budget import Budget
from placement.model import Model
from placement.outcome import Clock
from placement.packing import Packing
from placement.plan import Limits
from placement.solvers import greedy, lp
from placement.solvers.cp_sat_pools import Answer, CpSatPools

_SHARE = {"lp": 0.8, "most": 0.3, "cheapest": 0.8, "calmest": 1.0}
"""What part of what is left of the limits a solver may spend; what it leaves, the next ones have."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Counts [G, P], and what is proven: at most so many placed, and at least that cost for as many."""

    counts: Int64
    most_placed: int
    least_cost_micros: int
    solver: str


@dataclass
class _Search:
    model: Model
    budget: Budget
    best: Packing
    solver: str = "greedy"

    def place_most(self) -> int:
        """Gives back how many any plan places at most."""
        bound = most_placed(self.best)
        if self.best.placed == bound:
            return bound
        prices = self._round_linear_program(np.full_like(self.best.upper, -1), 0)
        bound = min(bound, most_placed(self.best, prices))
        if self.best.placed < bound and not self.budget.spent:
            answer = CpSatPools(self.best).most(self.budget, _SHARE["most"])
            if answer is not None:
                bound = min(bound, -answer.bound)
                self._take(answer.counts, "cp-sat")
        return bound

    def pay_least(self) -> int:
        """Gives back what any plan that places as many costs at least."""
        placed = self.best.placed
        bound = least_cost_micros(self.best, placed)
        if self.best.cost_micros == bound:
            return bound
        prices = self._round_linear_program(self.best.classes.cost, placed)
        bound = max(bound, least_cost_micros(self.best, placed, prices))
        if self.best.cost_micros > bound and not self.budget.spent:
            answer = self._cheapest(placed, bound)
            if answer is not None:
                bound = max(bound, answer.bound)
                self._take(answer.counts, "cp-sat")
        return bound

    def move_fewest(self) -> None:
        """Of the plans that place as many for no more, one that leaves the most where they run."""
        current = self.best.classes.current
        home = np.minimum(current, self.best.upper)
        if self.budget.spent or not (np.minimum(home, self.best.counts) < home).any():
            return
        step = CpSatPools(self.best)
        step.place_at_least(self.best.placed)
        step.cost_at_most(self.best.classes.cost, self.best.cost_micros)
        answer = step.calmest(current, self.budget, _SHARE["calmest"])
        if answer is not None:
            self._take(answer.counts, self.solver)

    def _cheapest(self, placed: int, bound: int) -> Answer | None:
        step = CpSatPools(self.best)
        step.place_at_least(placed)
        share = 1.0 if self.model.problem.current is None else _SHARE["cheapest"]
        return step.cheapest(self.best.classes.cost, bound, self.budget, share)

    def _round_linear_program(self, value: Int64, placed: int) -> list[float] | None:
        if self.budget.spent:
            return None
        relaxed = lp.relax(self.best, value, placed, self.budget, _SHARE["lp"])
        if relaxed is None:
            return None
        rounded = Packing(self.model)
        lp.seat(rounded, relaxed.counts)
        self._take(rounded.counts, "glop")
        return relaxed.prices

    def _take(self, counts: Int64, solver: str) -> None:
        packing = Packing(self.model, counts)
        greedy.polish(packing)
        if packing.rank() <= self.best.rank():
            self.best, self.solver = packing, solver


def search(model: Model, limits: Limits, clock: Clock | None = None) -> Outcome:
    """The best counts that the limits allow, with what is proven about every plan."""
    budget = Budget.of(limits, clock)
    run = _Search(model, budget, greedy.start(model))
    most = run.place_most()
    least = run.pay_least()
    if model.problem.current is not None:
        run.move_fewest()
    return Outcome(run.best.counts, most, min(least, run.best.cost_micros), run.solver)

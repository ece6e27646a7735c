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
from placement.outcome import Clock, Listener
from placement.packing import Packing
from placement.plan import Limits
from placement.solvers import greedy, lp
from placement.solvers.cp_sat_pools import Answer, CpSatPools
from placement.telling import Telling

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
    telling: Telling
    solver: str = "greedy"
    most: int = 0
    """No plan places more."""
    least: int | None = None
    """No plan that places as many costs less; None while it is still about how many."""
    out: int = 0
    """How many were told to be left out."""

    def place_most(self) -> None:
        """Until no plan places more, or the limits are over."""
        self.most = most_placed(self.best)
        self._report()
        if self.best.placed == self.most:
            return
        prices = self._round_linear_program(np.full_like(self.best.upper, -1), 0)
        self._raise(most=most_placed(self.best, prices))
        if self.best.placed < self.most and not self.budget.spent:
            answer = CpSatPools(self.best, self._found).most(self.budget, _SHARE["most"])
            if answer is not None:
                self._take(answer.counts, "cp-sat")
                self._raise(most=-answer.bound)

    def pay_least(self) -> None:
        """Until no plan that places as many costs less, or the limits are over."""
        placed = self.best.placed
        self.least = least_cost_micros(self.best, placed)
        self._report()
        if self.best.cost_micros == self.least:
            return
        prices = self._round_linear_program(self.best.classes.cost, placed)
        self._raise(least=least_cost_micros(self.best, placed, prices))
        if self.best.cost_micros > self.least and not self.budget.spent:
            answer = self._cheapest(placed, self.least)
            if answer is not None:
                self._take(answer.counts, "cp-sat")
                self._raise(least=answer.bound)

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
        step = CpSatPools(self.best, self._found)
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
            self._report()

    def _raise(self, most: int | None = None, least: int | None = None) -> None:
        if most is not None:
            self.most = min(self.most, most)
        if least is not None and self.least is not None:
            self.least = max(self.least, least)
        self._report()

    def _report(self) -> None:
        """How many are left out, and what those cost that are not, once it is about that.

        Where paying less has made room for more, they may cost more, and that they are more is told first.
        """
        out, before = self._requests - self.best.placed, self.out
        self.out = out
        if self.least is None or out < before:
            self.telling(self.solver, "unplaced", out, self._requests - self.most)
        if self.least is not None:
            self.telling(self.solver, "level 1", self.best.cost_micros, self.least)

    def _found(self, value: int, bound: int) -> None:
        """CP-SAT's own progress, which begins at the best that is known."""
        if self.least is None:
            placed, most = max(-value, self.best.placed), min(-bound, self.most)
            self.telling("cp-sat", "unplaced", self._requests - placed, self._requests - most)
        else:
            best = min(value, self.best.cost_micros)
            self.telling("cp-sat", "level 1", best, max(bound, self.least))

    @property
    def _requests(self) -> int:
        return int(self.best.classes.count.sum())


def search(
    model: Model, limits: Limits, clock: Clock | None = None, tell: Listener | None = None
) -> Outcome:
    """The best counts that the limits allow, with what is proven about every plan."""
    budget = Budget.of(limits, clock)
    run = _Search(model, budget, greedy.start(model), Telling(tell))
    run.place_most()
    run.pay_least()
    assert run.least is not None, "what is paid comes after how many are placed"
    if model.problem.current is not None:
        run.move_fewest()
    return Outcome(run.best.counts, run.most, min(run.least, run.best.cost_micros), run.solver)

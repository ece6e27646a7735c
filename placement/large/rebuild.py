"""Ruin and recreate on the online kernel: a worse plan is kept by a chance that falls.

The temperature begins at a third of what a typical worse plan costs, as the first attempts show, and ends at a
hundredth of that. A request that stays out costs more than any place, and more the larger it is.
"""

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.large import ruin
from placement.large.seating import sizes
from placement.online import Online
from placement.problem import PlacementProblem
from placement.seats import Seats

_PLACED_S, _SCANNED_S, _DRAWN_S = 1.5e-6, 8e-9, 1.5e-9
"""Deterministic time of placing one request, for each provider that is looked at, and of each request drawn from."""
_TIMES = 64
"""Attempts between two looks at the budget."""
_FIRST, _LAST = 0.3, 0.003
_HIGHEST = 2**50


class Rebuilding(Online):
    """A plan that is taken apart and put together again, in place."""

    def __init__(self, problem: PlacementProblem, seats: Seats, budget: Budget, seed: int) -> None:
        super().__init__(problem)
        self._budget = budget
        self._size = sizes(problem)
        self._load = np.zeros(len(problem.providers.ids), dtype=np.int64)
        for i in np.flatnonzero(seats.provider_of >= 0).tolist():
            provider = int(seats.provider_of[i])
            self.put_back(i, provider, seats.choices)
            self._load[provider] += self._size[i]
        self._out_cost = self._dear()
        self._worse = np.zeros(128, dtype=np.int64)
        self._score = np.zeros(5, dtype=np.int64)
        self._score[ruin.CHANCE] = 1 + seed % (2**31 - 2)
        out = self.provider_of < 0
        self._score[ruin.TOTAL_COST] = self._score[ruin.LEAST] = int(self._out_cost[out].sum())
        parts = self.parts
        self._best = np.column_stack([parts.provider_of, parts.numa_of, parts.store_of, parts.target])
        """[R, .] the provider and what was chosen, as `placement.online.rules.keep` has it."""

    @property
    def best_seats(self) -> Seats:
        """The best so far."""
        best, families = self._best.copy(), self.parts.store_of.shape[1]
        kept = best[:, 1], best[:, 2 : 2 + families], best[:, 2 + families :]
        return Seats(best[:, 0], self._chosen.named(best[:, 0], kept))

    @property
    def all_placed(self) -> bool:
        """Whether nobody is out in the best plan."""
        return bool((self._best[:, 0] >= 0).all())

    def run(self, deterministic_time: float, *, until_placed: bool = False) -> None:
        """Until so much is spent; or, if that is asked for, until all are placed."""
        if not len(self._load):
            return  # There is nowhere to be.
        begin = self._budget.deterministic_time
        end = max(0.0, begin - deterministic_time)
        self._attempt(0)
        while self._budget.deterministic_time > end and not self._budget.spent:
            if until_placed and self.all_placed:
                return
            done = (begin - self._budget.deterministic_time) / deterministic_time
            self._attempt(self._temperature(done))

    def _temperature(self, done: float) -> int:
        learnt = self._worse[: int(self._score[ruin.LEARNT])]
        cheap = learnt[learnt < int(self._out_cost.min(initial=_HIGHEST))]
        typical = float(np.median(cheap)) if len(cheap) else 0.0
        cooled = float((_LAST / _FIRST) ** min(done, 1.0))
        return min(round(typical * _FIRST * cooled), _HIGHEST >> 14)

    def _attempt(self, temperature: int) -> None:
        seen = int(self._score[ruin.SEEN])
        ruin.attempts(
            self.memory,
            self._of,
            self._home,
            self._size,
            self._load,
            self._out_cost,
            ruin.LOG,
            _TIMES,
            temperature,
            self._score,
            self._worse,
            self._best,
        )
        placed = int(self._score[ruin.SEEN]) - seen
        each = _PLACED_S + _SCANNED_S * len(self._load)
        self._budget.spend(placed * each + _TIMES * _DRAWN_S * len(self._size), 0.0)

    def _dear(self) -> Int64:
        """[R] what staying out costs: several times the dearest place that anybody has, and more for large ones.

        A higher priority costs as much more as all below it together, as far as 50 bits go.
        """
        paid = 1
        for i in np.flatnonzero(self.provider_of >= 0).tolist():
            paid = max(paid, self.cost(i, int(self.provider_of[i])))
        priority = self.problem.priority
        levels = np.zeros(len(self._size), dtype=np.int64)
        if priority is not None:
            levels = np.unique(priority, return_inverse=True)[1].reshape(-1)
        share = self._size.astype(np.float64) / max(1, int(self._size.max(initial=1)))
        costs = 4.0 * paid * (1.0 + share) * np.exp2(8.0 * levels)
        dear: Int64 = np.minimum(np.rint(costs), float(_HIGHEST)).astype(np.int64)
        return dear

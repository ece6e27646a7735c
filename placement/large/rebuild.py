"""Ruin and recreate: take the requests of a few hosts away, and let the kernel place them again in another order.

A worse plan is kept by a chance that falls: the temperature begins at what a typical worse plan costs, as the
first attempts show, and ends at a hundredth of that.
"""

from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.large.seating import Seating, sizes
from placement.problem import PlacementProblem
from placement.seats import Seats

Rank = tuple[int, ...]
"""Unplaced by priority, the highest first; then what the first level came to beyond where it began."""

_ATTEMPT_S, _SCANNED_S = 2e-5, 4e-9
"""Deterministic time of one question to the kernel, and of each provider that it looks at."""
_LEARNING = 40
_MOST_TAKEN = 120
_COOLED = 0.01


@dataclass
class Rebuild:
    """One run on a seating that is changed in place; `best` are the best seats so far."""

    problem: PlacementProblem
    seating: Seating
    budget: Budget
    chance: np.random.Generator
    best: Seats = field(init=False)
    rank: Rank = field(init=False)
    best_rank: Rank = field(init=False)
    _size: Int64 = field(init=False)
    _priority: Int64 = field(init=False)
    _levels: list[int] = field(init=False)
    _worse: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what is there."""
        problem = self.problem
        count = len(problem.request_ids)
        self._priority = np.zeros(count, dtype=np.int64) if problem.priority is None else problem.priority
        self._levels = sorted(set(self._priority.tolist()), reverse=True)
        self._size = sizes(problem)
        self.best, self.rank = self.seating.seats, (*self._out(), 0)
        self.best_rank = self.rank

    def run(self, deterministic_time: float, *, until_placed: bool = False) -> None:
        """Until so much is spent; or, if that is asked for, until all are placed."""
        end = self.budget.deterministic_time - deterministic_time
        begin = self.budget.deterministic_time
        while self.budget.deterministic_time > max(end, 0.0) and not self.budget.spent:
            if until_placed and not any(self.best_rank[:-1]):
                return
            done = (begin - self.budget.deterministic_time) / max(deterministic_time, 1e-9)
            if not self._attempt(done):
                return

    def _attempt(self, done: float) -> bool:
        taken = self._drawn()
        if len(taken) == 0:
            return False
        before = {i: int(self.seating.provider_of[i]) for i in taken.tolist()}
        gone = self._remove([i for i, v in before.items() if v >= 0])
        noisy = self._size[taken] * self.chance.uniform(0.6, 1.4, len(taken))
        order = taken[np.lexsort((-noisy, -self._priority[taken]))]
        come = self._place(order.tolist())
        steps = 2 * len(taken)
        self.budget.spend(steps * (_ATTEMPT_S + _SCANNED_S * len(self.problem.providers.ids)), 0.0)
        rank = (*self._out(), self.rank[-1] + come - gone)
        if self._keeps(rank, done):
            self.rank = rank
            if rank < self.best_rank:
                self.best, self.best_rank = self.seating.seats, rank
        else:
            self._restore(before)
        return True

    def _keeps(self, rank: Rank, done: float) -> bool:
        if rank[:-1] != self.rank[:-1]:
            return rank[:-1] < self.rank[:-1]
        worse = rank[-1] - self.rank[-1]
        if worse <= 0:
            return True
        if len(self._worse) < _LEARNING:
            self._worse.append(worse)
            return False
        temperature = 0.3 * float(np.median(self._worse)) * _COOLED**done
        return bool(self.chance.exponential() * temperature > worse)

    def _restore(self, before: dict[int, int]) -> None:
        """As it was; who does not fit any more, since nodes or datastores fell otherwise, stays out."""
        for i in before:
            self.seating.remove(i)
        if not all([self._put(i, v) for i, v in before.items() if v >= 0]):
            self.rank = (*self._out(), self.rank[-1])

    def _put(self, request: int, provider: int) -> bool:
        try:
            self.seating.place(request, provider)
        except ValueError:
            return False
        return True

    def _remove(self, requests: list[int]) -> int:
        total = 0
        for i in requests:
            total += self.seating.cost(i, int(self.seating.provider_of[i]))
            self.seating.remove(i)
        return total

    def _place(self, requests: list[int]) -> int:
        total = 0
        for i in requests:
            v = self.seating.decide(i)
            if v >= 0:
                total += self.seating.cost(i, v)
        return total

    def _out(self) -> tuple[int, ...]:
        out = self.seating.provider_of < 0
        return tuple(int((out & (self._priority == p)).sum()) for p in self._levels)

    def _drawn(self) -> Int64:
        """The requests of a few hosts, poorly filled ones more often, and some of those that are out."""
        provider_of = self.seating.provider_of
        placed = np.flatnonzero(provider_of >= 0)
        load = np.bincount(provider_of[placed], weights=self._size[placed], minlength=1)
        used = np.flatnonzero(np.bincount(provider_of[placed], minlength=1))
        out = np.flatnonzero(provider_of < 0)
        if len(out) > _MOST_TAKEN:
            out = self.chance.choice(out, _MOST_TAKEN, replace=False)
        if len(used) == 0:
            return out
        poor = 1.0 - load[used] / max(1.0, float(load.max()))
        bias = 3.0 * float(self.chance.random())
        order = used[np.argsort(-(poor * bias + self.chance.gumbel(size=len(used))), kind="stable")]
        hosts = order[: int(self.chance.integers(2, 7))]
        taken = placed[np.isin(provider_of[placed], hosts)]
        if len(taken) > _MOST_TAKEN:
            taken = self.chance.choice(taken, _MOST_TAKEN, replace=False)
        return np.concatenate([taken, out])

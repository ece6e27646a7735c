"""Better counts, in rounds of two that may run at the same time: annealing, or freeing a few hundred counts.

Both of a round begin from the same counts; the better is kept, or what of the two goes together. So the
counts after a number of rounds do not depend on how many cores run.
"""

from collections.abc import Callable
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from placement.arrays import Bool, Int64
from placement.pool_instances.cells import Cells
from placement.pool_instances.effort import Effort
from placement.pool_instances.filling import fill
from placement.pool_instances.neighbourhood import Found, Near, improve

if TYPE_CHECKING:  # numba, which that loads, is loaded while SCIP solves.
    from placement.pool_instances.annealing import Annealing

Better = Callable[[Int64], object]
"""Takes counts that are better than those before."""

_TARGET = 200
"""Free counts in a part: CP-SAT often ends these within its limit."""
_TEMPERATURES = 20
"""Of a run of annealing where rounds are counted; where only time counts, as many as fit."""
_RUN_S = (0.2, 4.0)
"""The shortest and the longest run worth its time."""
_LISTED_S = 8.0
"""The longest run over listed exchanges: what it finds is only told at its end."""
_IDLE = 2
"""Rounds of annealing in a row that found nothing better: then longer exchanges may, which it hardly ever tries."""
_PAIR_S = 0.3
"""Deterministic time for two pools; most are proven best within a third of it."""
_WINDOWS = (2, 6)
"""How far a count may go in one round: near is quick, far finds what several must do together."""


class Search:
    """Counts that only get cheaper; `better` is called with the first, and with each that costs less."""

    def __init__(
        self, cells: Cells, counts: Int64, bound: int, seed: int, better: Better | None = None
    ) -> None:
        self.cells, self.counts, self.bound = cells, counts, bound
        self.objective = cells.objective(counts)
        self._rng = np.random.default_rng(seed)
        self._told = better
        if better:
            better(counts)

    def everything(self, effort: Effort, deterministic_time: float) -> None:
        """All counts at once; for small problems, whose optimum this proves."""
        low = np.zeros_like(self.counts)
        near = Near(low, self.cells.upper, deterministic_time, effort.left_s, self._seed())
        found = improve(self.cells, self.counts, near)
        if found is not None:
            self.bound = max(self.bound, found.bound)
            self._take(self.counts, found)

    def near(self, part: Bool, effort: Effort, deterministic_time: float) -> None:
        """The counts of a part [G, P]; where the relaxation has some, most of the best plan is."""
        found = improve(self.cells, self.counts, self._near(part, deterministic_time, effort.left_s))
        if found is not None:
            self._take(self.counts, found)

    def anneal(self, annealing: "Annealing", tries: Effort, effort: Effort) -> bool:
        """Rounds of two runs until the effort is spent, or that of the tries with nothing that fits.

        The first comes off however late it is: what is filled without it can cost several percent more.
        """
        done, idle, fits = 0, 0, False
        while self.objective > self.bound and done != effort.rounds and idle < _IDLE:
            if done and (effort.left_s < _RUN_S[0] or not (fits or tries.left_s > 0)):
                break
            before, length_s = self.objective, _run_s(effort.left_s)
            fits |= self._two(annealing, effort, length_s)
            done, idle = done + 1, 0 if self.objective < before or not fits else idle + 1
        return fits

    def _two(self, annealing: "Annealing", effort: Effort, length_s: float) -> bool:
        """Of two kinds of runs with seeds of their own, the cheaper counts if they are; whether any fit."""
        seeds, fits = [(kind, self._seed()) for kind in (False, True)], False

        def one(job: tuple[bool, int]) -> Int64 | None:
            return annealing.run(*job, _over(effort, length_s))

        for counts in effort.run(one, seeds):
            fits |= counts is not None and self._better(counts)
        return fits

    def exchange(self, annealing: "Annealing", effort: Effort) -> bool:
        """Tournaments of runs over all small exchanges of two pools; whether any counts fit.

        Slower cooling ends cheaper, so they share the time evenly, in as few as their longest allows.
        """
        from placement.pool_instances.tournament import found, seeds  # noqa: PLC0415 - numba is loaded by now

        done, fits = 0, False
        while (
            self.objective > self.bound and done != effort.rounds and effort.left_s > (done and _RUN_S[0])
        ):
            length_s = effort.left_s / max(ceil(effort.left_s / _LISTED_S), 1)
            for counts in found(annealing, seeds(self._rng), effort, length_s):
                fits |= self._better(counts)
            done += 1
        return fits

    def pairs(self, effort: Effort) -> None:
        """All counts of two used pools at a time, until no two can be better or the effort is spent."""
        waiting, before, done = self._pairs(), self.objective, 0
        while self.objective > self.bound and effort.left_s > 0 and done != effort.rounds:
            if not waiting:
                if self.objective == before:
                    return
                waiting, before = self._pairs(), self.objective
            first = waiting.pop()
            second = next((pair for pair in waiting if not set(first) & set(pair)), None)
            if second is not None:
                waiting.remove(second)
            self._both([first] if second is None else [first, second], effort)
            done += 1

    def _pairs(self) -> list[tuple[int, ...]]:
        """The used pools by two, in a new order."""
        every = list(combinations(np.flatnonzero(self.counts.any(axis=0)).tolist(), 2))
        return [every[n] for n in self._rng.permutation(len(every)).tolist()]

    def _both(self, pairs: list[tuple[int, ...]], effort: Effort) -> None:
        begin, nears = self.counts, []
        for pair in pairs:
            part = np.zeros(begin.shape, dtype=np.bool_)
            part[:, pair] = True
            low, high = np.where(part, 0, begin), np.where(part, self.cells.upper, begin)
            nears.append(Near(low, high, _PAIR_S, effort.left_s, self._seed(), light=True))

        def better(near: Near) -> Found | None:
            return improve(self.cells, begin, near)

        for found in effort.run(better, nears):
            if found is not None:
                self._take(begin, found)

    def _better(self, counts: Int64) -> bool:
        """Keep counts that cost less, with what waits filled in; whether they hold."""
        fill(self.cells, counts, np.ones(self.cells.pools, dtype=np.bool_))
        if not self._holds(counts):
            return False
        objective = self.cells.objective(counts)
        if objective < self.objective:
            self._became(counts, objective)
        return True

    def _became(self, counts: Int64, objective: int) -> None:
        cheaper = objective < self.objective
        self.counts, self.objective = counts, objective
        if cheaper and self._told:
            self._told(counts)

    def run(self, effort: Effort) -> None:
        """Rounds until the effort is spent or the bound is met."""
        done = 0
        while self.objective > self.bound and effort.left_s > 0 and done != effort.rounds:
            self._round(effort)
            done += 1

    def _round(self, effort: Effort) -> None:
        begin = self.counts
        time_s = float(self._rng.choice([0.1, 0.2, 0.4]))
        nears = [
            self._near(part, time_s, effort.left_s)
            for part in self._parts()
            if (part.any() and part.sum() > 1)
        ]

        def better(near: Near) -> Found | None:
            return improve(self.cells, begin, near)

        for found in effort.run(better, nears):
            if found is not None:
                self._take(begin, found)

    def _near(self, part: Bool, time_s: float, left_s: float) -> Near:
        window = int(self._rng.choice(_WINDOWS))
        low = np.where(part, np.maximum(self.counts - window, 0), self.counts)
        high = np.where(part, np.minimum(self.counts + window, self.cells.upper), self.counts)
        return Near(low, high, time_s, left_s, self._seed())

    def _take(self, begin: Int64, found: Found) -> None:
        """Add what was changed, if it goes with what was changed meanwhile."""
        counts = self.counts + found.counts - begin
        if self._holds(counts):
            objective = self.cells.objective(counts)
            if objective <= self.objective:
                self._became(counts, objective)

    def _holds(self, counts: Int64) -> bool:
        cells = self.cells
        if (counts < 0).any() or (counts > cells.upper).any() or (cells.unplaced(counts) < 0).any():
            return False
        if (cells.free(counts) < 0).any() or (counts.sum(axis=0) > cells.pool_limit).any():
            return False
        spread = np.flatnonzero(cells.group >= 0)
        per = np.zeros((len(cells.group_limit), cells.pools), dtype=np.int64)
        np.add.at(per, cells.group[spread], counts[spread])
        return not (per > cells.group_limit[:, None]).any()

    def _parts(self) -> tuple[Bool, Bool]:
        """Two masks [G, P] of what to free."""
        used = self.counts.any(axis=0)
        order = np.concatenate(
            [self._rng.permutation(np.flatnonzero(used)), self._rng.permutation(np.flatnonzero(~used))]
        )
        if self._rng.random() < 0.1 and not used.all():  # Now and then look at a closed pool.
            order = np.roll(order, int((~used).sum()))
        many = int(self._rng.integers(2, 7))
        return self._part(order[:many]), self._part(order[many : 2 * many])

    def _part(self, pools: Int64) -> Bool:
        """The cells of these pools, all or as many as the target allows; those that wait come first."""
        cells = self.cells
        mask = np.zeros(cells.upper.shape, dtype=np.bool_)
        mask[:, pools] = cells.upper[:, pools] > 0
        width = mask.sum(axis=1)
        chance = self._rng.random(len(width)) + (cells.unplaced(self.counts) > 0)
        order = np.argsort(-chance, kind="stable")
        mask[order[np.cumsum(width[order]) > _TARGET]] = False
        return mask

    def _seed(self) -> int:
        return int(self._rng.integers(2**31))


def _run_s(left_s: float) -> float:
    """The length of the next run: half of what is left, so that another one can begin elsewhere."""
    return max(left_s, _RUN_S[0] / 2) if left_s < 2 * _RUN_S[0] else min(left_s / 2, _RUN_S[1])


def _over(effort: Effort, length_s: float) -> Callable[[], float]:
    """Tells, at each temperature, which part of a run is over: by count where rounds are, or by time."""
    begin, told = effort.clock(), 0

    def over() -> float:
        nonlocal told
        told += 1
        counted = 0.0 if effort.rounds is None else (told - 1) / _TEMPERATURES
        return max(counted, (effort.clock() - begin) / length_s)

    return over

"""The moves of one wave again in other sequences, so that it ends sooner."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np

from placement.waves.needs import Needs
from placement.waves.timing import Bookings, Run

Times = dict[int, int]
"""Step -> when it begins."""
TRIES = 24
"""Sequences that are tried: by what must follow each step, then the same with chance."""


def shorter(
    times: Times, runs: Sequence[Run], of: Needs, begin: int, holds: Callable[[Times], bool], seed: int
) -> Times:
    """The shortest schedule found of the same steps from `begin` on; the given one where none that `holds` is shorter."""
    best, length = times, _end(times, runs)
    tails = _tails(times, runs, of)
    least = begin + max(tails.values())
    rng = np.random.default_rng(seed)
    for attempt in range(TRIES):
        if length == least:
            break
        chance = np.ones(len(tails)) if not attempt else rng.uniform(0.6, 1.4, len(tails))
        weight = {i: tails[i] * c for i, c in zip(sorted(tails), chance.tolist(), strict=True)}
        found = _scheduled(weight, runs, of, begin)
        if _end(found, runs) < length and holds(found):
            best, length = found, _end(found, runs)
    return best


def _end(times: Times, runs: Sequence[Run]) -> int:
    return max(at + runs[i].duration_s for i, at in times.items())


def _tails(times: Times, runs: Sequence[Run], of: Needs) -> dict[int, int]:
    """Step -> the seconds from its beginning to the end of the longest chain of steps that must follow it."""
    tails = {i: runs[i].duration_s for i in times}
    for i in sorted(times, reverse=True):  # What must be before a step is before it in the order.
        for j in of[i]:
            if j in tails:
                tails[j] = max(tails[j], tails[i] + runs[j].duration_s)
    return tails


def _scheduled(weight: Mapping[int, float], runs: Sequence[Run], of: Needs, begin: int) -> Times:
    times, bookings = Times(), Bookings()
    for i in _sequence(weight, of):
        ready = [begin]
        ready += [times[j] + runs[j].duration_s for j in of[i] if j in times]
        times[i] = bookings.earliest(max(ready), runs[i])
        bookings.book(times[i], runs[i])
    return times


def _sequence(weight: Mapping[int, float], of: Needs) -> Iterator[int]:
    """The heaviest first, of those whose predecessors have been."""
    missing = {i: {j for j in of[i] if j in weight} for i in weight}
    following: dict[int, list[int]] = {}
    for i, before in missing.items():
        for j in before:
            following.setdefault(j, []).append(i)
    queue = [(-weight[i], i) for i, before in sorted(missing.items()) if not before]
    queue.sort()
    while queue:
        i = heappop(queue)[1]
        yield i
        for after in following.get(i, ()):
            missing[after].discard(i)
            if not missing[after]:
                heappush(queue, (-weight[after], after))

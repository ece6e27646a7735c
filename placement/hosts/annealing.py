"""Fit requests into given hosts: all are placed somewhere, and what does not fit is moved until it does.

Requests that may stay out have a place too: one more host, which has all of every resource but only so
many seats. A seat is one more resource, of which every request takes one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.hosts import loops, runs
from placement.hosts.greedy import CELLS

_PARTS = 2**20
_MOVES = 2**16
_MOVES_EACH = 2**7
"""Moves in one step, at most and for each request: chance is drawn, and limits are looked at, between steps."""

_PLAIN = 2**12
"""So many moves take plain Python less time than loading the compiled loop."""

_LOG = np.rint(-np.log((np.arange(4096) + 0.5) / 4096) * 1024).astype(np.int64)
"""-ln(u) in parts of 1024: what a move may cost at temperature 1, by chance."""


@cache
def _compiled() -> Callable[..., tuple[int, int]]:
    from placement.hosts.kernels import anneal  # noqa: PLC0415 - loads numba, which takes a second

    return anneal


def loaded() -> bool:
    """Whether a step that is not plain would begin at once."""
    return _compiled.cache_info().currsize > 0


def moves_of_a_step(requests: int) -> int:
    """How many moves one step tries at most."""
    return max(1, min(_MOVES, _MOVES_EACH * requests))


@dataclass
class Fitting:
    """The state of one attempt; `host_of` [R] counts positions in the given hosts, the last may be «out»."""

    demand: Int64
    """[R, K + 1]."""
    capacity: Int64
    """[H, K + 1]."""
    shape: Int64
    """[R]."""
    host_of: Int64
    seed: int
    steps: int = 0
    hots: int = 0
    arrays: tuple[npt.NDArray[Any], ...] = field(default=())
    room: Int64 = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    weight: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        """Lay out who is where."""
        hosts, requests = len(self.capacity), len(self.demand)
        self.weight = _weights(self.capacity, self.demand)
        self.room = self.capacity.copy()
        np.subtract.at(self.room, self.host_of, self.demand)
        filled = np.bincount(self.host_of, minlength=hosts).astype(np.int64)
        members = np.zeros((hosts, _width(self.capacity, self.demand, filled)), dtype=np.int32)
        order = np.argsort(self.host_of, kind="stable")
        place = np.empty(requests, dtype=np.int64)
        place[order] = np.arange(requests) - np.repeat(np.cumsum(filled) - filled, filled)
        members[self.host_of, place] = np.arange(requests)
        excess: Int64 = (self.weight * np.maximum(0, -self.room)).sum(axis=1)
        overfull = np.flatnonzero(excess)
        hot, hot_at = np.zeros(hosts, dtype=np.int64), np.full(hosts, -1, dtype=np.int64)
        self.hots = len(overfull)
        hot[: self.hots] = overfull
        hot_at[overfull] = np.arange(self.hots)
        self.arrays = (place, members, filled, excess, hot, hot_at)

    @property
    def excess(self) -> int:
        """What all hosts lack together, weighed; 0 is a packing."""
        return int(self.arrays[3].sum())

    @property
    def lacking(self) -> float:
        """What all hosts lack together, in hosts."""
        return self.excess / _PARTS

    def step(self, temperature: float, *, plain: bool = False) -> int:
        """Try some moves; how many were tried before all fitted. `plain`: a few, without the compiled loop."""
        moves = moves_of_a_step(len(self.demand))
        if plain:
            anneal, moves = loops.anneal, min(moves, _PLAIN)
        else:
            anneal = _compiled()
        chance = np.random.default_rng([self.seed, self.steps])
        draws = chance.integers(0, 2**31, (moves, 4), dtype=np.int64)
        allowance = (_LOG[chance.integers(0, len(_LOG), moves)] * round(temperature)) >> 10
        self.steps += 1
        place, members, filled, excess, hot, hot_at = self.arrays
        tried, self.hots = anneal(
            self.demand,
            self.shape,
            self.room,
            self.weight,
            self.host_of,
            place,
            members,
            filled,
            excess,
            hot,
            hot_at,
            self.hots,
            draws,
            allowance,
        )
        return int(tried)


def begin(demand: Int64, capacity: Int64, shape: Int64, seats: int, seed: int) -> Fitting:
    """Spread requests [R, K] evenly over hosts [H, K], large ones first; `seats` may stay out."""
    with_seats = np.column_stack([demand, np.ones(len(demand), dtype=np.int64)])
    every = np.full(len(capacity), len(demand), dtype=np.int64)
    hosts = np.column_stack([capacity, every])
    if seats:
        out = np.append(demand.sum(axis=0), seats)
        hosts = np.vstack([hosts, out])
    share = _PARTS // np.maximum(hosts[:, :-1], 1)
    host_of = np.full(len(demand), -1, dtype=np.int64)
    inside = slice(0, len(capacity)) if len(capacity) else slice(0, len(hosts))
    _spread(demand, shape, share[inside], hosts[inside, -1].copy(), host_of)
    return Fitting(with_seats, hosts, shape, host_of, seed)


def _spread(demand: Int64, shape: Int64, share: Int64, seats: Int64, host_of: Int64) -> None:
    """Each request in turn, shapes with the largest share of a mean host first, to where it is least full."""
    shapes, one = np.unique(shape, return_index=True)
    mean = share.sum(axis=0) / max(1, len(share))
    largest = (demand[one] * mean).max(axis=1, initial=0.0)
    order = np.argsort(-np.rint(largest).astype(np.int64), kind="stable")
    groups = runs.grouped(shape, shapes[order])
    load = np.zeros_like(share)
    if len(shapes) * len(share) <= CELLS:
        for (_, requests), n in zip(groups, one[order].tolist(), strict=True):
            runs.level(demand[n], share, load, seats, requests, host_of)
    else:
        from placement.hosts.kernels import level  # noqa: PLC0415 - loads numba, which takes a second

        every = np.concatenate([np.empty(0, dtype=np.int64), *(requests for _, requests in groups)])
        level(demand, every, share, load, seats, host_of)


def temperatures(fitting: Fitting, steps: int) -> Iterator[float]:
    """From what a small request weighs down to nearly nothing, in equal ratios."""
    unit = _unit(fitting)
    for n in range(steps):
        yield unit * 0.5 * 0.02 ** (n / max(1, steps - 1))


def cold(fitting: Fitting) -> float:
    """A temperature at which excess falls from the first move; measured, quickest where hosts hold many."""
    return _unit(fitting) * 0.05


def _unit(fitting: Fitting) -> float:
    """What the smallest request that takes any of a resource weighs, by the resource where that is most."""
    weighed = fitting.demand[:, :-1] * fitting.weight[:-1]
    least = np.where(weighed > 0, weighed, _PARTS).min(axis=0, initial=_PARTS)
    return float(least.max(initial=1))


def _weights(capacity: Int64, demand: Int64) -> Int64:
    """[K + 1] what lacking a unit counts: a host's worth of any resource counts the same."""
    typical = np.maximum(1.0, np.minimum(capacity, demand.sum(axis=0)).sum(axis=0) / max(1, len(capacity)))
    one: Int64 = np.maximum(1, np.rint(_PARTS / typical)).astype(np.int64)
    one[-1] = max(1, int((demand[:, :-1] * one[:-1]).sum(axis=1).mean())) if len(demand) else 1
    return one


def _width(capacity: Int64, demand: Int64, filled: Int64) -> int:
    """How many requests a host may have listed: what could fit, and some more."""
    least = demand.min(axis=0, initial=np.iinfo(np.int64).max)
    fit = np.where(least > 0, capacity // np.maximum(least, 1), len(demand)).min(axis=1)
    return int(min(len(demand), max(fit.max(initial=0), filled.max(initial=0)) + 16)) or 1

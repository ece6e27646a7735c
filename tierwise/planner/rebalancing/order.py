"""Which moves help most: an order in which each keeps every rule, and after which of them it is best to stop.

A search says where machines should be in the end. Made one after the other, the first moves bring the most; some may
bring less than they copy, once the others are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from tierwise.planner.rebalancing.parting import Parted
from tierwise.planner.rebalancing.problem import Weights
from tierwise.planner.rebalancing.rooms import TRANSIENT, Room


@dataclass(frozen=True)
class Ordered:
    """Moves in order, and what the pool costs before the first and after each."""

    moves: tuple[int, ...]
    """Positions of machines."""
    costs: tuple[int, ...]
    """One more than moves."""
    whole: bool = True
    """Whether each can be made when those before it are; else they only go together."""


def load_cost(room: Room, weight: Weights, at: Int64) -> int:
    """What is above the limits, weighed."""
    over = np.maximum(0, room.used(at) - room.limit)
    return int((over * weight.load).sum())


def cut(room: Room, weight: Weights, parted: Parted, to: Int64, most: int | None) -> Ordered:
    """The moves from today to `to`, up to where it costs least, at most `most`.

    Machines that must be parted move first, and all of them; they count.
    """
    state = _State(room, weight, parted, to)
    costs = [load_cost(room, weight, room.at)]
    limit = len(state.left) if most is None else most
    while len(state.left) and len(state.done) < limit:
        step = state.best()
        if step is None:
            break
        costs.append(costs[-1] + step)
    moves, stuck = tuple(state.done), len(state.left) > 0 and len(state.done) < limit
    keep = _least(costs, state.must)
    if stuck and (most is None or len(moves) + len(state.left) <= most):
        rest = tuple(state.left.tolist())
        whole = load_cost(room, weight, to) + weight.copy * int(room.costs_mib[[*moves, *rest]].sum())
        if whole < costs[keep]:
            return Ordered((*moves, *rest), (*costs, *[whole] * len(rest)), whole=False)
    return Ordered(moves[:keep], tuple(costs[: keep + 1]))


def _least(costs: Sequence[int], must: int) -> int:
    """After how many moves it costs least; of equals the fewest, but never less than what must be."""
    must = min(must, len(costs) - 1)
    return must + int(np.argmin(costs[must:]))


@dataclass(eq=False)
class _State:
    room: Room
    weight: Weights
    parted: Parted
    to: Int64
    left: Int64 = field(init=False)
    done: list[int] = field(init=False, default_factory=list)
    held: Int64 = field(init=False)
    """[M, 3] what is taken, with what copies take at their old hosts."""
    used: Int64 = field(init=False)
    at: Int64 = field(init=False)
    capacity: Int64 = field(init=False)
    must: int = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.room.at.copy()
        self.used = self.room.used(self.at)
        self.held = self.used.copy()
        self.capacity = np.maximum(self.room.capacity, self.used)
        self.left = np.flatnonzero(self.to != self.at)
        parting = self.parted.at != self.room.at
        self.must = int(parting[self.left].sum())
        self.first: Mapping[int, bool] = {p: bool(parting[p]) for p in self.left.tolist()}

    def best(self) -> int | None:
        """Makes the move that lowers the cost most, and tells by how much it changes; None: none can be made."""
        gain = self._changes()
        gain[~self._fits()] = np.iinfo(np.int64).max
        first = np.array([not self.first[p] for p in self.left.tolist()])
        for n in np.lexsort((self.left, gain, first)).tolist():
            if gain[n] == np.iinfo(np.int64).max:
                continue
            p = int(self.left[n])
            if self._apart(p):
                self._make(p)
                return int(gain[n])
        return None

    def _changes(self) -> Int64:
        """By how much each move changes the cost: both hosts' load, and its copy."""
        source, target, need = self.at[self.left], self.to[self.left], self.room.need[self.left]
        load = self._over(target, need) - self._over(target, 0) + self._over(source, -need)
        load -= self._over(source, 0)
        found: Int64 = load + self.weight.copy * self.room.costs_mib[self.left]
        return found

    def _over(self, hosts: Int64, more: Int64 | int) -> Int64:
        over = np.maximum(0, self.used[hosts] + more - self.room.limit[hosts])
        found: Int64 = (over * self.weight.load).sum(axis=1)
        return found

    def _fits(self) -> Bool:
        target, need = self.to[self.left], self.room.need[self.left]
        within = (self.held[target] + need <= self.capacity[target]) | (need == 0)
        found: Bool = within.all(axis=1)
        return found

    def _apart(self, p: int) -> bool:
        """Nobody of its group is on the new host, and the group is in as many sites as before or more."""
        g = self.parted.group[p]
        if g < 0:
            return True
        members = np.flatnonzero(self.parted.group == g)
        if (self.at[members] == self.to[p]).any():
            return False
        after = self.at.copy()
        after[p] = self.to[p]
        sites = [self.room.hosts[m].site for m in after[members].tolist()]
        before = [self.room.hosts[m].site for m in self.room.at[members].tolist()]
        return len(set(sites)) >= len(set(before))

    def _make(self, p: int) -> None:
        need, source, target = self.room.need[p], self.at[p], self.to[p]
        self.used[source] -= need
        self.used[target] += need
        self.held[target] += need
        self.held[source] -= np.where(TRANSIENT, 0, need)
        self.at[p] = target
        self.done.append(p)
        self.left = self.left[self.left != p]

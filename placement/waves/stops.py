"""Where machines that wait for each other could stop on their way."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy

import numpy as np

from placement.arrays import Int64
from placement.waves.problem import NOWHERE, Carriage, MoveProblem
from placement.waves.state import State, Step

Aside = list[tuple[int, int]]
"""Machines and where each stops."""

MOST_PLACES = 24
"""Providers that are offered for a stop where every order is looked at."""


class Stops:
    """A problem's possible stops; without a carriage every provider can be reached from every other for nothing."""

    def __init__(self, problem: MoveProblem, carriage: Carriage | None) -> None:
        self.problem, self.carriage = problem, carriage
        v = len(problem.capacity)
        self.site: list[int] = [0] * v if carriage is None else carriage.site_of.tolist()
        self.storage: list[int] = [-1] * v if carriage is None else carriage.storage_of.tolist()
        self.storage_of: Int64 = np.array(self.storage, dtype=np.int64)
        self.copy: list[int] = [0] * len(problem.demand) if carriage is None else carriage.copy_gib.tolist()
        self.final: list[int] = problem.after.tolist()

    def is_stop(self, step: Step) -> bool:
        """Whether the machine shall be elsewhere in the end."""
        return step.target != self.final[step.machine]

    def copied(self, step: Step) -> int:
        """GiB that a step copies."""
        if NOWHERE in {step.source, step.target}:
            return 0
        here, there = self.storage[step.source], self.storage[step.target]
        return 0 if here == there >= 0 else self.copy[step.machine]

    def linked(self, a: int, b: int) -> bool:
        """Whether machines can be carried between two providers."""
        here, there = self.site[a], self.site[b]
        if here == there or self.carriage is None:
            return True
        return (min(here, there), max(here, there)) in self.carriage.link_mib_s

    def every(self, machine: int) -> Sequence[int]:
        """Providers that a machine could stop at: those of its own way's pools first, `MOST_PLACES` at most."""
        start, final = int(self.problem.before[machine]), self.final[machine]
        if NOWHERE in {start, final}:
            return ()
        fits = (self.problem.demand[machine] <= self.problem.largest).all(axis=1)
        ends = {start, final}
        found = [
            v
            for v in np.flatnonzero(fits).tolist()
            if v != final and self.linked(start, v) and self.linked(v, final)
        ]
        pools = {int(self.problem.pool_of[v]) for v in ends}
        return sorted(found, key=lambda v: (int(self.problem.pool_of[v]) not in pools, v))[:MOST_PLACES]

    def asides(self, state: State, arrivals: Mapping[int, list[int]], banned: set[int]) -> Iterator[Aside]:
        """Single machines aside, the cheapest first; then, provider by provider, all that must leave one."""
        room = _Room(self.problem, state)
        wanted = [
            v for v, waiting in arrivals.items() if v >= 0 and any(not state.done(m) for m in waiting)
        ]
        inside: dict[int, list[int]] = {v: [] for v in wanted}
        for m in state.of.movers:
            at = state.at[m]
            if at in inside and at == state.of.start[m] and not state.done(m) and m not in banned:
                inside[at].append(m)
        singles = [m for movers in inside.values() for m in movers]
        for m in sorted(singles, key=lambda m: (self.copy[m], sum(state.of.demand[m]), m)):
            place = self._place(state, room, m, set())
            if place >= 0:
                yield [(m, place)]
        for v in wanted:
            yield from self._clearing(
                state, room, v, inside[v], [m for m in arrivals[v] if not state.done(m)]
            )

    def _clearing(
        self, state: State, room: "_Room", v: int, inside: list[int], waiting: list[int]
    ) -> Iterator[Aside]:
        """Enough machines aside for the one that waits for the least."""
        least = min(waiting, key=lambda m: (sum(short for _, _, short in state.missing(m, v)), m))
        short = self.problem.demand[least] + np.array(state.load[v]) - self.problem.capacity[v]
        aside: Aside = []
        rest, freed = room.copy(), np.zeros_like(short)
        for other in sorted(inside, key=lambda o: (-sum(state.of.demand[o]), self.copy[o], o)):
            if (freed >= short).all():
                break
            place = -1 if other == least else self._place(state, rest, other, {v})
            if place >= 0:
                aside.append((other, place))
                rest.take(place, self.problem.demand[other])
                freed += self.problem.demand[other]
        if len(aside) > 1 and (freed >= short).all():
            yield aside

    def _place(self, state: State, room: "_Room", machine: int, but: set[int]) -> int:
        """The provider for a stop that copies the least, of those that keep room for all that will still come; or -1.

        Where there is none, of those that have room now.
        """
        at, final = state.at[machine], state.of.final[machine]
        if NOWHERE in {at, final}:
            return -1
        demand = self.problem.demand[machine]
        fits = (demand <= self.problem.largest).all(axis=1)
        fits[[at, final, *but]] = False
        same = (self.storage_of == self.storage_of[at]) & (self.storage_of >= 0)
        for enough in (room.spare, room.free):
            could = np.flatnonzero(fits & (enough >= demand).all(axis=1))
            nearest = np.lexsort((could, -room.spare[could].min(axis=1, initial=2**62), ~same[could]))
            found = (v for v in could[nearest].tolist() if self._can_wait(state, machine, v))
            place = next(found, -1)
            if place >= 0:
                return place
        return -1

    def _can_wait(self, state: State, machine: int, v: int) -> bool:
        ends = state.at[machine], state.of.final[machine]
        return all(self.linked(end, v) for end in ends) and state.block(machine, v) is None


class _Room:
    """What providers have at one moment."""

    def __init__(self, problem: MoveProblem, state: State) -> None:
        shape = problem.capacity.shape
        self.spare: Int64 = np.array(state.spare(), dtype=np.int64).reshape(shape)
        """[V, K] beyond all that will still come."""
        self.free: Int64 = problem.capacity - np.array(state.load, dtype=np.int64).reshape(shape)
        """[V, K]."""

    def copy(self) -> "_Room":
        """One that can be taken from."""
        other = copy(self)
        other.spare, other.free = self.spare.copy(), self.free.copy()
        return other

    def take(self, v: int, demand: Int64) -> None:
        """Less by a machine."""
        self.spare[v] -= demand
        self.free[v] -= demand

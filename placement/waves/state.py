"""Where machines are while they move: what providers hold, what is still to come, and what stands in a move's way.

Plain Python lists, for each step touches two providers only. `go` and `back` are each other's inverse, so that a
trial costs what it touches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import add, sub
from typing import NamedTuple

import numpy as np

from placement.waves.problem import NOWHERE, MoveProblem

Amounts = list[int]


class Step(NamedTuple):
    """One machine from one provider to another; `NOWHERE` where it is new or retired."""

    machine: int
    source: int
    target: int


class Block(NamedTuple):
    """What stands in a move's way: ``room`` of a provider, ``reserve`` of a pool, or the group that is ``apart``."""

    kind: str
    where: int
    """The provider; of ``reserve`` the pool."""
    group: int = -1


@dataclass
class Moving:
    """What of a problem never changes, in lists."""

    def __init__(self, problem: MoveProblem, dead: frozenset[int]) -> None:
        self.problem = problem
        self.demand: list[Amounts] = problem.demand.tolist()
        self.capacity: list[Amounts] = problem.capacity.tolist()
        self.pool_of: list[int] = problem.pool_of.tolist()
        self.final: list[int] = problem.after.tolist()
        self.start: list[int] = problem.before.tolist()
        reserve = problem.reserve()
        self.limit: list[Amounts | None] = [
            None if reserve is None or not losses else reserve[p].tolist()
            for p, losses in enumerate(problem.losses.tolist())
        ]
        self.movers = [m for m in np.flatnonzero(problem.moving).tolist() if m not in dead]
        self.groups_of: dict[int, list[int]] = {}
        for g, group in enumerate(problem.apart):
            for m in group.tolist():
                self.groups_of.setdefault(m, []).append(g)
        self.widest = self._widest()

    def largest_allows(self, machine: int, target: int) -> bool:
        """Whether one machine may be as large as this there."""
        return bool((self.problem.demand[machine] <= self.problem.largest[target]).all())

    def _widest(self) -> list[Amounts]:
        """[P, K] the most that one machine takes that moves within a pool: while it does, the pool holds it twice."""
        widest = [[0] * self.problem.demand.shape[1] for _ in self.limit]
        for m in self.movers:
            source, target = self.start[m], self.final[m]
            if NOWHERE not in {source, target} and self.pool_of[source] == self.pool_of[target]:
                pool = self.pool_of[source]
                widest[pool] = list(map(max, widest[pool], self.demand[m]))
        return widest


class State:
    """A moment between two steps."""

    def __init__(self, of: Moving) -> None:
        k = of.problem.demand.shape[1]
        self.of = of
        self.at = list(of.start)
        self.load: list[Amounts] = [[0] * k for _ in of.capacity]
        self.due: list[Amounts] = [[0] * k for _ in of.capacity]
        """[V] what will still come to stay."""
        self.pool_load: list[Amounts] = [[0] * k for _ in of.limit]
        self.pool_due: list[Amounts] = [[0] * k for _ in of.limit]
        self.here: dict[tuple[int, int], int] = {}
        """(group, provider) -> how many of its machines are there."""
        for m, v in enumerate(self.at):
            if v != NOWHERE:
                self._arrive(m, v)
        for m in of.movers:
            self._due(m, self.at[m], add)

    def go(self, step: Step) -> None:
        """Machine after machine, whether or not there is room."""
        m, source, target = step
        self._due(m, source, sub)
        if source != NOWHERE:
            self._leave(m, source)
        if target != NOWHERE:
            self._arrive(m, target)
        self.at[m] = target
        self._due(m, target, add)

    def back(self, step: Step) -> None:
        """Undo a `go`."""
        self.go(Step(step.machine, step.target, step.source))

    def done(self, machine: int) -> bool:
        """Whether it is where it shall be."""
        return self.at[machine] == self.of.final[machine]

    def block(self, machine: int, target: int) -> Block | None:
        """The first thing that stands in the way of a step now; None where nothing does."""
        if target == NOWHERE:
            return None
        demand = self.of.demand[machine]
        for has, takes, most in zip(self.load[target], demand, self.of.capacity[target], strict=True):
            if takes and has + takes > most:
                return Block("room", target)
        pool = self.of.pool_of[target]
        limit = self.of.limit[pool]
        if limit is not None:
            for has, takes, most in zip(self.pool_load[pool], demand, limit, strict=True):
                if takes and has + takes > most:
                    return Block("reserve", pool)
        for g in self.of.groups_of.get(machine, ()):
            if self.here.get((g, target)):
                return Block("apart", target, g)
        return None

    def harmless(self, machine: int, target: int) -> bool:
        """Whether everything that will still come to stay finds room there beside the machine, whatever leaves.

        Then the step, if it is possible, keeps nothing else from its place: such steps can be made in any order.
        `target` is the machine's last; see `spare` for a stop.
        """
        if target == NOWHERE:
            return True
        if not self.has_for_all(target):
            return False
        pool = self.of.pool_of[target]
        limit = self.of.limit[pool]
        if limit is None or self._within(machine, pool):
            return True
        rest = zip(self.pool_load[pool], self.pool_due[pool], self.of.widest[pool], limit, strict=True)
        return all(has + due + wide <= most for has, due, wide, most in rest)

    def has_for_all(self, v: int, beside: Amounts | None = None) -> bool:
        """Whether a provider has room for all that will still come, whatever leaves it."""
        for k, (has, due) in enumerate(zip(self.load[v], self.due[v], strict=True)):
            if due and has + due + (beside[k] if beside else 0) > self.of.capacity[v][k]:
                return False
        return True

    def opened(self, v: int, machine: int) -> bool:
        """Whether a provider has room for all that will still come since this machine left it, and had not before."""
        return self.has_for_all(v) and not self.has_for_all(v, self.of.demand[machine])

    def spare(self) -> list[Amounts]:
        """[V] what each provider has beyond all that will still come to stay; below 0 where that waits for room."""
        return [
            [most - has - due for most, has, due in zip(*rows, strict=True)]
            for rows in zip(self.of.capacity, self.load, self.due, strict=True)
        ]

    def missing(self, machine: int, target: int) -> Iterator[tuple[str, int, int]]:
        """(``room`` or ``reserve``, resource, how much is missing) for a step now."""
        demand, pool = self.of.demand[machine], self.of.pool_of[target]
        limit = self.of.limit[pool]
        for k, takes in enumerate(demand):
            short = self.load[target][k] + takes - self.of.capacity[target][k]
            if takes and short > 0:
                yield "room", k, short
        for k, takes in enumerate(demand if limit is not None else ()):
            short = self.pool_load[pool][k] + takes - limit[k]  # type: ignore[index] # not None here
            if takes and short > 0:
                yield "reserve", k, short

    def _within(self, machine: int, pool: int) -> bool:
        source = self.at[machine]
        return source != NOWHERE and self.of.pool_of[source] == pool

    def _arrive(self, m: int, v: int) -> None:
        demand, pool = self.of.demand[m], self.of.pool_of[v]
        self.load[v] = list(map(add, self.load[v], demand))
        self.pool_load[pool] = list(map(add, self.pool_load[pool], demand))
        for g in self.of.groups_of.get(m, ()):
            self.here[g, v] = self.here.get((g, v), 0) + 1

    def _leave(self, m: int, v: int) -> None:
        demand, pool = self.of.demand[m], self.of.pool_of[v]
        self.load[v] = list(map(sub, self.load[v], demand))
        self.pool_load[pool] = list(map(sub, self.pool_load[pool], demand))
        for g in self.of.groups_of.get(m, ()):
            self.here[g, v] -= 1

    def _due(self, m: int, at: int, by: Callable[[int, int], int]) -> None:
        """What is still to come to the machine's last place, while it is elsewhere."""
        final = self.of.final[m]
        if final in {at, NOWHERE}:
            return
        demand, pool = self.of.demand[m], self.of.pool_of[final]
        self.due[final] = list(map(by, self.due[final], demand))
        if at == NOWHERE or self.of.pool_of[at] != pool:
            self.pool_due[pool] = list(map(by, self.pool_due[pool], demand))

"""Where machines would restart when hosts of a pool fail: a simulation in plain Python, without any solver.

It tries, in this order: the hosts that the plan states; each lost host's machines together onto one host;
first fit decreasing by all resources and by each; and then every way, up to `MOST_STEPS`. Hosts are always
tried in the same order. So whatever is found is a proof, and only a search that ends early says nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import NamedTuple

import numpy as np

from placement.problem import PlacementProblem
from placement.seats import Seats

MOST_STEPS = 10_000
"""Machines put onto a host in the search through every way, up to which one set of lost hosts is looked at."""

Amounts = tuple[int, ...]
"""Of each resource class that hosts have themselves."""
Left = dict[int, Amounts]
"""Host -> what it has left."""


class Machine(NamedTuple):
    """What must restart."""

    takes: Amounts
    hosts: frozenset[int]
    """Those of its pool that are large enough for it alone."""
    stated: int = -1
    """Where the plan says that it restarts; -1: it says nothing."""


@dataclass(frozen=True)
class Scene:
    """A pool at one time."""

    size: Amounts
    """What all of its hosts offer to requests: by it, large machines are told from small ones."""
    left: Left
    """Of every host that is up."""
    on: dict[int, tuple[Machine, ...]]
    """Host -> those of its machines that must restart; the others only take room while their host is up."""

    def lost(self, hosts: Sequence[int]) -> list[Machine]:
        """The machines that must restart when these hosts fail."""
        return [machine for host in hosts for machine in self.on[host]]

    def after(self, hosts: Sequence[int]) -> Left | None:
        """What the other hosts have left once all have restarted; None where no way was found."""
        left = {host: amounts for host, amounts in self.left.items() if host not in hosts}
        machines = self.lost(hosts)
        if not machines or not left:
            return None if machines else left
        if not _fits(total(m.takes for m in machines), total(_usable(has) for has in left.values())):
            return None
        for units in _orders(machines, [self.on[host] for host in hosts], self.size):
            found = _first_fit(units, left)
            if found is not None:
                return found
        return _Search(_alike_together(machines, self.size), left).found()

    def moved(self, host: int, machine: Machine, *, restarts: bool) -> "Scene":
        """The same with one machine more."""
        left = {**self.left, host: _less(self.left[host], machine.takes)}
        on = {**self.on, host: (*self.on[host], machine)} if restarts else self.on
        return replace(self, left=left, on=on)


def scenes(
    problem: PlacementProblem, seats: Seats, pool: int, restarts: Sequence[bool], without: int = -1
) -> Iterator[Scene]:
    """A pool in every slot of time; `restarts` [R] are the requests that must, `without` is one to leave out."""
    periods, stated = problem.periods, seats.choice("ha_reserve")
    hosts = hosts_of(problem, pool)
    provider_of = seats.provider_of.tolist()
    seated = [i for i, v in enumerate(provider_of) if v in hosts and i != without]
    for slot in range(1 if periods is None else len(periods.names)):
        left = {v: own(problem, problem.providers.free[v].tolist()) for v in hosts}
        on: dict[int, tuple[Machine, ...]] = dict.fromkeys(hosts, ())
        if periods is not None:
            taken = periods.taken[slot].tolist()
            left = {v: _less(amounts, own(problem, taken[v])) for v, amounts in left.items()}
        size = total(left.values())
        for i in seated:
            if periods is not None and not periods.first[i] <= slot < periods.end[i]:
                continue
            host, to = provider_of[i], -1 if stated is None else int(stated[i])
            machine = machine_of(problem, i, hosts)._replace(stated=to)
            left[host] = _less(left[host], machine.takes)
            if restarts[i]:
                on[host] = (*on[host], machine)
        yield Scene(size, left, on)


def hosts_of(problem: PlacementProblem, pool: int) -> list[int]:
    """The hosts of a pool, by position."""
    return [int(v) for v in np.flatnonzero(problem.providers.pool_of == pool)]


def machine_of(problem: PlacementProblem, request: int, hosts: Sequence[int]) -> Machine:
    """A request as one of a pool's machines."""
    demand, largest = problem.demand[request].tolist(), problem.providers.largest
    fits = [v for v in hosts if all(n <= most for n, most in zip(demand, largest[v].tolist(), strict=True))]
    return Machine(own(problem, demand), frozenset(fits))


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Their sum; there is at least one."""
    return tuple(map(sum, zip(*amounts, strict=True)))


def own(problem: PlacementProblem, amounts: Sequence[int]) -> Amounts:
    """Those of the resource classes that hosts have themselves; the rest stays with the pool when a host fails."""
    return tuple(n for n, of in zip(amounts, problem.providers.own.tolist(), strict=True) if of)


def all_ways_are_tried(problem: PlacementProblem, pool: int, losses: int, restarts: Sequence[bool]) -> bool:
    """Whether the search comes to an end for whatever plan, so that what it does not find is not there.

    c machines of a kind go onto n hosts in comb(c + n - 1, n - 1) ways, and each way is reached in at most
    as many steps as there are machines.
    """
    hosts = hosts_of(problem, pool)
    n = len(hosts) - losses
    if n < 1:
        return True
    may = [i for i, must in enumerate(restarts) if must and not problem.rejections.get((i, pool))]
    kinds = Counter(machine_of(problem, i, hosts) for i in may)
    steps = len(may)
    for count in kinds.values():
        steps *= comb(count + n - 1, n - 1)
    return steps <= MOST_STEPS


_Units = list[tuple[Amounts, frozenset[int]]]
"""What is put onto one host each, in this order, and the hosts that it may go to."""


def _orders(machines: list[Machine], lost: list[tuple[Machine, ...]], every: Amounts) -> Iterator[_Units]:
    one_by_one = sorted(machines, key=lambda m: -_share(m.takes, every))
    if any(machine.stated >= 0 for machine in machines):
        first = [m for m in machines if m.stated >= 0]
        rest = [m for m in one_by_one if m.stated < 0]
        yield [
            *((m.takes, m.hosts & {m.stated}) for m in first),
            *((m.takes, m.hosts) for m in rest),
        ]
    yield sorted((_together(host) for host in lost if host), key=lambda u: -_share(u[0], every))
    yield [(m.takes, m.hosts) for m in one_by_one]
    for k in range(len(every)):
        yield [(m.takes, m.hosts) for m in _largest_first(machines, k)]


def _largest_first(machines: list[Machine], k: int) -> list[Machine]:
    return sorted(machines, key=lambda m: -m.takes[k])


def _together(machines: tuple[Machine, ...]) -> tuple[Amounts, frozenset[int]]:
    return total(m.takes for m in machines), frozenset.intersection(*(m.hosts for m in machines))


def _first_fit(units: _Units, left: Left) -> Left | None:
    now = dict(left)
    for takes, hosts in units:
        to = next((v for v, has in now.items() if v in hosts and _fits(takes, has)), None)
        if to is None:
            return None
        now[to] = _less(now[to], takes)
    return now


class _Search:
    """Every way, depth first; machines of one kind keep to the order of hosts, since swapping them changes nothing."""

    def __init__(self, machines: list[Machine], left: Left) -> None:
        self._machines, self._left = machines, dict(left)
        self._hosts = list(left)
        self._at: list[int] = []

    def found(self) -> Left | None:
        """What is left once all are on hosts; None where that cannot be, or the steps are over."""
        host, steps = 0, 0
        while len(self._at) < len(self._machines):
            to = self._next(host)
            if to is not None and steps < MOST_STEPS:
                steps += 1
                host = self._put(to)
            elif self._at and steps < MOST_STEPS:
                host = self._take_back() + 1
            else:
                return None
        return self._left

    def _next(self, first: int) -> int | None:
        machine = self._machines[len(self._at)]
        for h in range(first, len(self._hosts)):
            host = self._hosts[h]
            if host in machine.hosts and _fits(machine.takes, self._left[host]):
                return h
        return None

    def _put(self, h: int) -> int:
        """The first host for the machine after it."""
        m, host = len(self._at), self._hosts[h]
        self._left[host] = _less(self._left[host], self._machines[m].takes)
        self._at.append(h)
        alike = m + 1 < len(self._machines) and self._machines[m + 1][:2] == self._machines[m][:2]
        return h if alike else 0

    def _take_back(self) -> int:
        h = self._at.pop()
        host, takes = self._hosts[h], self._machines[len(self._at)].takes
        self._left[host] = tuple(left + n for left, n in zip(self._left[host], takes, strict=True))
        return h


def _alike_together(machines: list[Machine], every: Amounts) -> list[Machine]:
    return sorted(machines, key=lambda m: (-_share(m.takes, every), m.takes, sorted(m.hosts)))


def _share(takes: Amounts, every: Amounts) -> int:
    """Its part of each resource added up, in millionths."""
    return sum(n * 1_000_000 // max(1, of) for n, of in zip(takes, every, strict=True))


def _usable(has: Amounts) -> Amounts:
    return tuple(max(0, n) for n in has)


def _fits(takes: Amounts, has: Amounts) -> bool:
    return all(n <= left for n, left in zip(takes, has, strict=True))


def _less(has: Amounts, takes: Amounts) -> Amounts:
    return tuple(left - n for left, n in zip(has, takes, strict=True))

"""Where machines would restart when hosts of a pool fail: a simulation in plain Python, without any solver.

It tries, in this order: each lost host's machines together onto one host; the hosts that the plan states;
first fit decreasing by all resources and by each; and then every way, up to `MOST_STEPS`. Hosts are always
tried in the same order. So whatever is found is a proof, and only a search that ends early says nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import comb
from operator import add, le, sub
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


class Load(NamedTuple):
    """What would have to restart if a host failed."""

    machines: tuple[Machine, ...] = ()
    takes: Amounts = ()
    """Of all of them together."""
    hosts: frozenset[int] = frozenset()
    """Those that are large enough for each of them."""

    def plus(self, machine: Machine) -> "Load":
        """One machine more."""
        if not self.machines:
            return Load((machine,), machine.takes, machine.hosts)
        takes = tuple(map(add, self.takes, machine.takes))
        return Load((*self.machines, machine), takes, self.hosts & machine.hosts)


@dataclass(frozen=True)
class Scene:
    """A pool at one time."""

    size: Amounts
    """What all of its hosts offer to requests: by it, large machines are told from small ones."""
    left: Left
    """Of every host that is up."""
    on: dict[int, Load]
    """By host; who need not restart is not in it, and only takes room while the host is up."""

    def lost(self, hosts: Iterable[int]) -> list[Machine]:
        """The machines that must restart when these hosts fail."""
        return [machine for host in hosts for machine in self.on[host].machines]

    def after(self, hosts: Sequence[int]) -> Left | None:
        """What the other hosts have left once all have restarted; None where no way was found."""
        left = {host: amounts for host, amounts in self.left.items() if host not in hosts}
        loads = [self.on[host] for host in hosts if self.on[host].machines]
        if not loads or not left:
            return None if loads else left
        takes = total(load.takes for load in loads)
        if not _fits(takes, total(left.values())) and not _fits(takes, total(map(_usable, left.values()))):
            return None
        machines = self.lost(hosts)
        for units in _orders(machines, loads, self.size):
            found = _first_fit(units, left)
            if found is not None:
                return found
        return _Search(_alike_together(machines, self.size), left).found()

    def spared(self, losses: int) -> bool:
        """Whether there are hosts to spare, with which `after` finds a way for whichever `losses` hosts are lost.

        Receivers have room for the whole load of any host. Each lost host with a load needs one that is not
        lost: enough are `losses` that carry no load themselves, or twice as many of any kind. First fit of whole
        loads finds one, since each load before has used one at most.
        """
        loads = [load for load in self.on.values() if load.machines]
        if not loads:
            return True
        top = tuple(map(max, zip(*(load.takes for load in loads), strict=True)))
        common = frozenset.intersection(*(load.hosts for load in loads))
        receivers = [host for host, has in self.left.items() if host in common and _fits(top, has)]
        empty = sum(not self.on[host].machines for host in receivers)
        return len(self.left) > losses and (empty >= losses or len(receivers) >= 2 * losses)

    def moved(self, host: int, machine: Machine, *, restarts: bool) -> "Scene":
        """The same with one machine more."""
        left = {**self.left, host: _less(self.left[host], machine.takes)}
        on = {**self.on, host: self.on[host].plus(machine)} if restarts else self.on
        return replace(self, left=left, on=on)


def scenes(
    problem: PlacementProblem, seats: Seats, pool: int, restarts: Sequence[bool], without: int = -1
) -> Iterator[Scene]:
    """A pool in every slot of time; `restarts` [R] are the requests that must, `without` is one to leave out."""
    periods, stated = problem.periods, seats.choice("ha_reserve")
    hosts = hosts_of(problem, pool)
    inside, known = set(hosts), dict[Amounts, Machine]()
    seated = [(i, v) for i, v in enumerate(seats.provider_of.tolist()) if v in inside and i != without]
    for slot in range(1 if periods is None else len(periods.names)):
        left = _offered(problem, hosts, slot)
        size, on = total(left.values()), dict.fromkeys(hosts, Load())
        for i, host in seated:
            if periods is not None and not periods.first[i] <= slot < periods.end[i]:
                continue
            demand = tuple(problem.demand[i].tolist())
            if demand not in known:
                known[demand] = machine_of(problem, i, hosts)
            machine = known[demand]._replace(stated=-1 if stated is None else int(stated[i]))
            left[host] = _less(left[host], machine.takes)
            if restarts[i]:
                on[host] = on[host].plus(machine)
        yield Scene(size, left, on)


def _offered(problem: PlacementProblem, hosts: Sequence[int], slot: int) -> Left:
    """What hosts have for requests, others' load taken off."""
    left = {v: own(problem, problem.providers.free[v].tolist()) for v in hosts}
    if problem.periods is None:
        return left
    taken = problem.periods.taken[slot].tolist()
    return {v: _less(amounts, own(problem, taken[v])) for v, amounts in left.items()}


def hosts_of(problem: PlacementProblem, pool: int) -> list[int]:
    """The hosts of a pool, by position."""
    return [int(v) for v in np.flatnonzero(problem.providers.pool_of == pool)]


def machine_of(problem: PlacementProblem, request: int, hosts: Sequence[int]) -> Machine:
    """A request as one of a pool's machines."""
    large_enough = (problem.demand[request] <= problem.providers.largest[hosts]).all(axis=1).tolist()
    fits = frozenset(v for v, fit in zip(hosts, large_enough, strict=True) if fit)
    return Machine(own(problem, problem.demand[request].tolist()), fits)


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


def _orders(machines: list[Machine], loads: list[Load], every: Amounts) -> Iterator[_Units]:
    yield [load[1:] for load in sorted(loads, key=lambda load: -_share(load.takes, every))]
    one_by_one = sorted(machines, key=lambda m: -_share(m.takes, every))
    if any(machine.stated >= 0 for machine in machines):
        first = [(m.takes, m.hosts & {m.stated}) for m in machines if m.stated >= 0]
        yield [*first, *((m.takes, m.hosts) for m in one_by_one if m.stated < 0)]
    yield [(m.takes, m.hosts) for m in one_by_one]
    for k in range(len(every)):
        yield [(m.takes, m.hosts) for m in _largest_first(machines, k)]


def _largest_first(machines: list[Machine], k: int) -> list[Machine]:
    return sorted(machines, key=lambda m: -m.takes[k])


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
        self._left[host] = tuple(map(add, self._left[host], takes))
        return h


def _alike_together(machines: list[Machine], every: Amounts) -> list[Machine]:
    return sorted(machines, key=lambda m: (-_share(m.takes, every), m.takes, sorted(m.hosts)))


@lru_cache(maxsize=4096)
def _share(takes: Amounts, every: Amounts) -> int:
    """Its part of each resource added up, in millionths."""
    return sum(n * 1_000_000 // max(1, of) for n, of in zip(takes, every, strict=True))


def _usable(has: Amounts) -> Amounts:
    return tuple(max(0, n) for n in has)


def _fits(takes: Amounts, has: Amounts) -> bool:
    return all(map(le, takes, has))


def _less(has: Amounts, takes: Amounts) -> Amounts:
    return tuple(map(sub, has, takes))

"""Whichever hosts of a pool fail at once, up to a number, the machines on them fit on what the others have left.

Each set of lost hosts is simulated: what must restart is put onto the pool's other hosts, each with its own free
room and its largest machine. Only these and policies count then: groups may be torn apart and NUMA nodes, devices
and datastores are not looked at while hosts are down. Load outside the problem restarts nowhere.

A plan holds if `placement.restarts` finds a way for every set; where its search ends without one, the plan
does not hold. Solvers are told, pool by pool, the first of these that applies:

- where every way is tried: columns for each set, which is exact;
- where one host may fail, up to `MOST_CHOICES`: a host to restart on for each machine, which the plan states, and
  which is exact (with periods, one for all time, which is a little more than needed);
- otherwise: receivers with room for the whole load of any host, `losses` that are empty or twice as many that are
  not. That is sufficient, and costs the room of `losses` whole hosts, as every reserve of this kind does where
  hosts are equal; but it asks for the room in whole pieces. A pool that is evenly filled to more than half,
  with enough room in small pieces, would have to be drawn together first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from operator import le
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from catalog.units import amount_of, format_amount
from catalog.wording import counted
from placement import restarts
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import in_words
from placement.kernel import Kernel
from placement.model import Model
from placement.options import twice
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import members, unknown_requests
from placement.restart_rows import RestartRows
from placement.restarts import Left, Machine, Scene
from placement.seats import Seats
from policies.decisions import Rejection

MOST_SETS = 20_000
"""Sets of lost hosts of one pool that are simulated."""
MOST_CHOICES = 1_000_000
"""Classes times hosts times hosts to restart on, up to which each machine is given one."""


class HaReserve(Constraint):
    """N+k: a pool with no more hosts than may fail takes no machine that must restart."""

    kind: Literal["ha_reserve"] = "ha_reserve"
    pools: FrozenMapping[str, Annotated[int, Field(ge=1, strict=True)]]
    """Pool -> how many of its hosts may fail at once."""
    restart: tuple[str, ...] | None = None
    """The requests that must restart, by id or group; None: all. The others stay down with their host."""

    def fact(self, problem: PlacementProblem) -> str:
        """Which pool must survive what."""
        losses = [
            f"pool {name} must survive the loss of any {counted(losses, 'host')}"
            for name, losses in self.pools.items()
        ]
        return in_words(losses) or "no pool must survive a loss"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, and more sets of hosts than are simulated."""
        yield from twice(problem, HaReserve)
        if problem.hosts is None:
            yield "pools: failures are of hosts, and this problem places on pools; give it hosts, or keep a reserve"
            return
        for name, losses in self.pools.items():
            if name not in problem.pool_ids:
                yield f"pools.{name}: there is no such pool; there are {', '.join(problem.pool_ids)}"
                continue
            hosts = len(restarts.hosts_of(problem, problem.pool_ids.index(name)))
            if comb(hosts, losses) > MOST_SETS:
                sets = f"{counted(hosts, 'host', 'has', 'have')} {counted(comb(hosts, losses), 'set')} of {losses}"
                yield f"pools.{name}: {sets}, more than the {MOST_SETS:,} that are looked at; ask for fewer losses"
        yield from unknown_requests(problem, "restart", self.restart or ())

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R] whether it must restart."""
        return self._must(problem).astype(np.int64)

    def choice_name(self, problem: PlacementProblem, choice: int) -> str:
        """The host to restart on."""
        return problem.providers.ids[choice]

    def choice_count(self, problem: PlacementProblem) -> int:
        """Every host, where machines are given one to restart on."""
        must = self._must(problem).tolist()
        given = (
            losses == 1 and not restarts.all_ways_are_tried(problem, pool, losses, must)
            for pool, losses in self._pools(problem)
        )
        return len(problem.providers.ids) if any(given) else 0

    def post(self, model: Model) -> None:
        """Pool by pool, what the file's first lines say."""
        must = self._must(model.problem)
        g, v = model.shape
        stating = g * v * v <= MOST_CHOICES
        choices = np.full((g, v, v if stating else 0), -1, dtype=np.int64)
        for pool, losses in self._pools(model.problem):
            hosts = np.flatnonzero(model.problem.providers.pool_of == pool)
            rows = RestartRows(model, hosts, must[model.classes.one])
            if len(hosts) <= losses:
                model.forbid(rows.must[:, None] & (model.problem.providers.pool_of == pool)[None, :])
            elif restarts.all_ways_are_tried(model.problem, pool, losses, must.tolist()):
                rows.each_set(list(combinations(hosts.tolist(), losses)))
            elif losses == 1 and stating:
                rows.each_host(choices)
            else:
                rows.spare_hosts(losses)
        if (choices >= 0).any():
            model.choose("ha_reserve", choices)

    def admit(self, kernel: Kernel) -> None:
        """The same; over time, as if everyone stayed for good, since the primitive knows no time."""
        weight = self._must(kernel.problem)[kernel.classes.one].astype(np.int64)
        for pool, losses in self._pools(kernel.problem):
            kernel.failover(pool, losses, weight)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each set of hosts whose machines cannot be shown to fit on the others."""
        must = self._must(problem).tolist()
        names = problem.providers.ids
        slots = ("",) if problem.periods is None else tuple(f" {name}" for name in problem.periods.names)
        for pool, losses in self._pools(problem):
            for when, scene in zip(slots, restarts.scenes(problem, seats, pool, must), strict=True):
                for lost in () if scene.spared(losses) else _sets(scene, losses):
                    if scene.after(lost) is None:
                        hosts = " and ".join(names[v] for v in lost)
                        count = len(scene.lost(lost))
                        what = f"{hosts} of {problem.pool_ids[pool]} failed{when}"
                        yield f"if {what}, the other hosts could not be shown to take their {counted(count, 'machine')}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every host with which, with the request on it, any set of hosts of its pool could not fail."""
        problem, must = after.problem, self._must(after.problem).tolist()
        blocked = np.zeros(len(problem.providers.ids), dtype=np.bool_)
        for pool, losses in self._pools(problem):
            for scene in self._scenes(after, request, pool):
                machine = restarts.machine_of(problem, request, list(scene.left))
                judge = _Judge(scene, losses, machine, must[request])
                for v in scene.left:
                    blocked[v] |= judge.breaks(v)
        return blocked if blocked.any() else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """What would have to restart and what is left for it, for the first set of hosts that could not fail."""
        problem, must = after.problem, self._must(after.problem).tolist()
        pool = int(problem.providers.pool_of[provider])
        losses = dict(self._pools(problem)).get(pool, 0)
        for scene in self._scenes(after, request, pool) if losses else ():
            machine = restarts.machine_of(problem, request, list(scene.left))
            moved = scene.moved(provider, machine, restarts=must[request])
            for lost in _sets(moved, losses):
                if moved.after(lost) is None:
                    yield _cannot_fail(problem, pool, moved, lost)
                    return

    def _must(self, problem: PlacementProblem) -> Bool:
        """[R]."""
        if self.restart is None:
            return np.ones(len(problem.request_ids), dtype=np.bool_)
        return members(problem, self.restart)

    def _pools(self, problem: PlacementProblem) -> list[tuple[int, int]]:
        return [(problem.pool_ids.index(name), losses) for name, losses in self.pools.items()]

    def _scenes(self, after: Placed, request: int, pool: int) -> list[Scene]:
        """Those of the slots in which the request is there, itself left out."""
        problem = after.problem
        must = self._must(problem).tolist()
        every = list(restarts.scenes(problem, after.seats, pool, must, without=request))
        if problem.periods is None:
            return every
        return every[int(problem.periods.first[request]) : int(problem.periods.end[request])]


@dataclass
class _Judge:
    """One machine on each host of a pool in turn."""

    scene: Scene
    losses: int
    machine: Machine
    restarts: bool
    known: dict[tuple[int, ...], Left | None] = field(default_factory=dict)
    """What sets of lost hosts leave without the machine."""

    def breaks(self, host: int) -> bool:
        """Whether any set of hosts could not fail with the machine there."""
        moved = self.scene.moved(host, self.machine, restarts=self.restarts)
        if moved.spared(self.losses):
            return False
        # With the host among the lost, its new machine must restart too: most likely not to hold.
        sets = sorted(_sets(moved, self.losses), key=lambda lost: host not in lost)
        return any(not self._makes_no_difference(host, lost) and moved.after(lost) is None for lost in sets)

    def _makes_no_difference(self, host: int, lost: tuple[int, ...]) -> bool:
        """Every step of `Scene.after` is the same with the machine there, where it leaves that much room anyway."""
        if host in lost:
            return False
        if lost not in self.known:
            self.known[lost] = self.scene.after(lost)
        left = self.known[lost]
        return left is not None and all(map(le, self.machine.takes, left[host]))


def _sets(scene: Scene, losses: int) -> list[tuple[int, ...]]:
    return list(combinations(scene.left, min(losses, len(scene.left))))


def _cannot_fail(problem: PlacementProblem, pool: int, scene: Scene, lost: tuple[int, ...]) -> Rejection:
    name, machines = problem.pool_ids[pool], scene.lost(lost)
    hosts = " and ".join(problem.providers.ids[v] for v in lost)
    own = restarts.own(problem, range(len(problem.resource_classes)))
    others = [has for v, has in scene.left.items() if v not in lost]
    for k, of in enumerate(own):
        resource_class = problem.resource_classes[of]
        need, limit = sum(m.takes[k] for m in machines), sum(max(0, has[k]) for has in others)
        if need > limit:
            return Rejection(
                rule_id="ha-reserve",
                pool=name,
                dimension=resource_class,
                limit=format_amount(resource_class, limit),
                need=format_amount(resource_class, need),
                why=f"if {hosts} failed, machines with {amount_of(resource_class, need)} would have to restart, "
                f"and the other hosts of {name} have {format_amount(resource_class, limit)} left",
                remedy=f"free {amount_of(resource_class, need - limit)} on {name}, or add a host to it",
            )
    return Rejection(
        rule_id="ha-reserve",
        pool=name,
        dimension="ha_restart",
        limit="no way found",
        need=counted(len(machines), "machine", "restarts", "restart"),
        why=f"if {hosts} failed, no way was found to fit its {counted(len(machines), 'machine')} on the others, each on one, "
        f"though {name} has room for them in all",
        remedy=f"draw the room on {name} together on fewer hosts, order a smaller size, or add a host to it",
    )

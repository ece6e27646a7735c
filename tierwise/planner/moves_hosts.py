"""A document of moves between pools -> one between their hosts, as far as the estate knows these.

A plan says how many machines a pool has, and waves of pools take sums for granted. Here each machine that comes gets a
host of the pool, the largest first, and hosts that the plan gives up are emptied.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.estates.model import Estate, EstateHost
from catalog.wording import counted, first_few
from tierwise.planner.grouping import RESOURCES
from tierwise.planner.result import ScenarioResult
from tierwise.planner.rooms import host_room
from tierwise.planner.world import Block, World

Row = dict[str, Any]
_ON_HOSTS = 2
"""vCPU and memory are of hosts; disk is the pool's."""


@dataclass(eq=False)
class _Host:
    name: str
    capacity: tuple[int, ...]
    kind: tuple[object, ...]
    here: list[Row] = field(default_factory=list)
    used: list[int] = field(default_factory=lambda: [0] * _ON_HOSTS)
    leaves: bool = False
    """Whether the plan gives it up."""

    def add(self, machine: Row) -> None:
        """One more machine."""
        self.here.append(machine)
        for k in range(_ON_HOSTS):
            self.used[k] += int(machine["resources"][RESOURCES[k]])

    def left(self, k: int) -> int:
        """What is free of a resource; below 0 where there is too much."""
        return self.capacity[k] - self.used[k]

    def share_left(self, machine: Row) -> float:
        """The smaller of what is free of vCPU and of memory with one more machine; below 0: no room."""
        free = []
        for k in range(_ON_HOSTS):
            takes = int(machine["resources"][RESOURCES[k]])
            if takes:
                free.append((self.left(k) - takes) / max(1, self.capacity[k]))
        return min(free, default=1.0)


@dataclass(frozen=True)
class OnHosts:
    """The document, and what a planner should know of it."""

    document: Row
    notes: tuple[str, ...]


def on_hosts(
    document: Row,
    estate: Estate,
    world: World,
    result: ScenarioResult,
    ids: Sequence[str],
    apart: Mapping[str, Sequence[str]],
) -> OnHosts:
    """The document with hosts in place of pools. `ids` are those of its machines in the estate, in its order.

    A pool of which the estate does not know the hosts, or the host of each machine, stays one place; so it is told.
    Machines that find no host in their new pool stay where they are.
    """
    notes: list[str] = []
    host_of = {one.id: one.host for one in estate.machines}
    hosts: dict[str, list[_Host]] = {}
    for pool in [row["id"] for row in document["providers"]]:
        mine = [(m, one) for m, one in zip(ids, document["machines"], strict=True) if one["from"] == pool]
        known = {one.name: one for one in estate.hosts_of(pool)}
        lost = [one["id"] for m, one in mine if host_of.get(m, "") not in known]
        if lost or not all(one.cores and one.memory_mib for one in known.values()):
            why = f"the host of {counted(len(lost), 'machine')} is" if lost else "the size of its hosts is"
            notes.append(f"{pool}: {why} not known; it is taken as one place")
            continue
        hosts[pool] = [*_today(pool, known, world), *_bought(pool, world, result)]
    group_of = {m: name for name, members in apart.items() for m in members}
    id_of = dict(zip((one["id"] for one in document["machines"]), ids, strict=True))
    placed = _Placing(document, hosts, id_of, group_of)
    placed.stand(host_of)
    for pool, there in hosts.items():
        _give_up(there, pool, world, result)
    notes += placed.go()
    losses = {pool: world.pools[pool].losses if world.reserve else 0 for pool in hosts}
    return OnHosts(_written(document, hosts, placed, losses, notes), tuple(notes))


def _kind(model: str, sockets: int, cores: int, memory_mib: int) -> tuple[object, ...]:
    return (model or "hosts", max(1, sockets), cores, memory_mib)


def _today(pool: str, known: Mapping[str, EstateHost], world: World) -> list[_Host]:
    state = world.pools[pool]
    found = []
    for name, one in known.items():
        block = Block("", pool, one.model, max(1, one.sockets), one.cores, one.memory_mib, 0, 1, 1)
        kind = _kind(one.model, one.sockets, one.cores, one.memory_mib)
        found.append(_Host(name, host_room(block, state)[0], kind))
    return found


def _bought(pool: str, world: World, result: ScenarioResult) -> list[_Host]:
    """Hosts that the plan buys, named by their type."""
    blocks = {one.id: one for one in world.blocks}
    found = []
    for one in result.hosts:
        if one.pool == pool and one.bought:
            block = blocks[one.block]
            room = host_room(block, world.pools[pool])[0]
            found += [
                _Host(f"{pool}: {block.type or block.model} {n + 1}", room, ()) for n in range(one.bought)
            ]
    return found


def _give_up(there: list[_Host], pool: str, world: World, result: ScenarioResult) -> None:
    """As many hosts of each kind as the plan gives up, those on which the least memory stays."""
    blocks = {one.id: one for one in world.blocks}
    kept = {
        _kind(blocks[one.block].model, blocks[one.block].sockets, blocks[one.block].cores, blocks[one.block].memory_mib): one.kept
        for one in result.hosts
        if one.pool == pool and not (blocks[one.block].type or blocks[one.block].paid)
    }  # fmt: skip
    by_kind: dict[tuple[object, ...], list[_Host]] = defaultdict(list)
    for host in there:
        if host.kind:
            by_kind[host.kind].append(host)
    for kind, same in by_kind.items():
        same.sort(key=lambda one: (one.left(1), one.name), reverse=True)
        for host in same[: len(same) - kept.get(kind, 0)]:
            host.leaves = True


class _Placing:
    """Who is where, and who comes."""

    def __init__(
        self,
        document: Row,
        hosts: Mapping[str, list[_Host]],
        ids: Mapping[str, str],
        group_of: Mapping[str, str],
    ) -> None:
        self.machines: list[Row] = document["machines"]
        self.hosts, self.ids, self.group_of = hosts, ids, group_of
        self.source: dict[str, str] = {}
        self.target: dict[str, str] = {}

    def stand(self, host_of: Mapping[str, str]) -> None:
        """Each machine on its host; those that leave the pool take no room for those that come."""
        at = {one.name: one for there in self.hosts.values() for one in there}
        for one in self.machines:
            host = host_of.get(self.ids[one["id"]], "") if one["from"] in self.hosts else ""
            self.source[one["id"]] = self.target[one["id"]] = host or one["from"]
            if host and one["from"] == one["to"]:
                at[host].add(one)
            elif one["to"] not in self.hosts:
                self.target[one["id"]] = one["to"]

    def go(self) -> list[str]:
        """Everyone who comes to a pool with hosts, or whose host is given up, gets one; tells who gets none."""
        notes = []
        for pool, there in self.hosts.items():
            coming = [one for one in self.machines if one["to"] == pool and one["from"] != pool]
            for host in there:
                if host.leaves:
                    coming += host.here
                    host.here, host.used = [], [0] * _ON_HOSTS
            coming.sort(key=lambda one: (-int(one["resources"][RESOURCES[1]]), one["id"]))
            stays = [host for host in there if not host.leaves]
            lost = [one for one in coming if not self._place(one, stays)]
            for one in lost:
                self._stay(one, there)
            if lost:
                names = first_few([one["id"] for one in lost])
                notes.append(f"{pool}: no host has room for {names}; they stay where they are")
        return notes

    def _stay(self, one: Row, there: list[_Host]) -> None:
        """Back to where it is, which then is not given up."""
        for host in there:
            if host.name == self.source[one["id"]]:
                host.add(one)
        self.target[one["id"]] = self.source[one["id"]]

    def _place(self, one: Row, hosts: Sequence[_Host]) -> bool:
        """On the host with the most left, without one of its group."""
        group = self.group_of.get(self.ids[one["id"]])
        free = [
            (host.share_left(one), -n, host)
            for n, host in enumerate(hosts)
            if not group or all(self.group_of.get(self.ids[other["id"]]) != group for other in host.here)
        ]
        best = max(free, key=lambda item: item[:2], default=None)
        if best is None or best[0] < 0:
            return False
        best[2].add(one)
        self.target[one["id"]] = best[2].name
        return True


def _written(
    document: Row,
    hosts: Mapping[str, list[_Host]],
    placed: _Placing,
    losses: Mapping[str, int],
    notes: list[str],
) -> Row:
    machines = [
        {**one, "from": placed.source[one["id"]], "to": placed.target[one["id"]]} for one in placed.machines
    ]
    found = {**document, "providers": [], "machines": machines, "losses": {}}
    for row in document["providers"]:
        there = hosts.get(row["id"])
        if there is None:
            found["providers"].append(row)
            continue
        found["providers"] += [_provider(row, one, machines) for one in there]
    found["apart"] = _groups(placed, hosts)
    for pool, there in hosts.items():
        if losses[pool] and _keeps(there, losses[pool], machines):
            found["losses"][pool] = losses[pool]
        elif losses[pool]:
            notes.append(
                f"{pool}: too full to keep room for {counted(losses[pool], 'lost host')}; waves will not"
            )
    return found


def _provider(pool: Row, host: _Host, machines: list[Row]) -> Row:
    """Disk is the pool's, and only told to be enough for each machine by itself."""
    capacity = dict(pool["capacity"])
    for k in range(_ON_HOSTS):
        today = sum(
            int(one["resources"][RESOURCES[k]]) for one in machines if one["from"] == host.name
        )  # What is there today may stay.
        capacity[RESOURCES[k]] = max(host.capacity[k], today)
    return {**pool, "id": host.name, "pool": pool["id"], "storage": pool["id"], "capacity": capacity}


def _groups(placed: _Placing, hosts: Mapping[str, list[_Host]]) -> dict[str, list[str]]:
    """Machines on hosts, without those that share one with another of their group in the end."""
    names = {one.name for there in hosts.values() for one in there}
    found: dict[str, list[str]] = defaultdict(list)
    taken: set[tuple[str, str]] = set()
    for one in placed.machines:
        group, target = placed.group_of.get(placed.ids[one["id"]]), placed.target[one["id"]]
        if group and target in names and (group, target) not in taken:
            taken.add((group, target))
            found[group].append(one["id"])
    return {name: members for name, members in found.items() if len(members) > 1}


def _keeps(there: Sequence[_Host], losses: int, machines: list[Row]) -> bool:
    """Whether all that was and all that will be on the hosts fits without the largest of them."""
    names = {one.name for one in there}
    for k in range(_ON_HOSTS):
        room = sum(sorted(one.capacity[k] for one in there)[: max(0, len(there) - losses)])
        for end in ("from", "to"):
            if sum(int(one["resources"][RESOURCES[k]]) for one in machines if one[end] in names) > room:
                return False
    return True

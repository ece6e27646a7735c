"""A scenario's moves as a document of moves (tierwise-moves/1), from which waves are made."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

from tierwise.planner.grouping import RESOURCES
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.result import NO_POOL, Room, ScenarioResult
from tierwise.planner.waves_form import FORMAT

LINK_MIB_S = 100
"""What a link between sites carries where nobody says: an assumption, about a Gbit/s."""
_UNKNOWN_SITE = "unknown"
_CONVERTED_PASSES = 4
"""A move between hypervisors reads, converts, writes and compares."""


class _Machine(NamedTuple):
    id: str
    name: str
    demand: list[int]
    pool: str
    copy_gib: int


def moves_document(
    prepared: Prepared, today: ScenarioResult, result: ScenarioResult, *, link_mib_s: int = LINK_MIB_S
) -> dict[str, Any]:
    """The document: all machines of the estate, those that move and those that stay.

    Machines in no pool are outside, at their site, until they are carried from there. A pool has the room of today's hosts
    or of the scenario's, whichever is more, with as many lost as may fail: hosts are bought before the moves and given up
    after them. Where the scenario loses hosts, these give no room. Machines without a place stay.
    """
    target = {move.machine: move.target for move in result.moves}
    world = prepared.changed(changes_of(prepared.document.scenarios[result.name]))
    machines = list(_machines(prepared, result))
    names = Counter(one.name for one in machines)
    hypervisor = {pool.pool: pool.hypervisor for pool in result.pools}
    changed = any(
        hypervisor.get(one.pool) != hypervisor[target[one.id]] for one in machines if one.id in target
    )
    providers = [*_providers(today, result, machines, world.lost), *_outside(prepared, machines)]
    sites = sorted({one["site"] for one in providers})
    return {
        "format": FORMAT,
        "title": f"Moves of {result.title or result.name}",
        "resource_classes": list(RESOURCES),
        "providers": providers,
        "machines": [
            _machine(one, one.name if names[one.name] == 1 else one.id, target, prepared, hypervisor)
            for one in machines
        ],
        "links": [
            {"between": list(pair), "mib_s": link_mib_s} for pair in combinations_with_replacement(sites, 2)
        ],
        "passes": _CONVERTED_PASSES if changed else 1,
    }


def machine_ids(prepared: Prepared, result: ScenarioResult) -> list[str]:
    """The ids in the estate of the document's machines, in its order."""
    return [one.id for one in _machines(prepared, result)]


def _machines(prepared: Prepared, result: ScenarioResult) -> Iterator[_Machine]:
    groups = prepared.groups
    changes = changes_of(prepared.document.scenarios[result.name])
    demand = groups.demand[prepared.changed(changes).sized_by]
    for g, members in enumerate(groups.members):
        for member in members:
            gib = -(-member.copy_mib // 1024)
            place = groups.pool[g] or _place_outside(prepared, prepared.outside[member.id])
            yield _Machine(member.id, member.name, demand[g].tolist(), place, gib)


def _place_outside(prepared: Prepared, site: str) -> str:
    """The provider that stands for where machines of a site run that are in no pool; no pool has its name."""
    name = f"{NO_POOL} at {site}" if site else NO_POOL
    while name in prepared.world.pools:
        name = f"({name})"
    return name


def _outside(prepared: Prepared, machines: Sequence[_Machine]) -> Iterator[dict[str, Any]]:
    """Where machines run that are in no pool: it has room for just these."""
    for site in sorted({prepared.outside[one.id] for one in machines if one.id in prepared.outside}):
        name = _place_outside(prepared, site)
        capacity = {
            resource: sum(one.demand[k] for one in machines if one.pool == name)
            for k, resource in enumerate(RESOURCES)
        }
        yield {"id": name, "site": site or _UNKNOWN_SITE, "capacity": capacity, "outside": True}


def _machine(
    one: _Machine, name: str, target: dict[str, str], prepared: Prepared, hypervisor: dict[str, str]
) -> dict[str, Any]:
    to = target.get(one.id, one.pool)
    found: dict[str, Any] = {
        "id": name,
        "resources": dict(zip(RESOURCES, one.demand, strict=True)),
        "from": one.pool,
        "to": to,
        "disk_gib": one.copy_gib,
        "mode": "live" if hypervisor.get(one.pool) == hypervisor.get(to) else "cold",
    }
    if application := prepared.applications.get(one.id, ""):
        found["application"] = application
    return found


def _providers(
    today: ScenarioResult, result: ScenarioResult, machines: list[_Machine], lost: Collection[str]
) -> Iterator[dict[str, Any]]:
    now, then = _rooms(today), _rooms(result)
    every = [sum(one.demand[k] for one in machines) for k in range(len(RESOURCES))]
    for pool in result.pools:
        capacity = {}
        for k, name in enumerate(RESOURCES):
            found = [room for rooms in (now, then) if (room := rooms.get((pool.pool, name)))]
            if pool.pool in lost:
                found = found[-1:]
            # What nobody limits has room for all.
            capacity[name] = max((_room(one) for one in found), default=every[k])
        yield {"id": pool.pool, "site": pool.site or "site", "capacity": capacity}


def _room(one: Room) -> int:
    """What may be there at every step; more is there already where today does not hold."""
    return max(one.without_losses, one.load)


def _rooms(result: ScenarioResult) -> dict[tuple[str, str], Room]:
    return {(one.pool, one.resource_class): one for one in result.rooms}

"""A rebalanced estate as a document of moves between hosts (tierwise-moves/1), from which waves are made."""

from collections import Counter
from typing import Any

import numpy as np

from catalog.wording import counted
from tierwise.planner.rebalancing.run import OfPool, Whole
from tierwise.planner.waves_form import FORMAT

_CLASSES = ("vcpu", "memory_mib", "disk_gib")
_MIB_PER_GIB = 1024


def moves_document(whole: Whole, title: str = "") -> tuple[dict[str, Any], list[str]]:
    """The document with the pools in which something moves, and what a planner should know.

    A machine is not moved with disks that both hosts reach: what it copies is its memory, and what is local.
    """
    pools = [one for one in whole.pools if one.ordered.moves]
    names = Counter(machine.name for one in pools for machine in one.room.machines)
    notes: list[str] = []
    document: dict[str, Any] = {
        "format": FORMAT,
        "title": title or f"Rebalancing of {whole.estate.name}",
        "resource_classes": list(_CLASSES),
        "providers": [row for one in pools for row in _providers(one)],
        "machines": [row for one in pools for row in _machines(one, names)],
        "apart": {name: group for one in pools for name, group in _apart(one, names)},
        "losses": {},
        "switch_s": 1,
    }
    for one in pools:
        losses = one.room.losses
        if losses and _keeps(one):
            document["losses"][one.room.pool] = losses
        elif losses:
            notes.append(
                f"{one.room.pool}: too full to keep room for {counted(losses, 'lost host')} while machines move; waves will not"
            )
    sites = sorted({row["site"] for row in document["providers"]})
    document["links"] = [
        {"between": [a, b], "mib_s": _LINK_MIB_S} for i, a in enumerate(sites) for b in sites[i + 1 :]
    ]
    return document, notes


_LINK_MIB_S = 100
"""Between sites where nobody says: an assumption, about a Gbit/s."""


def _providers(one: OfPool) -> list[dict[str, Any]]:
    here = one.room
    room = np.maximum(here.capacity, here.used(here.at))
    return [
        {
            "id": host.name,
            "pool": here.pool,
            "site": host.site or "site",
            "capacity": _amounts(room[m].tolist(), up=False),
        }
        for m, host in enumerate(here.hosts)
    ]


def _machines(one: OfPool, names: Counter[str]) -> list[dict[str, Any]]:
    here, found = one.room, []
    for p, machine in enumerate(here.machines):
        row: dict[str, Any] = {
            "id": _name(one, p, names),
            "resources": _amounts(here.need[p].tolist(), up=True),
            "from": here.hosts[int(here.at[p])].name,
            "to": here.hosts[int(one.after[p])].name,
            "disk_gib": -(-int(here.copies_mib[p]) // _MIB_PER_GIB),
            "mode": "cold" if machine.power == "off" else "live",
        }
        if machine.application:
            row["application"] = machine.application
        found.append(row)
    return found


def _name(one: OfPool, p: int, names: Counter[str]) -> str:
    machine = one.room.machines[p]
    return machine.name if names[machine.name] == 1 else machine.id


def _amounts(values: list[int], *, up: bool) -> dict[str, int]:
    """Local disk in GiB, rounded to the safe side."""
    vcpu, memory_mib, disk_mib = values
    gib = -(-disk_mib // _MIB_PER_GIB) if up else disk_mib // _MIB_PER_GIB
    return {"vcpu": vcpu, "memory_mib": memory_mib, "disk_gib": gib}


def _apart(one: OfPool, names: Counter[str]) -> list[tuple[str, list[str]]]:
    """Groups without those that found no host of their own: with these, no step would keep the rule."""
    found = []
    for g, name in enumerate(one.parted.names):
        members = [p for p in np.flatnonzero(one.parted.group == g).tolist() if p not in one.parted.stuck]
        if len(members) > 1:
            found.append((f"{one.room.pool}: {name}", [_name(one, p, names) for p in members]))
    return found


def _keeps(one: OfPool) -> bool:
    """Whether the pool has room for all of it and the largest mover, without its largest hosts."""
    here = one.room
    room = np.sort(np.maximum(here.capacity, here.used(here.at)), axis=0)[
        : max(0, len(here.hosts) - here.losses)
    ]
    mover = here.need[list(one.ordered.moves)].max(axis=0)
    return bool((here.need.sum(axis=0) + mover <= room.sum(axis=0))[:2].all())

"""Machines of an estate -> groups of those that are alike in everything that a scenario can look at.

Two machines are alike where they have the same sizes, run in the same pool, need the same licences, and each
selector of the document means both or neither. The groups' order is that of their keys, not of the estate.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from catalog.estates.classified import Classified, Facts
from catalog.estates.model import MIB_PER_GIB, Estate, EstateMachine, PowerState
from catalog.resources import Resources
from catalog.workload_classes import WorkloadClass
from placement.arrays import Bool, Int64
from tierwise.planner.document import SizedBy, Sizing
from tierwise.planner.result import NO_POOL
from tierwise.planner.selecting import MachineFacts, MachineSelector, PoolLike

RESOURCES = ("vcpu", "memory_mib", "disk_gib")
PLACE_MIB = 1
"""Memory of a machine that is off and needs its disk alone, so that it is somewhere: without a host, no pool holds it."""
SIZED: tuple[SizedBy, ...] = ("today", "class", "use")
NOBODY = "-"
"""The class of machines that have none."""


class Member(NamedTuple):
    """A machine of a group."""

    id: str
    name: str
    copy_mib: int
    """What is copied when it moves: what its disks hold, as far as anybody knows."""


class _Key(NamedTuple):
    pool: str
    workload_class: str
    powered_on: bool
    demands: tuple[tuple[int, int, int], ...]
    selected: bytes
    licensed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MachineGroups:
    """G groups, and which machines are in each."""

    ids: tuple[str, ...]
    count: Int64
    demand: Mapping[SizedBy, Int64]
    """[G, 3] of one machine, in the order of `RESOURCES`."""
    pool: tuple[str, ...]
    """Where they run; empty for those of no pool."""
    workload_class: tuple[str, ...]
    running: Bool
    """[G] whether they are powered on, and so restart after a failure."""
    copy_mib: Int64
    """[G] what all machines of the group together copy when they move."""
    selected: Mapping[MachineSelector, Bool]
    licensed: Mapping[str, Bool]
    """Product -> [G] whose machines need it."""
    members: tuple[tuple[Member, ...], ...]
    """In the order in which they move: those with the least to copy first."""
    confidence: tuple[float, ...]
    """The mean confidence of their classification."""
    notes: tuple[str, ...] = field(default=())


def facts_of(
    estate: Estate,
    classified: Mapping[str, Classified],
    pools: Mapping[str, PoolLike],
    classes: Mapping[str, WorkloadClass],
) -> list[MachineFacts]:
    """What selectors see of each machine, in the estate's order. What no rule says of it, its class does."""
    found = []
    for one in estate.machines:
        said = classified.get(one.id)
        facts = said.facts if said else Facts()
        usual = classes.get(said.workload_class) if said else None
        pool = estate.pool_of(one)
        like = pools.get(pool)
        found.append(
            MachineFacts(
                id=one.id,
                name=one.name,
                workload_class=str(said.target) if said else "",
                tier=like.tier if like else "",
                pool=pool,
                site=(like.site if like else "") or one.site,
                hypervisor=like.hypervisor if like else "",
                application=one.application,
                tenant=one.tenant,
                folder=one.folder,
                guest_os=one.guest_os,
                software=frozenset(facts.software),
                labels={**facts.labels, **one.labels},
                data=str(facts.data_classification or (usual.data_classification if usual else "")),
                availability=str(facts.availability or (usual.availability if usual else "")),
                required_tier=facts.tier or "",
                powered_on=one.power is not PowerState.OFF,
                vcpus=one.vcpus,
                memory_mib=one.memory_mib,
            )
        )
    return found


def group(
    estate: Estate,
    facts: Sequence[MachineFacts],
    licensed: Sequence[tuple[str, ...]],
    selectors: Sequence[MachineSelector],
    classified: Mapping[str, Classified],
    used: Mapping[str, Resources],
    sizing: Sizing,
    sizes: Collection[SizedBy] = SIZED,
) -> MachineGroups:
    """The groups. `licensed` names the products that each machine needs; `used` has right-sized machines by id.

    Only `sizes` tell machines apart; of others each machine is taken to have today's.
    """
    by_key: dict[_Key, list[int]] = {}
    for i, (machine, fact) in enumerate(zip(estate.machines, facts, strict=True)):
        if sizing.powered_off == "leave_out" and not fact.powered_on:
            continue
        said = classified.get(machine.id) if "class" in sizes else None
        right = used.get(machine.id) if "use" in sizes else None
        demands = _demands(machine, fact, said, right, sizing)
        selected = bytes(one.fits(fact) for one in selectors)
        key = _Key(
            fact.pool, fact.workload_class or NOBODY, fact.powered_on, demands, selected, licensed[i]
        )
        by_key.setdefault(key, []).append(i)
    keys = sorted(by_key)
    members = tuple(
        tuple(
            sorted(
                (_member(estate.machines[i]) for i in by_key[key]), key=lambda m: (m.copy_mib, m.name, m.id)
            )
        )
        for key in keys
    )
    products = sorted({name for names in licensed for name in names})
    return MachineGroups(
        ids=_ids(keys),
        count=np.array([len(by_key[key]) for key in keys], dtype=np.int64),
        demand={
            by: np.array([key.demands[n] for key in keys], dtype=np.int64).reshape(-1, 3)
            for n, by in enumerate(SIZED)
        },
        pool=tuple(key.pool for key in keys),
        workload_class=tuple(key.workload_class for key in keys),
        running=np.array([key.powered_on for key in keys], dtype=np.bool_),
        copy_mib=np.array([sum(m.copy_mib for m in one) for one in members], dtype=np.int64),
        selected={
            one: np.array([bool(key.selected[n]) for key in keys], dtype=np.bool_)
            for n, one in enumerate(selectors)
        },
        licensed={
            name: np.array([name in key.licensed for key in keys], dtype=np.bool_) for name in products
        },
        members=members,
        confidence=tuple(
            _mean([_confidence(classified.get(estate.machines[i].id)) for i in by_key[key]]) for key in keys
        ),
    )


def _demands(
    machine: EstateMachine,
    fact: MachineFacts,
    said: Classified | None,
    used: Resources | None,
    sizing: Sizing,
) -> tuple[tuple[int, int, int], ...]:
    today = machine.resources()
    found = (today, said.resources if said else today, used or today)
    return tuple(_demand(machine, fact, one, sizing) for one in found)


def _demand(
    machine: EstateMachine, fact: MachineFacts, size: Resources, sizing: Sizing
) -> tuple[int, int, int]:
    disk = size.disk_gib
    if sizing.disk == "in_use" and machine.in_use_mib:
        disk = -(-machine.in_use_mib // MIB_PER_GIB)
    disk = -(-disk // sizing.disk_step_gib) * sizing.disk_step_gib
    if not fact.powered_on and sizing.powered_off == "disk":
        return 0, PLACE_MIB, disk
    return size.vcpu, size.memory_mib, disk


def _member(machine: EstateMachine) -> Member:
    return Member(machine.id, machine.name, machine.in_use_mib or machine.provisioned_mib)


def _ids(keys: Sequence[_Key]) -> tuple[str, ...]:
    """Names that a person can read: class, size and pool; numbered where that is not enough."""
    plain = [_id(key) for key in keys]
    total = Counter(plain)
    seen: Counter[str] = Counter()
    found = []
    for name in plain:
        seen[name] += 1
        found.append(name if total[name] == 1 else f"{name} #{seen[name]}")
    return tuple(found)


def _id(key: _Key) -> str:
    vcpu, memory_mib, disk_gib = key.demands[0]
    what = key.workload_class if key.workload_class != NOBODY else "machine"
    size = f"{vcpu} vCPU, {memory_mib} MiB, {disk_gib} GiB" if key.powered_on else f"off, {disk_gib} GiB"
    return f"{what} ({size}) in {key.pool or NO_POOL}"


def _confidence(said: Classified | None) -> float:
    return said.confidence if said else 0.0


def _mean(values: Sequence[float]) -> float:
    # Sorted, so that the sum does not depend on the estate's order.
    return sum(sorted(values)) / len(values)

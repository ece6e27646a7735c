"""Whether moves within an estate keep its rules, told from the estate alone; shares nothing with who found them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

from catalog.estates.model import Estate, EstateMachine, PowerState


class Moved(NamedTuple):
    """A machine by its id, and its hosts by their names."""

    machine: str
    source: str
    target: str


def breaches(
    estate: Estate, moves: Sequence[Moved], vcpu_per_core: Fraction, apart: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Every rule that the moves break, whatever the order in which they are made and how many at once."""
    machines = {one.id: one for one in estate.machines}
    hosts = {one.name: one for one in estate.hosts}
    wrong = list(_names(estate, moves))
    yield from wrong
    if wrong:
        return
    target = {one.machine: one.target for one in moves}
    for one in moves:
        if hosts[one.target].in_maintenance:
            yield f"'{machines[one.machine].name}' goes to {one.target}, which is in maintenance"
        yield from _unreached(estate, machines[one.machine], one.target)
    yield from _overfull(estate, target, vcpu_per_core)
    for name, group in apart.items():
        yield from _meetings(name, [machines[m] for m in group if m in machines], target)


def _names(estate: Estate, moves: Sequence[Moved]) -> Iterator[str]:
    machines = {one.id: one for one in estate.machines}
    pool_of = {one.name: one.pool or one.name for one in estate.hosts}
    seen = Counter(one.machine for one in moves)
    for one in moves:
        if one.machine not in machines:
            yield f"there is no machine '{one.machine}'"
        elif machines[one.machine].host != one.source or seen[one.machine] > 1:
            yield f"'{machines[one.machine].name}' is on {machines[one.machine].host}, and moves once from there"
        elif pool_of.get(one.target) != pool_of.get(one.source) or one.source == one.target:
            yield f"'{machines[one.machine].name}' must go to another host of its pool, not to {one.target}"


def _unreached(estate: Estate, machine: EstateMachine, target: str) -> Iterator[str]:
    names = {one.name for one in estate.hosts}
    for store in estate.datastores:
        known = names.intersection(store.hosts)
        local = len(known) == 1 == len(store.hosts)
        if store.name in machine.datastores and known and not local and target not in known:
            yield f"'{machine.name}' has a disk on {store.name}, which {target} does not reach"


def _overfull(estate: Estate, target: Mapping[str, str], vcpu_per_core: Fraction) -> Iterator[str]:
    """Memory and local disk at both ends, vCPU at the new one; what is too much today may stay."""
    names = {one.name for one in estate.hosts}
    owner = {
        store.name: store.hosts[0]
        for store in estate.datastores
        if len(store.hosts) == 1 and store.hosts[0] in names
    }
    room: dict[tuple[str, str], int] = defaultdict(int)
    for host in estate.hosts:
        room[host.name, "vCPU"] = int(host.cores * vcpu_per_core)
        room[host.name, "MiB of memory"] = host.memory_mib
    for store in estate.datastores:
        if store.name in owner:
            room[owner[store.name], "MiB of local disk"] += store.capacity_mib
    before: Counter[tuple[str, str]] = Counter()
    during: Counter[tuple[str, str]] = Counter()
    for one in estate.machines:
        there = target.get(one.id, one.host)
        for what, amount in _takes(one, owner).items():
            before[one.host, what] += amount
            during[there, what] += amount
            if there != one.host and what != "vCPU":
                during[one.host, what] += amount
    for key, amount in during.items():
        if key[0] in names and amount > max(room[key], before[key]):
            yield f"{key[0]} has {room[key]:,} {key[1]}, and {amount:,} would be needed"


def _takes(one: EstateMachine, owner: Mapping[str, str]) -> dict[str, int]:
    found = {}
    if one.power is not PowerState.OFF:
        found = {"vCPU": one.vcpus, "MiB of memory": one.memory_mib}
    if any(name in owner for name in one.datastores):
        found["MiB of local disk"] = one.in_use_mib or one.provisioned_mib
    return found


def _meetings(name: str, group: Sequence[EstateMachine], target: Mapping[str, str]) -> Iterator[str]:
    for a, b in combinations(group, 2):
        here, there = (a.host, b.host), (target.get(a.id, a.host), target.get(b.id, b.host))
        if there[0] == there[1] and there[0] and here != there:
            yield f"'{a.name}' and '{b.name}' of {name} meet on {there[0]}"

"""An estate as a forecast document: its pools, hosts and machines, to which demand is added by hand or from a history."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, Protocol

import yaml

from catalog.wording import counted
from placement.forecast.document import FORMAT

MIB_PER_GIB = 1024
VCPU_PER_CORE = 4
"""Unless told otherwise. A label on the document says so."""


class Machine(Protocol):
    """What is asked of a machine of an estate; those of `catalog.estates` answer it, and so do others."""

    @property
    def vcpus(self) -> int:
        """Virtual processors."""

    @property
    def memory_mib(self) -> int:
        """Memory."""

    @property
    def provisioned_mib(self) -> int:
        """Disk."""


class Host(Protocol):
    """What is asked of a host."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def cores(self) -> int:
        """Physical cores."""

    @property
    def memory_mib(self) -> int:
        """Memory."""

    @property
    def in_maintenance(self) -> bool:
        """Whether nothing may run there now."""


class Datastore(Protocol):
    """What is asked of a datastore."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def capacity_mib(self) -> int:
        """What it holds."""

    @property
    def hosts(self) -> Sequence[str]:
        """Which hosts reach it."""


class Estate(Protocol):
    """What is asked of an estate."""

    @property
    def machines(self) -> Sequence[Any]:
        """All `Machine`s."""

    @property
    def datastores(self) -> Sequence[Any]:
        """All `Datastore`s."""

    def pool_of(self, machine: Any) -> str:
        """The pool of a machine; empty: not known."""

    def hosts_of(self, pool: str) -> Sequence[Any]:
        """The `Host`s of a pool."""

    def pool_names(self) -> Iterator[str]:
        """All pools."""


def estate_document(
    estate: Estate,
    *,
    start: date,
    months: int,
    growth_percent_per_month: float = 0.0,
    vcpu_per_core: int = VCPU_PER_CORE,
    keeps_hosts: int = 1,
) -> str:
    """The YAML of a forecast document on which all machines stay and grow, and none come.

    Machines of one number of vCPU and amount of memory are a class; where disk is known, those of a pool that have the
    same mean of it. Comments say what was assumed and what was left out: machines in no pool, pools without hosts, and
    disk where a pool's datastores are not known.
    """
    left_out: list[str] = []
    pools = [name for name in estate.pool_names() if _hosts(estate, name)]
    names = _names(pools)
    machines: dict[str, list[Any]] = {name: [] for name in pools}
    homeless = Counter(estate.pool_of(machine) or "no pool" for machine in estate.machines)
    for machine in estate.machines:
        pool = estate.pool_of(machine)
        if pool in machines and (machine.vcpus or machine.memory_mib):
            machines[pool].append(machine)
            homeless[pool] -= 1
    for pool, count in homeless.items():
        if count > 0:
            left_out.append(
                f"{counted(count, 'machine')} in {pool}: no host that runs is known there, or no size of theirs"
            )
    disk = _disk(estate, pools, left_out)
    of_size = {pool: _counted(there, with_disk=bool(disk)) for pool, there in machines.items()}
    sections = {
        "format": FORMAT,
        "start": start,
        "months": months,
        "classes": {
            size.name: size.body()
            for size in sorted({size for there in of_size.values() for size in there})
        },
        "pools": {
            names[pool]: _pool(estate, pool, of_size[pool], vcpu_per_core, keeps_hosts, disk.get(pool))
            for pool in pools
        },
    }
    if growth_percent_per_month:
        walk = {"percent_per_month": growth_percent_per_month}
        sections["growth"] = {
            rc: walk.copy() for rc in ("vcpu", "memory_mib", *(["disk_gib"] if disk else []))
        }
    comments = [
        f"assumed: {vcpu_per_core} vCPU to a core, memory as it is, the room of {keeps_hosts} of the largest hosts kept",
        "assumed: machines stay; those that are off count as well. Add arrivals, and lifetimes, where they come and go",
        *(f"left out: {text}" for text in left_out),
        *(f"pool {short} is {pool!r}" for pool, short in names.items() if short != pool),
    ]
    return "".join(f"# {text}\n" for text in comments) + yaml.safe_dump(
        sections, sort_keys=False, allow_unicode=True, width=110
    )


def _hosts(estate: Estate, pool: str) -> list[Any]:
    return [h for h in estate.hosts_of(pool) if h.cores and h.memory_mib and not h.in_maintenance]


def _names(pools: Sequence[str]) -> dict[str, str]:
    """Names that a document may have, unlike each other; those that are right already stay."""
    found: dict[str, str] = {}
    for pool in pools:
        short = re.sub(r"[^a-z0-9]+", "-", pool.lower()).strip("-")[:55].strip("-") or "pool"
        taken, number, wanted = set(found.values()), 2, short
        while short in taken:
            short, number = f"{wanted}-{number}", number + 1
        found[pool] = short
    return found


class _Size(NamedTuple):
    """What machines of a class need."""

    vcpu: int
    memory_mib: int
    disk_gib: int | None

    @property
    def name(self) -> str:
        disk = "" if self.disk_gib is None else f"-d{self.disk_gib}"
        return f"c{self.vcpu}-m{self.memory_mib}{disk}"

    def body(self) -> dict[str, int]:
        return {name: amount for name, amount in self._asdict().items() if amount is not None}


def _counted(machines: Sequence[Machine], *, with_disk: bool) -> dict[_Size, int]:
    """How many of each size a pool has; their disk is its mean in this pool, rounded up."""
    alike: dict[tuple[int, int], list[Machine]] = {}
    for machine in machines:
        alike.setdefault((machine.vcpus, machine.memory_mib), []).append(machine)
    found = {}
    for (vcpu, memory_mib), several in alike.items():
        total = sum(one.provisioned_mib for one in several)
        mean = -(-total // (MIB_PER_GIB * len(several))) if with_disk else None
        found[_Size(vcpu, memory_mib, mean)] = len(several)
    return found


def _pool(
    estate: Estate,
    pool: str,
    machines: Mapping[_Size, int],
    vcpu_per_core: int,
    keeps_hosts: int,
    disk_gib: int | None,
) -> dict[str, Any]:
    sizes = Counter((host.cores * vcpu_per_core, host.memory_mib) for host in _hosts(estate, pool))
    hosts = [
        {"count": n, "vcpu": vcpu, "memory_mib": memory} for (vcpu, memory), n in sorted(sizes.items())
    ]
    body: dict[str, Any] = {"hosts": hosts, "keeps_hosts": min(keeps_hosts, sum(sizes.values()) - 1)}
    if disk_gib is not None:
        body["shared"] = {"disk_gib": disk_gib}
    if machines:
        body["machines"] = [
            {"workload_class": size.name, "count": n, "stay": True} for size, n in sorted(machines.items())
        ]
    return body


def _disk(estate: Estate, pools: Sequence[str], left_out: list[str]) -> dict[str, int]:
    """Pool -> GiB of the datastores that it has to itself; nothing at all where one pool has none.

    A pool whose disk is not known would seem full.
    """
    home = {host.name: pool for pool in pools for host in estate.hosts_of(pool)}
    found: dict[str, int] = {}
    for store in estate.datastores:
        owners = {home[host] for host in store.hosts if host in home}
        if len(owners) == 1:
            pool = owners.pop()
            found[pool] = found.get(pool, 0) + store.capacity_mib // MIB_PER_GIB
        elif len(owners) > 1:
            left_out.append(f"datastore {store.name}: {len(owners)} pools share it")
    missing = [pool for pool in pools if not found.get(pool)]
    if missing:
        left_out.append(f"disk: no datastore is known of {', '.join(missing[:5])}")
        return {}
    return found

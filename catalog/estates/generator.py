"""Made-up estates for demos, tests and benches: realistic in shape, and the same for the same seed."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np

from catalog.estates.model import (
    Estate,
    EstateDatastore,
    EstateHost,
    EstateMachine,
    EstatePool,
    PowerState,
    Utilization,
)
from catalog.wording import counted

SITES = ("fra", "muc", "ams", "gva", "zrh", "ber")
"""Where estates may stand; the first ones are taken."""
_TENANTS = ("finance", "webshop", "logistics", "research", "payroll", "portal", "analytics", "platform")
_ENVIRONMENTS = (("prod", 0.6), ("test", 0.25), ("dev", 0.15))
_COMPONENTS = (("web", 0.35), ("app", 0.4), ("db", 0.15), ("batch", 0.1))
_GUESTS = {
    "web": (("Ubuntu Linux (64-bit)", 0.5), ("Red Hat Enterprise Linux 9 (64-bit)", 0.35), ("Microsoft Windows Server 2022 (64-bit)", 0.15)),
    "app": (("Red Hat Enterprise Linux 8 (64-bit)", 0.35), ("Microsoft Windows Server 2019 (64-bit)", 0.4), ("SUSE Linux Enterprise 15 (64-bit)", 0.15), ("CentOS 7 (64-bit)", 0.1)),
    "db": (("Red Hat Enterprise Linux 8 (64-bit)", 0.35), ("Microsoft Windows Server 2019 (64-bit)", 0.35), ("Oracle Linux 8 (64-bit)", 0.3)),
    "batch": (("Ubuntu Linux (64-bit)", 0.6), ("Debian GNU/Linux 12 (64-bit)", 0.3), ("Microsoft Windows Server 2016 (64-bit)", 0.1)),
}  # fmt: skip
_VCPUS = {
    "web": ((1, 0.1), (2, 0.6), (4, 0.3)),
    "app": ((2, 0.4), (4, 0.45), (8, 0.15)),
    "db": ((4, 0.35), (8, 0.4), (16, 0.2), (32, 0.05)),
    "batch": ((2, 0.5), (4, 0.3), (8, 0.2)),
}
_GIB_PER_VCPU = {"web": (1, 2), "app": (2, 4), "db": (4, 8), "batch": (1, 4)}
_DISK_GIB = {"web": 40, "app": 80, "db": 400, "batch": 60}
"""The median; sizes are log-normal around it."""
_MEAN_CPU_PERCENT = {"web": 18, "app": 22, "db": 35, "batch": 45}
_MODELS = (
    ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", "PowerEdge R640", 2, 20, 786_432, 2_500, "VMware ESXi 7.0.3 build-21930508"),
    ("AMD EPYC 7543 32-Core Processor", "ProLiant DL385 Gen10 Plus", 2, 32, 1_048_576, 2_800, "VMware ESXi 8.0.2 build-23305546"),
)  # fmt: skip
"""Two generations: CPU, model, sockets, cores per socket, memory in MiB, MHz, version."""
_CLUSTER_HOSTS = 16
_VCPU_PER_CORE = 4
_MEMORY_PERCENT = 70
_GIB = 1024
_DATASTORE_MIB = 16 * _GIB * _GIB
_POWERED_ON = 0.92
_WEEK_HOURS = 168
_SAMPLES = 2016
"""Every five minutes of a week."""


@dataclass(slots=True)
class _Cluster:
    """A cluster while machines come to it; `free` is a heap of hosts, the one with most free memory first."""

    name: str
    site: str
    hosts: list[EstateHost] = field(default_factory=list)
    free: list[tuple[int, int]] = field(default_factory=list)
    used_mib: int = 0


def generate(
    machines: int, seed: int, *, sites: int = 2, name: str = "generated", taken_at: datetime | None = None
) -> Estate:
    """An estate of applications on clusters of two host generations, with a week's 95th percentiles of use.

    Applications have components (web, app, db, batch), a tenant, an environment and a site. Each site has clusters
    for production and for the rest, of at most 16 hosts; a host has at least the memory that its running machines
    have. Raises ValueError for fewer than one machine or more sites than there are names.
    """
    if machines < 1 or not 1 <= sites <= len(SITES):
        msg = f"machines {machines} >= 1 and sites {sites} in 1 to {len(SITES)} must hold"
        raise ValueError(msg)
    chance = np.random.default_rng(seed)
    drafts = list(_drafts(chance, machines, SITES[:sites]))
    clusters = _clusters(drafts)
    placed = [_placed(chance, draft, clusters, number) for number, draft in enumerate(drafts)]
    every = [cluster for group in clusters.values() for cluster in group]
    return Estate(
        name=name,
        source=f"generated: {counted(machines, 'machine')}, seed {seed}",
        taken_at=taken_at,
        machines=tuple(placed),
        hosts=tuple(host for cluster in every for host in cluster.hosts),
        pools=tuple(_pool(cluster) for cluster in every),
        datastores=tuple(_datastores(every, placed)),
        notes=("made up: no such machines exist",),
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A machine before it has a host."""

    application: str
    tenant: str
    environment: str
    site: str
    component: str
    number: int
    vcpus: int
    memory_mib: int
    disk_mib: int
    power: PowerState


def _pick(chance: np.random.Generator, choices: Sequence[tuple[object, float]]) -> int:
    """The index of one of the choices, by their weights."""
    at = float(chance.random())
    for index, (_, weight) in enumerate(choices):
        at -= weight
        if at < 0:
            return index
    return len(choices) - 1


def _drafts(chance: np.random.Generator, machines: int, sites: Sequence[str]) -> Iterator[_Draft]:
    """Applications one after the other, until there are enough machines."""
    left, number = machines, 0
    while left:
        number += 1
        size = min(left, 1 + int(chance.geometric(0.18)))
        left -= size
        tenant = _TENANTS[int(chance.integers(len(_TENANTS)))]
        environment = _ENVIRONMENTS[_pick(chance, _ENVIRONMENTS)][0]
        site = sites[int(chance.integers(len(sites)))]
        yield from _application(chance, f"{tenant}-{number:04d}", tenant, environment, site, size)


def _application(
    chance: np.random.Generator, application: str, tenant: str, environment: str, site: str, size: int
) -> Iterator[_Draft]:
    for number in range(1, size + 1):
        component = _COMPONENTS[_pick(chance, _COMPONENTS)][0]
        vcpus = _VCPUS[component][_pick(chance, _VCPUS[component])][0]
        low, high = _GIB_PER_VCPU[component]
        disk_gib = 16 + int(chance.lognormal(np.log(_DISK_GIB[component]), 0.7))
        yield _Draft(
            application=application,
            tenant=tenant,
            environment=environment,
            site=site,
            component=component,
            number=number,
            vcpus=vcpus,
            memory_mib=vcpus * int(chance.integers(low, high + 1)) * _GIB,
            disk_mib=disk_gib * _GIB,
            power=PowerState.ON if chance.random() < _POWERED_ON else PowerState.OFF,
        )


def _clusters(drafts: Sequence[_Draft]) -> dict[tuple[str, str], list[_Cluster]]:
    """Enough hosts for what is drafted, by site and use, with room for one host that fails."""
    need: dict[tuple[str, str], list[int]] = {}
    for draft in drafts:
        amounts = need.setdefault(_where(draft), [0, 0])
        amounts[0] += draft.memory_mib
        amounts[1] += draft.vcpus
    return {where: list(_cluster_group(where, *amounts)) for where, amounts in need.items()}


def _where(draft: _Draft) -> tuple[str, str]:
    return draft.site, "prod" if draft.environment == "prod" else "lab"


def _cluster_group(where: tuple[str, str], memory_mib: int, vcpus: int) -> Iterator[_Cluster]:
    site, use = where
    number = 0
    while number == 0 or memory_mib > 0 or vcpus > 0:
        number += 1
        cluster = _Cluster(f"{site}-{use}-{number:02d}", site)
        while len(cluster.hosts) < 2 or (
            len(cluster.hosts) < _CLUSTER_HOSTS and (memory_mib > 0 or vcpus > 0)
        ):
            host = _host(cluster, len(cluster.hosts) + 1, number % 2)
            cluster.hosts.append(host)
            memory_mib -= host.memory_mib * _MEMORY_PERCENT // 100
            vcpus -= host.cores * _VCPU_PER_CORE
        cluster.free = [(-host.memory_mib, place) for place, host in enumerate(cluster.hosts)]
        yield cluster


def _host(cluster: _Cluster, number: int, generation: int) -> EstateHost:
    cpu, model, sockets, cores, memory_mib, mhz, version = _MODELS[generation]
    return EstateHost(
        name=f"esx-{cluster.name}-{number:02d}.example.net",
        pool=cluster.name,
        site=cluster.site,
        sockets=sockets,
        cores=sockets * cores,
        memory_mib=memory_mib,
        cpu_mhz=mhz,
        cpu_model=cpu,
        model=model,
        version=version,
    )


def _placed(
    chance: np.random.Generator, draft: _Draft, clusters: dict[tuple[str, str], list[_Cluster]], place: int
) -> EstateMachine:
    """The machine on the emptiest host of the emptiest cluster of its site and use."""
    cluster = min(clusters[_where(draft)], key=lambda one: one.used_mib / len(one.hosts))
    free, host = heapq.heappop(cluster.free)
    heapq.heappush(cluster.free, (free + draft.memory_mib, host))
    cluster.used_mib += draft.memory_mib
    provisioned_mib = draft.disk_mib + draft.memory_mib
    in_use_mib = int(draft.disk_mib * float(chance.uniform(0.2, 0.9)))
    guests = _GUESTS[draft.component]
    return EstateMachine(
        id=str(UUID(bytes=chance.bytes(16), version=4)),
        name=f"{draft.application}-{draft.component}{draft.number:02d}",
        power=draft.power,
        vcpus=draft.vcpus,
        memory_mib=draft.memory_mib,
        provisioned_mib=provisioned_mib,
        in_use_mib=in_use_mib,
        guest_os=guests[_pick(chance, guests)][0],
        host=cluster.hosts[host].name,
        pool=cluster.name,
        site=draft.site,
        folder=f"/{draft.site}/vm/{draft.tenant}/{draft.environment}",
        application=draft.application,
        tenant=draft.tenant,
        datastores=(f"{cluster.name}-ds{1 + place % 4:02d}",),
        networks=(f"{draft.environment}-{draft.component}",),
        disks=1 + int(draft.component == "db") + int(draft.disk_mib > 256 * _GIB),
        firmware="efi" if chance.random() < 0.6 else "bios",
        labels={"environment": draft.environment, "component": draft.component},
        utilization=_use(chance, draft),
    )


def _use(chance: np.random.Generator, draft: _Draft) -> Utilization:
    """Most machines are far larger than what they use; one in twenty runs hot."""
    if draft.power is not PowerState.ON:
        return Utilization()
    hot = 2.5 if chance.random() < 0.05 else 1.0
    cpu = min(100.0, float(chance.lognormal(np.log(_MEAN_CPU_PERCENT[draft.component]), 0.6)) * hot)
    memory = min(100.0, float(chance.normal(55 if draft.component == "db" else 40, 15)))
    return Utilization(
        cpu_percent=round(cpu, 1),
        memory_percent=round(max(3.0, memory), 1),
        percentile=95,
        samples=_SAMPLES,
        hours=_WEEK_HOURS,
    )


def _pool(cluster: _Cluster) -> EstatePool:
    return EstatePool(
        name=cluster.name,
        site=cluster.site,
        ha_enabled=True,
        ha_host_failures=1,
        drs_enabled="prod" in cluster.name,
    )


def _datastores(
    clusters: Sequence[_Cluster], machines: Sequence[EstateMachine]
) -> Iterator[EstateDatastore]:
    """Four a cluster, each large enough for what is provisioned on it."""
    used = {f"{cluster.name}-ds{n:02d}": [0, 0] for cluster in clusters for n in range(1, 5)}
    for one in machines:
        amounts = used[one.datastores[0]]
        amounts[0] += one.provisioned_mib
        amounts[1] += one.in_use_mib
    hosts = {cluster.name: tuple(host.name for host in cluster.hosts) for cluster in clusters}
    for name, (provisioned_mib, in_use_mib) in used.items():
        units = -(-provisioned_mib // _DATASTORE_MIB)
        yield EstateDatastore(
            name=name,
            capacity_mib=max(1, units) * _DATASTORE_MIB,
            in_use_mib=in_use_mib,
            kind="VMFS",
            hosts=hosts[name.rpartition("-ds")[0]],
        )

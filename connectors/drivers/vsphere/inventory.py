"""From the rows of a property collection to providers, hosts and machines. Knows no vendor library."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from catalog.capabilities import Capability, CapabilityReport, Gap
from catalog.pools import Host, Hypervisor, Template
from catalog.resources import Resources
from connectors import storages, templates
from connectors.contract import PoolSnapshot, PowerState, VmView
from connectors.drivers.vsphere import gaps, traits
from connectors.drivers.vsphere.marks import (
    EXTENSION_KEY,
    MARK,
    Marks,
    age,
    identify,
    read_notes,
    uuid_or_none,
)

MIB = 1 << 20
GIB = 1 << 30

FOLDER_PATHS = ("name", "parent")
CLUSTER_PATHS = ("name", "parent", "resourcePool", "datastore", "network", "host")
CLUSTER_ONLY_PATHS = (*CLUSTER_PATHS, "configurationEx")
DATASTORE_PATHS = (
    "name",
    "summary.capacity",
    "summary.freeSpace",
    "summary.accessible",
    "summary.maintenanceMode",
    "summary.multipleHostAccess",
    "summary.type",
)
HOST_PATHS = (
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "datastore",
    "summary.hardware.numCpuPkgs",
    "summary.hardware.numCpuCores",
    "summary.hardware.numCpuThreads",
    "summary.hardware.memorySize",
)
MACHINE_PATHS = (
    "name",
    "runtime.host",
    "runtime.powerState",
    "config.template",
    "config.uuid",
    "config.instanceUuid",
    "config.managedBy",
    "config.annotation",
    "config.modified",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "summary.storage.committed",
    "summary.storage.uncommitted",
)
"""Leaves only: a whole `config` is five times slower for 10,000 machines, and per-object reads 30 times."""

POWER = {
    "poweredOn": PowerState.ON,
    "poweredOff": PowerState.OFF,
    "suspended": PowerState.SUSPENDED,
}

_ESCAPED = re.compile(r"%(25|2[fF]|5[cC])")

Row = Mapping[str, Any]
Rows = Mapping[str, Row]
"""Managed object id -> path -> value; references among the values are managed object ids already."""


def shown_name(stored: str) -> str:
    r"""A name as people write it; vCenter stores ``/``, ``\`` and ``%`` escaped."""
    if "%" not in stored:
        return stored
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), stored)


def stored_name(name: str) -> str:
    r"""A name as vCenter wants it (ManagedEntity.name: escape ``%``, ``/`` and ``\``)."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


class Provider(NamedTuple):
    """A cluster, or a host outside of clusters."""

    name: str
    ref: str
    row: Row
    datacenter: str | None

    @property
    def is_cluster(self) -> bool:
        """False for the wrapper around a host that stands alone."""
        return "configurationEx" in self.row


def providers(clusters: Rows, parents: Rows, datacenters: Rows) -> dict[str, Provider]:
    """Clusters by managed object id; a name that stands in several datacenters gets the datacenter's."""
    homes = {ref: _datacenter(row, parents, datacenters) for ref, row in clusters.items()}
    plain = [shown_name(row["name"]) for row in clusters.values()]
    found = {}
    for ref, row in clusters.items():
        name, home = shown_name(row["name"]), homes[ref]
        if plain.count(name) > 1 and home is not None:
            name = f"{shown_name(datacenters[home]['name'])}/{name}"
        found[ref] = Provider(name, ref, row, home)
    return found


def _datacenter(row: Row, parents: Rows, datacenters: Rows) -> str | None:
    ref = row.get("parent")
    while ref is not None and ref not in datacenters:
        ref = parents.get(ref, {}).get("parent")
    return ref


def host_usable(row: Row) -> bool:
    """Whether machines can be started on the host now."""
    return row.get("runtime.connectionState") == "connected" and not row.get("runtime.inMaintenanceMode")


def host_resources(row: Row) -> Resources:
    """Hardware threads (as OpenStack counts them) and memory; disks are the cluster's, not the host's."""
    return Resources(
        vcpu=row.get("summary.hardware.numCpuThreads", 0),
        memory_mib=row.get("summary.hardware.memorySize", 0) // MIB,
    )


def datastore_usable(row: Row) -> bool:
    """Whether machines can be put on the datastore now."""
    return bool(row.get("summary.accessible")) and row.get("summary.maintenanceMode", "normal") == "normal"


def storage_migrate(provider: Provider, hosts: Iterable[Row], datastores: Rows) -> Gap | None:
    """Why no machine's files can move; None where one of the hosts mounts a datastore to move from, and one to move to.

    What enters maintenance can still be moved from.
    """
    for host in hosts:
        mounted = [datastores[ref] for ref in host.get("datastore", ()) if ref in datastores]
        readable = sum(bool(store.get("summary.accessible")) for store in mounted)
        if readable > 1 and any(map(datastore_usable, mounted)):
            return None
    kind, where = ("cluster", "its hosts") if provider.is_cluster else ("host", "it")
    return storages.no_second(f"{kind} '{provider.name}'", "datastore", f"mount one on {where}")


def disk_gib(row: Row) -> int:
    """What a machine that is not ours may take on datastores, thin or thick: used plus promised."""
    total: int = row.get("summary.storage.committed", 0) + row.get("summary.storage.uncommitted", 0)
    return -(-total // GIB)


def marks_of(ref: str, row: Row) -> Marks:
    """A machine's marks as far as the inventory reads them."""
    manager = row.get("config.managedBy")
    return Marks(
        order=age(ref),
        instance_uuid=uuid_or_none(row.get("config.instanceUuid")),
        bios_uuid=uuid_or_none(row.get("config.uuid")),
        managed=manager is not None and manager.extensionKey == EXTENSION_KEY,
        noted=read_notes(row.get("config.annotation", ""))[0],
    )


def identities(machines: Rows) -> dict[str, UUID]:
    """Which machines are ours, by managed object id."""
    return identify({ref: marks_of(ref, row) for ref, row in machines.items() if _marked(row)})


def _marked(row: Row) -> bool:
    """Whether a machine may be ours; most of an estate is not, and is not looked at closely."""
    return row.get("config.managedBy") is not None or MARK in row.get("config.annotation", "")


def machine_view(
    ref: str, row: Row, identity: UUID | None, place: "Place", disks_gib: int | None
) -> VmView:
    """One machine. `disks_gib` is the exact size of its disks where it was read."""
    host, provider = place.of(row)
    return VmView(
        identity=identity,
        native_id=ref,
        name=shown_name(row.get("name", "")),
        provider=provider,
        host=host,
        power=POWER.get(row.get("runtime.powerState", ""), PowerState.UNKNOWN),
        resources=Resources(
            vcpu=row.get("config.hardware.numCPU", 0),
            memory_mib=row.get("config.hardware.memoryMB", 0),
            disk_gib=disk_gib(row) if disks_gib is None else disks_gib,
        ),
        annotations={} if identity is None else read_notes(row.get("config.annotation", ""))[1],
    )


class Place(NamedTuple):
    """Where machines are: host -> (host's name, provider's name)."""

    hosts: Mapping[str, tuple[str, str]]

    @classmethod
    def among(cls, hosts: Rows, found: Mapping[str, Provider]) -> "Place":
        """The places that these hosts of these providers are."""
        names = {
            ref: (shown_name(row["name"]), found[row["parent"]].name)
            for ref, row in hosts.items()
            if row.get("parent") in found
        }
        return cls(names)

    def of(self, row: Row) -> tuple[str | None, str]:
        """A machine's host and provider; (None, "") where its host is not known."""
        return self.hosts.get(row.get("runtime.host", ""), (None, ""))


def pools(
    found: Iterable[Provider],
    hosts: Rows,
    datastores: Rows,
    views: Sequence[VmView],
    declared: CapabilityReport,
    datastore: str | None = None,
    within: Mapping[str, frozenset[str]] = MappingProxyType({}),
    offered: Mapping[str, tuple[Template, ...]] = MappingProxyType({}),
    forbidden: Mapping[str, Mapping[Capability, Gap]] = MappingProxyType({}),
) -> tuple[PoolSnapshot, ...]:
    """The snapshot of every provider, in order of name; `datastore` is the option of that name.

    `within` are the traits of what orders can choose there, `offered` the templates, and `forbidden` what the user may
    not do there, by the providers' managed object ids.
    """
    by_parent: dict[str, list[Row]] = {}
    for row in hosts.values():
        by_parent.setdefault(row.get("parent", ""), []).append(row)
    used = _used(views)
    return tuple(
        _pool(
            provider,
            by_parent.get(provider.ref, []),
            datastores,
            used.get(provider.name, Resources()),
            declared,
            datastore,
            within.get(provider.ref, frozenset()),
            offered.get(provider.ref, ()),
            forbidden.get(provider.ref, {}),
        )
        for provider in sorted(found, key=lambda provider: provider.name)
    )


def _pool(
    provider: Provider,
    rows: list[Row],
    datastores: Rows,
    used: Resources,
    declared: CapabilityReport,
    datastore: str | None,
    within: frozenset[str],
    offered: tuple[Template, ...],
    forbidden: Mapping[Capability, Gap],
) -> PoolSnapshot:
    hosts = sorted(
        (
            Host(
                name=shown_name(row["name"]),
                resources=host_resources(row),
                usable=host_usable(row),
                sockets=row.get("summary.hardware.numCpuPkgs", 0),
                cores=row.get("summary.hardware.numCpuCores", 0),
            )
            for row in rows
        ),
        key=lambda host: host.name,
    )
    mounted = (datastores[ref] for ref in provider.row.get("datastore", ()) if ref in datastores)
    stores = [store for store in mounted if datastore_usable(store)]
    disk = sum(store.get("summary.capacity", 0) // GIB for store in stores)
    total = sum((host.resources for host in hosts if host.usable), Resources(disk_gib=disk))
    config = provider.row.get("configurationEx")
    narrowed = gaps.of_cluster(
        provider.name,
        is_cluster=provider.is_cluster,
        hosts=len(hosts),
        ha=_enabled(config, "dasConfig"),
        drs=_enabled(config, "drsConfig"),
        monitored=traits.restarts(config),
    )
    if (gap := storage_migrate(provider, rows, datastores)) is not None:
        narrowed[Capability.STORAGE_MIGRATE] = gap
    return PoolSnapshot(
        provider=provider.name,
        hypervisor=Hypervisor.VSPHERE,
        total=total,
        used=used,
        hosts=tuple(hosts),
        traits=within
        | templates.traits(offered)
        | traits.of_cluster(
            config, [s for s in stores if datastore in {None, shown_name(s.get("name", ""))}]
        ),
        templates=offered,
        capabilities=declared.narrowed({**forbidden, **narrowed}),
    )


def _enabled(config: Any, feature: str) -> bool:
    """Whether vCenter says that a feature of the cluster is on; what it does not say is off."""
    return bool(getattr(getattr(config, feature, None), "enabled", None))


def _used(views: Sequence[VmView]) -> dict[str, Resources]:
    found = {}
    for provider, group in groupby(sorted(views, key=lambda v: v.provider), key=lambda v: v.provider):
        members = list(group)
        on = [view.resources for view in members if view.power is PowerState.ON]
        found[provider] = Resources(
            vcpu=sum(r.vcpu for r in on),
            memory_mib=sum(r.memory_mib for r in on),
            disk_gib=sum(view.resources.disk_gib for view in members),
        )
    return found

"""An estate as values: machines, hosts, pools and datastores, and what an import left out and why.

Names are those of the source, not of tierwise: they may have capitals and spaces. `EstateMachine.host`,
`.pool` and `.datastores` name other parts of the estate, or are empty where the source does not say.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.pools import Hypervisor
from catalog.resources import Amount, Resources

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MIB_PER_GIB = 1024


class PowerState(StrEnum):
    """Whether a machine runs, in words that no hypervisor owns."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class Utilization(Value):
    """What a machine used of what it has, over a window; a percentile of samples, not a moment's peak.

    Percentages are of the machine's own size: 100 is all of its vCPU, or of its memory. None: not known.
    """

    cpu_percent: Percent | None = None
    memory_percent: Percent | None = None
    percentile: Annotated[float, Field(gt=0, le=100)] | None = None
    """Which percentile of the samples it is; None where the source does not say."""
    samples: Annotated[int, Field(ge=0)] = 0
    """How many samples stand behind it; 0 where the source does not say, 1 for a moment."""
    hours: Annotated[int, Field(ge=0)] = 0
    """The length of the window."""


class EstateMachine(Value):
    """A machine of an estate."""

    id: Text
    """Unlike that of every other machine: the vendor's UUID where there is one, else its key, else made of the name."""
    name: Text
    power: PowerState = PowerState.UNKNOWN
    vcpus: Amount
    memory_mib: Amount
    provisioned_mib: Amount = 0
    """Disk that the machine may grow to, with what snapshots and swap add where the source counts these."""
    in_use_mib: Amount = 0
    """Disk that is taken today."""
    guest_os: str = ""
    """As the source writes it; of several, the one from the configuration."""
    host: str = ""
    pool: str = ""
    site: str = ""
    """Datacenter, or whatever the source divides the estate by."""
    folder: str = ""
    application: str = ""
    """What machines belong to together, where the source says: a vApp, a tag, a custom attribute."""
    tenant: str = ""
    datastores: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    disks: Annotated[int, Field(ge=0)] = 0
    """How many; 0 where the source does not say."""
    firmware: str = ""
    """``bios`` or ``efi``; empty where the source does not say."""
    labels: FrozenMapping[str, str] = Field(default_factory=dict)
    """Custom attributes and tags."""
    utilization: Utilization = Utilization()

    def resources(self) -> Resources:
        """What it takes as it is sized today; disk is what is provisioned, rounded up to whole GiB."""
        disk_gib = -(-self.provisioned_mib // MIB_PER_GIB)
        return Resources(vcpu=self.vcpus, memory_mib=self.memory_mib, disk_gib=disk_gib)


class EstateHost(Value):
    """A host of an estate."""

    name: Text
    pool: str = ""
    """Its cluster; empty for a host that stands alone."""
    site: str = ""
    sockets: Annotated[int, Field(ge=0, le=1024)] = 0
    """0 where the source does not say."""
    cores: Amount = 0
    """Physical cores of all sockets."""
    cores_are_threads: bool = False
    """Whether the source knows no cores, and `cores` counts threads: room is then by these, and no licence of cores."""
    memory_mib: Amount = 0
    cpu_mhz: Amount = 0
    cpu_model: str = ""
    model: str = ""
    version: str = ""
    """Of the hypervisor, as the source writes it."""
    in_maintenance: bool = False
    labels: FrozenMapping[str, str] = Field(default_factory=dict)


class EstatePool(Value):
    """A cluster of hosts, or whatever machines may move within."""

    name: Text
    hypervisor: Hypervisor = Hypervisor.VSPHERE
    site: str = ""
    ha_enabled: bool | None = None
    """Whether machines restart after a host failure; None where the source does not say."""
    ha_host_failures: Annotated[int, Field(ge=0, le=64)] | None = None
    """How many host failures its admission control keeps room for."""
    drs_enabled: bool | None = None
    labels: FrozenMapping[str, str] = Field(default_factory=dict)


class EstateDatastore(Value):
    """A datastore, and what is on it."""

    name: Text
    capacity_mib: Amount = 0
    in_use_mib: Amount = 0
    kind: str = ""
    hosts: tuple[str, ...] = ()


class DroppedRow(Value):
    """A row of a source that is no machine, host or datastore of the estate, and why."""

    where: Text
    """The sheet or file and the row as a person counts it: ``vInfo row 17``."""
    name: str = ""
    reason: Text
    """In a few words that are the same for the same reason: ``template``, ``vCLS agent machine``."""


class EstateTotals(Value):
    """What an estate comes to. Machines are those that are not templates."""

    machines: int
    powered_on: int
    templates: int
    vcpus: int
    memory_mib: int
    provisioned_mib: int
    in_use_mib: int
    hosts: int
    cores: int
    host_memory_mib: int


class Estate(Value):
    """What runs today."""

    name: Text
    source: Text
    """What it was read from, for people: ``RVTools 4.4.1 workbook export.xlsx``."""
    taken_at: datetime | None = None
    """When the source looked; with a time zone, or None where it does not say."""
    machines: tuple[EstateMachine, ...] = ()
    hosts: tuple[EstateHost, ...] = ()
    pools: tuple[EstatePool, ...] = ()
    datastores: tuple[EstateDatastore, ...] = ()
    dropped: tuple[DroppedRow, ...] = ()
    notes: tuple[str, ...] = ()
    """What was understood in a way that a person should know: units, missing columns, values that were left out."""
    templates: Annotated[int, Field(ge=0)] = 0
    """How many templates the source has; they are among the dropped."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, names in (
            ("machines", [one.id for one in self.machines]),
            ("hosts", [one.name for one in self.hosts]),
            ("pools", [one.name for one in self.pools]),
            ("datastores", [one.name for one in self.datastores]),
        ):
            twice = next((name for name, count in Counter(names).items() if count > 1), None)
            if twice is not None:
                msg = f"{what}: '{twice}' stands twice"
                raise ValueError(msg)
        return self

    @property
    def totals(self) -> EstateTotals:
        """The sums over all machines and hosts, powered on or not."""
        return EstateTotals(
            machines=len(self.machines),
            powered_on=sum(one.power is PowerState.ON for one in self.machines),
            templates=self.templates,
            vcpus=sum(one.vcpus for one in self.machines),
            memory_mib=sum(one.memory_mib for one in self.machines),
            provisioned_mib=sum(one.provisioned_mib for one in self.machines),
            in_use_mib=sum(one.in_use_mib for one in self.machines),
            hosts=len(self.hosts),
            cores=sum(one.cores for one in self.hosts),
            host_memory_mib=sum(one.memory_mib for one in self.hosts),
        )

    def pool_of(self, machine: EstateMachine) -> str:
        """The machine's pool, or its host's, or its host where that stands alone; empty where nothing is known."""
        host = self._hosts.get(machine.host)
        return machine.pool or (host.pool if host else "") or machine.host

    def hosts_of(self, pool: str) -> tuple[EstateHost, ...]:
        """The hosts of a pool; of a host that stands alone, itself."""
        return tuple(self._hosts_by_pool.get(pool, ()))

    @cached_property
    def _hosts(self) -> dict[str, EstateHost]:
        return {one.name: one for one in self.hosts}

    @cached_property
    def _hosts_by_pool(self) -> dict[str, list[EstateHost]]:
        found: dict[str, list[EstateHost]] = {}
        for one in self.hosts:
            found.setdefault(one.pool or one.name, []).append(one)
        return found

    def pool_names(self) -> Iterator[str]:
        """Every pool that has a host or a machine, or is listed; in that order, each once."""
        names = [one.name for one in self.pools]
        names += [one.pool or one.name for one in self.hosts]
        names += [self.pool_of(one) for one in self.machines]
        yield from dict.fromkeys(name for name in names if name)

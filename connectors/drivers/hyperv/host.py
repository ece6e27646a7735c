"""What one Hyper-V host has: processors, memory, the volume of its machines, its cluster."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from catalog.capabilities import Capability, CapabilityReport, Gap, GapReason
from catalog.pools import Host, Hypervisor, Template
from catalog.resources import Resources
from connectors import templates
from connectors.contract import EndpointSnapshot, PoolSnapshot, PowerState
from connectors.drivers.hyperv import gaps, offering
from connectors.drivers.hyperv.dispatcher import Command
from connectors.drivers.hyperv.machines import ALL, DISKS, GIB, MIB, Machine, of_rows
from connectors.drivers.hyperv.session import Op, Rows

SIMULATOR_NOTE = "this is tierwise's own simulator of WinRM and Hyper-V, not a Windows host"

_HOST = Command(
    "Hyper-V\\Get-VMHost",
    select=("Name", "LogicalProcessorCount", "MemoryCapacity", "VirtualMachinePath"),
)
_SYSTEM = Command(
    "CimCmdlets\\Get-CimInstance", {"ClassName": "Win32_OperatingSystem"}, select=("Caption", "Version")
)
_CLOCK = _SYSTEM._replace(select=("CSName", "LocalDateTime"))
CLUSTER = Command("FailoverClusters\\Get-Cluster", select=("Name", "AutoBalancerMode"), optional=True)
"""Optional, for the cmdlet is not there, or fails, on a host without the feature."""


class HostFacts(NamedTuple):
    """One host; `disk_gib` is None where the volume of its machines cannot be told."""

    name: str
    product: str
    vcpu: int
    memory_mib: int
    disk_gib: int | None
    folder: str
    cluster: str | None
    balances: bool
    """Whether the cluster moves machines by itself to nodes that have more room."""
    whole: bool
    """Whether the endpoint is the whole cluster."""
    templates: tuple[Template, ...]
    """Those of the endpoint's option that orders can choose."""
    lacking: Mapping[str, str]
    """What is wrong with the others, by name."""

    @property
    def provider(self) -> str:
        """The name of the pool that it belongs to."""
        return self.cluster if self.whole and self.cluster else self.name

    @property
    def total(self) -> Resources:
        """What it has in all."""
        return Resources(vcpu=self.vcpu, memory_mib=self.memory_mib, disk_gib=self.disk_gib or 0)

    @property
    def gaps(self) -> dict[Capability, Gap]:
        """What this host cannot do beyond what the driver cannot."""
        found = gaps.of_host(self.name, self.cluster, whole=self.whole, balances=self.balances)
        if not (self.templates or self.lacking):
            found[Capability.TEMPLATE] = templates.NONE
        if self.whole and not on_shared_volume(self.folder):
            found[Capability.CREATE] = gaps.not_shared(self.folder)
        if self.disk_gib is None:
            detail = f"the volume of folder '{self.folder}' cannot be read; set the option 'folder'"
            found[Capability.CREATE] = Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])
        return found


def on_shared_volume(folder: str) -> bool:
    """Whether each node of a cluster sees the same folder there."""
    return re.match(r"^[A-Za-z]:\\ClusterStorage\\.", folder, re.IGNORECASE) is not None


def facts(op: Op) -> HostFacts:
    """The host, without its machines."""
    return _facts(op, op.run(*_commands(op)))


def clock(op: Op) -> tuple[str, datetime]:
    """The host's name and what its clock shows, in UTC, which the dispatcher makes of the local time."""
    ((row,),) = op.run(_CLOCK)
    return row["CSName"], datetime.fromisoformat(row["LocalDateTime"])


def inventory(op: Op) -> tuple[HostFacts, list[Machine]]:
    """The host and its machines, from one run of the dispatcher."""
    machines, disks, *rest = op.run(ALL, DISKS, *_commands(op, first=2))
    return _facts(op, rest), of_rows(machines, disks)


def _commands(op: Op, first: int = 0) -> tuple[Command, ...]:
    folder = op.session.settings.options.folder
    select = ("Size",)
    if folder is None:
        where = {"FilePath": f"{first}.VirtualMachinePath"}
        volume = Command("Storage\\Get-Volume", refs=where, select=select, optional=True)
    else:
        volume = Command("Storage\\Get-Volume", {"FilePath": folder}, select=select, optional=True)
    return _HOST, _SYSTEM, CLUSTER, volume, *offering.looks(op.session.settings.options)


def _facts(op: Op, rows: Rows) -> HostFacts:
    (host,), (system,), clusters, volumes, *files = rows
    options = op.session.settings.options
    sizes = [int(row["Size"]) for row in volumes if row["Size"] is not None]
    folder = options.folder or host["VirtualMachinePath"]
    return HostFacts(
        name=host["Name"],
        product=f"{system['Caption']} {system['Version']}",
        vcpu=int(host["LogicalProcessorCount"]),
        memory_mib=int(host["MemoryCapacity"]) // MIB,
        disk_gib=sizes[0] // GIB if sizes else None,
        folder=folder.rstrip("\\"),
        cluster=clusters[0]["Name"] if clusters else None,
        balances=bool(clusters) and clusters[0]["AutoBalancerMode"] != 0,
        whole=options.cluster or bool(op.node),
        templates=offering.offered(options, files),
        lacking=offering.lacking(options, files),
    )


def snapshot(
    endpoint: str, found: HostFacts, machines: list[Machine], *, report: CapabilityReport, secure: bool
) -> EndpointSnapshot:
    """The probe's answer: one pool of one host."""
    pool = PoolSnapshot(
        provider=found.provider,
        hypervisor=Hypervisor.HYPERV,
        total=found.total,
        used=used(machines),
        hosts=(Host(name=found.name, resources=found.total),),
        capabilities=report.narrowed(found.gaps),
        traits=templates.traits(found.templates),
        templates=found.templates,
    )
    simulated = SIMULATOR_NOTE if "simulator" in found.product else ""
    return EndpointSnapshot(
        endpoint=endpoint,
        product=found.product,
        secure=secure,
        note="; ".join(filter(None, (simulated, templates.problems(found.lacking)))),
        pools=(pool,),
    )


def used(machines: list[Machine]) -> Resources:
    """What machines are configured with: disk of all, the rest of those that hold memory."""
    total = Resources()
    for one in machines:
        # A paused machine keeps its memory on the host; a saved one has given it back.
        holds = one.power is PowerState.ON or one.state == "Paused"
        total += one.resources if holds else Resources(disk_gib=one.resources.disk_gib)
    return total

"""Machines as Hyper-V reports them, turned into ours, and finding them by identity."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from catalog.resources import Resources
from connectors.contract import PowerState, VmView
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import Command, Row
from connectors.drivers.hyperv.session import Op
from connectors.errors import NotFound, Unreachable

MIB = 1 << 20
GIB = 1 << 30
GENERATION_WITH_UEFI = 2
"""The other one, 1, has a BIOS."""

PROPERTIES = (
    "Id",
    "Name",
    "State",
    "ProcessorCount",
    "MemoryStartup",
    "MemoryAssigned",
    "Notes",
    "Path",
    "Generation",
    "ParentSnapshotId",
    "IsClustered",
    "HardDrives.Path",
)
"""Of a VirtualMachine, what every operation reads."""

ALL = Command("Hyper-V\\Get-VM", select=PROPERTIES)
DISKS = Command("Hyper-V\\Get-VHD", refs={"VMId": "0.Id"}, select=("Path", "Size"), optional=True)
"""The disks of the machines that the first command gave; those that cannot be read are left out."""

NO_SNAPSHOTS = (
    "delete its snapshots first; where there are none any more, repeat when their disks are merged"
)

STATES = {
    "Running": PowerState.ON,
    "Starting": PowerState.ON,
    "Reset": PowerState.ON,
    "Resuming": PowerState.ON,
    "Pausing": PowerState.ON,
    "Saving": PowerState.ON,
    "FastSaving": PowerState.ON,
    "Stopping": PowerState.ON,
    "ForceShutdown": PowerState.ON,
    "ForceReboot": PowerState.ON,
    "ComponentServicing": PowerState.ON,
    "Paused": PowerState.SUSPENDED,
    "Saved": PowerState.SUSPENDED,
    "FastSaved": PowerState.SUSPENDED,
    "Hibernated": PowerState.SUSPENDED,
    "Off": PowerState.OFF,
}
"""Hyper-V's VMState; the critical ones, which have lost their storage, are unknown."""


class Machine(NamedTuple):
    """One machine as it was read."""

    id: str
    name: str
    state: str
    power: PowerState
    resources: Resources
    memory_assigned_mib: int
    mark: marks.Mark | None
    path: str
    disks: tuple[tuple[str, int], ...]
    """Path and size in bytes."""
    has_snapshots: bool
    """Or disks that checkpoints which are gone have left, and that the host still merges."""
    generation: int
    clustered: bool = False
    node: str = ""
    """Of a cluster, the one that the machine was found on; empty where the endpoint is one host."""

    @property
    def finished(self) -> bool:
        """Whether it is ours, and its creation was carried through."""
        return self.mark is not None and self.mark.finished


def every(op: Op) -> list[Machine]:
    """All machines of the host, or of all nodes of the cluster that can be asked.

    A machine that goes from a node to another meanwhile is seen twice, or not at all. A machine keeps its id
    on its way, so each id counts once; and where a role had another owner afterwards, all are listed again.
    """
    if not op.nodes:
        return _of_host(op)
    owners = op.owners
    while True:
        found = [one for there in op.everywhere() for one in _of_host(there)]
        before, owners = owners, owners_now(op)
        if all(owners.get(name, node) == node for name, node in before.items()):
            return list({one.id: one for one in found}.values())


def _of_host(op: Op) -> list[Machine]:
    machines, disks = op.run(ALL, DISKS)
    return of_rows(machines, disks, op.node)


ROLES = Command("FailoverClusters\\Get-ClusterGroup", select=("Name", "GroupType", "OwnerNode.Name"))


def owners_now(op: Op) -> dict[str, str]:
    """The node of each machine that is a role of the cluster, by the role's name."""
    return owners_of(op.run(ROLES)[0])


def owners_of(rows: Iterable[Row]) -> dict[str, str]:
    """What `ROLES` answers."""
    mine = [row for row in rows if row["GroupType"] == "VirtualMachine"]
    return {row["Name"]: next(iter(row["OwnerNode.Name"]), "") for row in mine}


def of_rows(machines: Iterable[Row], disks: Iterable[Row], node: str = "") -> list[Machine]:
    """Machines from what `ALL` and `DISKS` answer."""
    sizes = {row["Path"]: int(row["Size"]) for row in disks}
    return [_machine(row, sizes, node) for row in machines]


def _machine(row: Mapping[str, Any], sizes: Mapping[str, int], node: str) -> Machine:
    paths = [path for path in row["HardDrives.Path"] if path]
    disks = tuple((path, sizes.get(path, 0)) for path in paths)
    return Machine(
        id=row["Id"],
        name=row["Name"],
        state=row["State"],
        power=STATES.get(row["State"], PowerState.UNKNOWN),
        resources=Resources(
            vcpu=int(row["ProcessorCount"]),
            memory_mib=int(row["MemoryStartup"]) // MIB,
            disk_gib=-(-sum(size for _, size in disks) // GIB),
        ),
        memory_assigned_mib=int(row["MemoryAssigned"] or 0) // MIB,
        mark=marks.read(row["Notes"], row["Path"]),
        path=row["Path"] or "",
        disks=disks,
        has_snapshots=row["ParentSnapshotId"] is not None or any(map(is_of_snapshot, paths)),
        generation=int(row["Generation"]),
        clustered=bool(row["IsClustered"]),
        node=node,
    )


def is_of_snapshot(path: str) -> bool:
    """Whether a disk's file stands on another one, as Hyper-V lets it for a checkpoint."""
    return path.lower().endswith((".avhdx", ".avhd"))


def claimants(machines: Iterable[Machine], identity: UUID) -> list[Machine]:
    """The machines of one identity, the elected one first: finished before not, then the lowest VM id.

    There are several while workers create at the same moment, until all but one have removed their own.
    """
    found = [one for one in machines if one.mark is not None and one.mark.identity == identity]
    return sorted(found, key=_precedence)


def _precedence(machine: Machine) -> tuple[bool, str]:
    return not machine.finished, machine.id


def find(op: Op, identity: UUID) -> Machine | None:
    """The finished machine of this identity; None where there is none."""
    found = next(iter(claimants(every(op), identity)), None)
    return found if found is not None and found.finished else None


def need(op: Op, identity: UUID) -> Machine:
    """The machine of this identity. Raises NotFound, and Unreachable where a node has it that is down."""
    found = find(op, identity)
    if found is None:
        refuse_hidden(op, identity)
        raise op.error(NotFound, f"there is no machine {identity}", hint="list the machines")
    return found


def refuse_hidden(op: Op, identity: UUID) -> None:
    """Raise Unreachable where the machine's role belongs to a node that cannot be asked."""
    for name, node in hidden(op).items():
        if str(identity) in name:
            why = f"the machine {identity} belongs to node '{node}', which is down"
            raise op.error(Unreachable, why, hint="wait until the cluster has moved it, or the node is up")


def hidden(op: Op) -> dict[str, str]:
    """The roles of nodes that cannot be asked, each with its node."""
    return {name: node for name, node in op.owners.items() if node not in op.nodes}


def views(machines: Iterable[Machine], provider: str) -> list[VmView]:
    """All machines in order of name and native id; each identity once."""
    found = list(machines)
    elected = ours(found)
    made = [view(one, provider, elected=one.id in elected) for one in found]
    return sorted(made, key=lambda shown: (shown.name, shown.native_id))


def ours(machines: Iterable[Machine]) -> dict[str, UUID]:
    """The identity of each finished machine of ours, by VM id; each identity once."""
    found: dict[UUID, str] = {}
    for one in sorted(machines, key=_precedence):
        if one.mark is not None and one.finished:
            found.setdefault(one.mark.identity, one.id)
    return {vm_id: identity for identity, vm_id in found.items()}


def view(machine: Machine, provider: str, *, elected: bool = True) -> VmView:
    """One machine as the contract has it; one that is not ours, or not finished, has no identity."""
    mark = machine.mark if elected else None
    return VmView(
        identity=None if mark is None else mark.identity,
        native_id=machine.id,
        name=machine.name,
        provider=provider,
        host=machine.node or provider,
        power=machine.power,
        resources=machine.resources,
        annotations={} if mark is None else mark.annotations,
    )

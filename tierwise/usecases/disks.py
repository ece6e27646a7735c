"""The disks of a machine that is there: which it has, one more, one that grows, and one that goes."""

from typing import Any
from uuid import UUID

from dbos import DBOS, SetWorkflowID
from pydantic import ValidationError

from catalog.capabilities import Capability
from catalog.resources import ResourceClass
from connectors.contract import Disk, NewDisk, PowerState
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.jobs import workflows
from tierwise.store.tables import MachineRow
from tierwise.usecases.change import find, finish, ready, require
from tierwise.usecases.observe import observe

GIB = 2**30


def listed(app: App, wanted: str) -> tuple[Disk, ...]:
    """The disks that the machine has at its hypervisor now, the one that it starts from first."""
    return _at_hypervisor(app, find(app, wanted))


def add(app: App, change_id: UUID, wanted: str, name: str, size_gib: int) -> None:
    """Give a machine one more, empty disk. Raises InvalidInput where it has one of that name."""
    disk = _new(name, size_gib)
    machine = _ready(app, wanted)
    require(app, machine, _by_power(machine, Capability.ADD_DISK, Capability.DISK_HOTPLUG))
    if any(there.name == name for there in _at_hypervisor(app, machine)):
        msg = f"{machine.name} has a disk '{name}' already; grow it, or choose another name"
        raise InvalidInput(msg)
    change = {"add": disk.name, "size_gib": disk.size_gib}
    _carry_out(change_id, machine, change, more_gib=disk.size_gib)


def grow(app: App, change_id: UUID, wanted: str, disk: str, size_gib: int) -> None:
    """Let one disk, by its name or its hypervisor's key, be as large."""
    machine = _ready(app, wanted)
    require(app, machine, _by_power(machine, Capability.GROW_DISK, Capability.GROW_DISK_HOT))
    found = _chosen(machine, _at_hypervisor(app, machine), disk)
    has_gib = -(-found.size_bytes // GIB)
    if size_gib < has_gib:
        msg = f"disk '{disk}' of {machine.name} has {has_gib} GiB and cannot shrink to {size_gib} GiB"
        raise InvalidInput(msg)
    change = {"grow": found.key, "size_gib": size_gib}
    _carry_out(change_id, machine, change, more_gib=size_gib - has_gib)


def remove(app: App, change_id: UUID, wanted: str, disk: str) -> None:
    """Remove one disk that was added, by its name or its hypervisor's key, with all that is on it."""
    machine = _ready(app, wanted)
    require(app, machine, _by_power(machine, Capability.REMOVE_DISK, Capability.REMOVE_DISK_HOT))
    there = _at_hypervisor(app, machine)
    found = _chosen(machine, there, disk)
    if found == there[0]:
        msg = f"{machine.name} starts from disk '{disk}', which goes only with the machine; delete that to remove it"
        raise InvalidInput(msg)
    if not found.name:
        msg = f"disk '{disk}' of {machine.name} was not added by tierwise; remove it with its hypervisor's own tools"
        raise InvalidInput(msg)
    change = {"remove": found.model_dump(mode="json")}
    _carry_out(change_id, machine, change, more_gib=-(found.size_bytes // GIB))


def _new(name: str, size_gib: int) -> NewDisk:
    try:
        return NewDisk(name=name, size_gib=size_gib)
    except ValidationError:
        msg = (
            f"'{name}' of {size_gib} GiB is no disk to add; a name has 1 to 20 small letters, digits and dashes "
            "inside, and a size is 1 to 65,536 GiB"
        )
        raise InvalidInput(msg) from None


def _ready(app: App, wanted: str) -> MachineRow:
    """The machine, with what its endpoint shows now, so that what was removed counts as room no more."""
    observe(app, ready(app, wanted).endpoint)
    return find(app, wanted)


def _by_power(machine: MachineRow, off: Capability, running: Capability) -> Capability:
    return running if machine.power == PowerState.ON else off


def _at_hypervisor(app: App, machine: MachineRow) -> tuple[Disk, ...]:
    try:
        with app.endpoints.lease(machine.endpoint) as connector:
            return connector.details(UUID(machine.id)).disks
    except ConnectorError as error:
        msg = f"{machine.name}: {error}"
        raise TierwiseError(msg) from None


def _chosen(machine: MachineRow, disks: tuple[Disk, ...], wanted: str) -> Disk:
    """By name first, which is the user's own. Raises InvalidInput."""
    named = [one for one in disks if one.name == wanted] or [one for one in disks if one.key == wanted]
    if not named:
        there = ", ".join(f"'{one.name or one.key}'" for one in disks) or "none"
        msg = f"{machine.name} has no disk '{wanted}'; it has: {there}"
        raise InvalidInput(msg)
    return named[0]


def _carry_out(change_id: UUID, machine: MachineRow, change: dict[str, Any], *, more_gib: int) -> None:
    now = {rc.value: int(getattr(machine, rc.value)) for rc in ResourceClass}
    resources = {**now, "disk_gib": max(0, now["disk_gib"] + more_gib)}
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.change_disk, str(change_id), machine.id, resources, change)
    result = handle.get_result(polling_interval_sec=0.05)
    finish(result, machine)
    if "left" in result:
        msg = (
            f"{machine.name} has the disk no more, but its content may be left: {result['left']}; "
            "remove that with the hypervisor's own tools"
        )
        raise TierwiseError(msg)

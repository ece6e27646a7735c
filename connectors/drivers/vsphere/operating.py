"""Power, size and snapshots of one machine, and its end."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from catalog.resources import Resources
from connectors.contract import PowerAction, VmSnapshot
from connectors.drivers.vsphere import details, devices, tasks
from connectors.drivers.vsphere.creating import check_size, destroy
from connectors.drivers.vsphere.estate import KIBI_PER_GIBI, Machine, disks, disks_gib
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.inventory import shown_name
from connectors.drivers.vsphere.session import Op, read_object
from connectors.errors import Conflict, NotFound
from connectors.removal import only_snapshot

TARGETS = {
    PowerAction.ON: "poweredOn",
    PowerAction.OFF: "poweredOff",
    PowerAction.SHUTDOWN: "poweredOff",
    PowerAction.SUSPEND: "suspended",
}


def power(op: Op, machine: Machine, action: PowerAction) -> None:
    """Bring the machine to the action's state. Raises Conflict where there is no way from its state."""
    if machine.power == TARGETS[action]:
        return
    if action in {PowerAction.SHUTDOWN, PowerAction.SUSPEND} and machine.power != "poweredOn":
        why = f"only a machine that runs can be {_PARTICIPLES[action]}; it is {_state(machine.power)}"
        raise op.error(Conflict, why, hint="power it on first")
    try:
        _ask(op, machine.object, action)
    except op.session.fault as fault:
        if not is_fault(fault, "InvalidPowerState"):
            raise
        # Somebody else may have brought it where it was to go.
        if _power_now(op, machine) != TARGETS[action]:
            raise


_PARTICIPLES = {PowerAction.SHUTDOWN: "shut down", PowerAction.SUSPEND: "suspended"}


def _state(power_state: str) -> str:
    return {"poweredOn": "on", "poweredOff": "off"}.get(power_state, power_state or "unknown")


def _ask(op: Op, machine: Any, action: PowerAction) -> None:
    if action is PowerAction.SHUTDOWN:
        machine.ShutdownGuest()
        # The call only passes the request on to the guest.
        tasks.await_off(op, machine)
        return
    calls = {
        PowerAction.ON: machine.PowerOnVM_Task,
        PowerAction.OFF: machine.PowerOffVM_Task,
        PowerAction.SUSPEND: machine.SuspendVM_Task,
    }
    tasks.run(op, calls[action](), machine)


def _power_now(op: Op, machine: Machine) -> str:
    now = read_object(op.session, machine.object, ["runtime.powerState"])
    return str(now.get("runtime.powerState", ""))


def delete(op: Op, machine: Machine) -> None:
    """Remove the machine and its disks, running or not."""
    try:
        if machine.power == "poweredOn":
            power(op, machine, PowerAction.OFF)
        destroy(op, machine)
    except op.session.fault as fault:
        if not is_fault(fault, "ManagedObjectNotFound"):
            raise


def resize(op: Op, machine: Machine, wanted: Resources) -> None:
    """Set processors and memory and grow the disk, by one reconfiguration that is done whole or not."""
    check_size(op, wanted.vcpu, wanted.memory_mib)
    found = disks(op, machine.row)
    has_gib = disks_gib(found)
    if wanted.disk_gib < has_gib:
        why = f"its disks have {has_gib} GiB and cannot shrink to {wanted.disk_gib} GiB"
        raise op.error(Conflict, why, hint="order at least the present size")
    if machine.power == "suspended":
        raise op.error(Conflict, "a suspended machine cannot be resized", hint="power it on or off first")
    config = op.session.vim.vm.ConfigSpec()
    _set_compute(op, machine, wanted, config)
    if wanted.disk_gib > has_gib:
        config.deviceChange = [_larger_disk(op, machine, found, wanted.disk_gib - has_gib)]
    if config.numCPUs or config.memoryMB or config.deviceChange:
        tasks.run(op, machine.object.ReconfigVM_Task(spec=config), machine.object)


def _set_compute(op: Op, machine: Machine, wanted: Resources, config: Any) -> None:
    vcpu, memory_mib = machine.row["config.hardware.numCPU"], machine.row["config.hardware.memoryMB"]
    if wanted.vcpu != vcpu:
        config.numCPUs = wanted.vcpu
    if wanted.memory_mib != memory_mib:
        config.memoryMB = wanted.memory_mib
    if machine.power != "poweredOn":
        return
    if wanted.vcpu < vcpu or wanted.memory_mib < memory_mib:
        why = "a running machine cannot lose vCPU or memory"
        raise op.error(Conflict, why, hint="shut it down first")
    able = read_object(
        op.session, machine.object, ["config.cpuHotAddEnabled", "config.memoryHotAddEnabled"]
    )
    for changed, path, what in (
        (config.numCPUs, "config.cpuHotAddEnabled", "vCPU"),
        (config.memoryMB, "config.memoryHotAddEnabled", "memory"),
    ):
        if changed and not able.get(path):
            why = f"{what} hot add is switched off for this machine"
            raise op.error(Conflict, why, hint=f"shut it down first, or enable {what} hot add in vCenter")


def _larger_disk(op: Op, machine: Machine, found: list[Any], more_gib: int) -> Any:
    if machine.row.get("snapshot") is not None:
        why = "a disk cannot grow while the machine has snapshots"
        raise op.error(Conflict, why, hint="delete its snapshots first")
    if found:
        first = details.in_guest_order(op, machine)[0]
        return devices.grown_disk(op.session.vim, first, first.capacityInKB + more_gib * KIBI_PER_GIBI)
    return _first_disk(op, machine, more_gib)


def _first_disk(op: Op, machine: Machine, size_gib: int) -> Any:
    kind = op.session.vim.vm.device.VirtualSCSIController
    controllers = [d for d in machine.row.get("config.hardware.device", ()) if isinstance(d, kind)]
    if not controllers:
        raise op.error(Conflict, "the machine has no SCSI controller for a disk", hint="add one in vCenter")
    return devices.disk(op.session.vim, size_gib, "", controller_key=controllers[0].key)


def snapshot_tree(machine: Machine) -> list[Any]:
    """All snapshots, oldest first."""
    info = machine.row.get("snapshot")
    found = _flat(info.rootSnapshotList) if info is not None else ()
    return sorted(found, key=lambda node: node.id)


def snapshots(machine: Machine) -> list[VmSnapshot]:
    """The same for a listing."""
    info = machine.row.get("snapshot")
    current = None if info is None else info.currentSnapshot
    there = snapshot_tree(machine)
    parents = {child.id: node.name for node in there for child in node.childSnapshotList}
    return [
        VmSnapshot(
            name=node.name,
            taken_at=node.createTime.astimezone(UTC),
            parent=parents.get(node.id, ""),
            current=node.snapshot == current,
        )
        for node in there
    ]


def _flat(nodes: Iterable[Any]) -> Iterable[Any]:
    for node in nodes:
        yield node
        yield from _flat(node.childSnapshotList)


def snapshot(op: Op, machine: Machine, name: str) -> None:
    """Take a snapshot, with the memory of a machine that runs; nothing if the name exists."""
    if any(node.name == name for node in snapshot_tree(machine)):
        return
    running = machine.power == "poweredOn"
    task = machine.object.CreateSnapshot_Task(name=name, description="", memory=running, quiesce=False)
    tasks.run(op, task, machine.object)


def revert(op: Op, machine: Machine, name: str) -> None:
    """Go back to the oldest snapshot of that name. Raises NotFound."""
    named = [node for node in snapshot_tree(machine) if node.name == name]
    if not named:
        there = ", ".join(f"'{node.name}'" for node in snapshot_tree(machine)) or "none"
        raise op.error(NotFound, f"there is no snapshot '{name}'; there are: {there}")
    tasks.run(op, named[0].snapshot.RevertToSnapshot_Task(), machine.object)


def delete_snapshot(op: Op, machine: Machine, name: str) -> None:
    """Delete one snapshot, whose children become its parent's; vCenter merges its disks, which may take long."""
    named = [node for node in snapshot_tree(machine) if node.name == name]
    found = only_snapshot(op.endpoint, shown_name(machine.row["name"]), name, named)
    if found is None:
        return
    try:
        task = found.snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True)
        tasks.run_long(op, task, machine.object, lambda _percent: None, cancel=False)
    except op.session.fault as fault:
        if not is_fault(fault, "ManagedObjectNotFound"):
            raise

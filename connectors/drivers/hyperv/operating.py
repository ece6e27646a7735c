"""Power, size and checkpoints of one machine."""

import time
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState, VmSnapshot, hot_resize
from connectors.drivers.hyperv import gaps
from connectors.drivers.hyperv.creating import fits
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError
from connectors.drivers.hyperv.faults import is_gone
from connectors.drivers.hyperv.host import HostFacts
from connectors.drivers.hyperv.machines import GIB, MIB, NO_SNAPSHOTS, Machine, find, is_of_snapshot
from connectors.drivers.hyperv.removing import POLL_S, switch_off
from connectors.drivers.hyperv.session import Op
from connectors.errors import Conflict, NotFound, Unsupported
from connectors.removal import only_snapshot

TARGETS = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SHUTDOWN: PowerState.OFF,
    PowerAction.SUSPEND: PowerState.SUSPENDED,
}
_PARTICIPLES = {PowerAction.SHUTDOWN: "shut down", PowerAction.SUSPEND: "suspended"}
_VM = {"VM": "0"}


def get(machine: Machine) -> Command:
    """The first command of a run, to whose result the others refer."""
    return Command("Hyper-V\\Get-VM", {"Id": machine.id})


def power(op: Op, machine: Machine, identity: UUID, action: PowerAction) -> None:
    """Bring the machine to the action's state. Raises Conflict where there is no way from its state."""
    if machine.power is TARGETS[action]:
        return
    if action in _PARTICIPLES and machine.power is not PowerState.ON:
        why = f"only a machine that runs can be {_PARTICIPLES[action]}; it is {machine.power.value}"
        raise op.error(Conflict, why, hint="power it on first", code=machine.state)
    try:
        op.run(get(machine), _change(machine, action))
    except PowerShellError:
        # Somebody else may have brought it where it was to go.
        now = find(op, identity)
        if now is None or now.power is not TARGETS[action]:
            raise


def _change(machine: Machine, action: PowerAction) -> Command:
    if action is PowerAction.ON:
        paused = machine.state == "Paused"
        return Command("Hyper-V\\Resume-VM" if paused else "Hyper-V\\Start-VM", refs=_VM)
    if action is PowerAction.OFF:
        return switch_off(machine)
    if action is PowerAction.SUSPEND:
        return Command("Hyper-V\\Save-VM", refs=_VM)
    # Without Force PowerShell asks a person whether a locked guest may be shut down.
    return Command("Hyper-V\\Stop-VM", {"Force": True}, _VM)


def resize(op: Op, host: HostFacts, machine: Machine, wanted: Resources) -> None:
    """Set processors and memory of a machine that is off, and grow its first disk; one that runs gets memory only."""
    now, hot = machine.resources, machine.power is PowerState.ON
    if hot and (gap := gaps.DECLARED.get(needed := hot_resize(now, wanted))):
        raise Unsupported(op.endpoint, needed, gap)
    if not hot and machine.power is not PowerState.OFF:
        why = f"a machine that is {machine.power.value} cannot be resized"
        raise op.error(Conflict, why, hint="power it on or off first", code=machine.state)
    if wanted == now:
        return
    fits(op, host, wanted.vcpu, wanted.memory_mib, wanted.disk_gib)
    if hot:
        _add_memory(op, machine, wanted.memory_mib)
        return
    commands = [get(machine), *_grown(op, machine, wanted.disk_gib)]
    if (wanted.vcpu, wanted.memory_mib) != (now.vcpu, now.memory_mib):
        size = {"ProcessorCount": wanted.vcpu, "MemoryStartupBytes": wanted.memory_mib * MIB}
        commands.append(Command("Hyper-V\\Set-VM", size, _VM))
    op.run(*commands)


def _add_memory(op: Op, machine: Machine, memory_mib: int) -> None:
    """Of a machine that runs. Windows gives memory back, Linux does not, so none is taken."""
    if memory_mib < machine.resources.memory_mib:
        why = "a running machine cannot lose memory"
        raise op.error(Conflict, why, hint="shut it down first")
    op.run(get(machine), Command("Hyper-V\\Set-VMMemory", {"StartupBytes": memory_mib * MIB}, _VM))


def _grown(op: Op, machine: Machine, wanted_gib: int) -> list[Command]:
    more_gib = wanted_gib - machine.resources.disk_gib
    if more_gib < 0:
        why = f"its disks have {machine.resources.disk_gib} GiB and cannot shrink to {wanted_gib} GiB"
        raise op.error(Conflict, why, hint="order at least the present size")
    if not more_gib:
        return []
    if machine.has_snapshots:
        why = "a disk cannot grow while the machine has checkpoints, or merges what one left"
        raise op.error(Conflict, why, hint=NO_SNAPSHOTS)
    if not machine.disks:
        raise op.error(Conflict, "the machine has no disk to grow", hint="add one in Hyper-V Manager")
    path, size = machine.disks[0]
    return [Command("Hyper-V\\Resize-VHD", {"Path": path, "SizeBytes": size + more_gib * GIB})]


class Checkpoint(NamedTuple):
    """One checkpoint of a machine."""

    created: str
    id: str
    name: str
    parent: str | None
    """The id of the one that the machine came from."""
    current: bool


def checkpoints(op: Op, machine: Machine) -> list[Checkpoint]:
    """All checkpoints, oldest first."""
    select = ("CreationTime", "Id", "Name", "ParentSnapshotId")
    listing = Command("Hyper-V\\Get-VMSnapshot", refs=_VM, select=select)
    (vm,), rows = op.run(get(machine)._replace(select=("ParentSnapshotId",)), listing)
    return sorted(
        Checkpoint(
            created=row["CreationTime"],
            id=row["Id"],
            name=row["Name"],
            parent=row["ParentSnapshotId"],
            current=row["Id"] == vm["ParentSnapshotId"],
        )
        for row in rows
    )


def snapshots(op: Op, machine: Machine) -> list[VmSnapshot]:
    """The same for a listing."""
    there = checkpoints(op, machine)
    known = {one.id: one.name for one in there}
    return [
        VmSnapshot(
            name=one.name,
            taken_at=datetime.fromisoformat(one.created),
            parent=known.get(one.parent or "", ""),
            current=one.current,
        )
        for one in there
    ]


def snapshot(op: Op, machine: Machine, name: str) -> None:
    """Take a checkpoint, with the memory of a machine that runs; nothing if the name exists."""
    if any(one.name == name for one in checkpoints(op, machine)):
        return
    op.run(get(machine), Command("Hyper-V\\Checkpoint-VM", {"SnapshotName": name}, _VM))


def revert(op: Op, machine: Machine, name: str) -> None:
    """Go back to the oldest checkpoint of that name. Raises NotFound."""
    found = checkpoints(op, machine)
    named = [one for one in found if one.name == name]
    if not named:
        there = ", ".join(f"'{one.name}'" for one in found) or "none"
        raise op.error(NotFound, f"there is no snapshot '{name}'; there are: {there}")
    op.run(
        Command("Hyper-V\\Get-VMSnapshot", {"Id": named[0].id}),
        Command("Hyper-V\\Restore-VMSnapshot", refs={"VMSnapshot": "0"}),
    )


def delete_snapshot(op: Op, machine: Machine, name: str) -> None:
    """Remove one checkpoint, whose children become its parent's; nothing if it is gone. Raises Conflict.

    The host merges its files afterwards. Where the machine's disks are whole again then, that is awaited as long as
    a call has.
    """
    named = [one for one in checkpoints(op, machine) if one.name == name]
    found = only_snapshot(op.endpoint, machine.name, name, named)
    if found is None:
        return
    try:
        op.run(
            Command("Hyper-V\\Get-VMSnapshot", {"Id": found.id}),
            Command("Hyper-V\\Remove-VMSnapshot", refs={"VMSnapshot": "0"}),
        )
        if not checkpoints(op, machine):
            _await_merged(op, machine)
    except PowerShellError as error:
        if not is_gone(error):
            raise


def _await_merged(op: Op, machine: Machine) -> None:
    look = Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=("HardDrives.Path",))
    while any(map(is_of_snapshot, op.run(look)[0][0]["HardDrives.Path"])):
        if op.session.deadline.left_s() <= 2 * POLL_S:
            return
        time.sleep(POLL_S)

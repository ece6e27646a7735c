"""Further disks of a machine, and the growth of single ones.

A disk is a dynamic VHDX beside the machine's own, called after the disk, on SCSI: that takes disks, and lets them
grow, while the machine runs. IDE, from which machines of generation 1 start, does neither.
"""

from typing import NoReturn

from connectors.contract import NewDisk, PowerState
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.details import all_drives, need_drive
from connectors.drivers.hyperv.disks import removed_on_failure
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.host import HostFacts
from connectors.drivers.hyperv.machines import GIB, NO_SNAPSHOTS, Machine
from connectors.drivers.hyperv.removing import own_folder
from connectors.drivers.hyperv.session import Op
from connectors.errors import Conflict, Refused


def add(op: Op, host: HostFacts, machine: Machine, disk: NewDisk) -> None:
    """Add a disk; nothing if it is there. Raises Conflict, Refused."""
    drives = all_drives(op, machine)
    there = next((one for one in drives if marks.disk_label(one.path) == disk.name), None)
    if there is not None:
        _check_size(op, machine, disk, there.size_bytes)
        return
    check_state(op, machine)
    _check_room(op, host, machine, disk.size_gib)
    path = f"{own_folder(machine)}\\disks\\{marks.disk_file(disk.name)}"
    commands = [Command("Hyper-V\\Get-VM", {"Id": machine.id})]
    left = left_behind(op, path)
    if left is None:
        params: dict[str, Scalar] = {"Path": path, "SizeBytes": disk.size_gib * GIB, "Dynamic": True}
        commands.append(Command("Hyper-V\\New-VHD", params))
    else:
        # Of a call that was cut off, or somebody took it out of the machine: then it comes back with its content.
        _check_size(op, machine, disk, left)
    where: dict[str, Scalar] = {"ControllerType": "SCSI", "ControllerNumber": 0, "Path": path}
    commands.append(Command("Hyper-V\\Add-VMHardDiskDrive", where, {"VM": "0"}))
    with removed_on_failure(op, machine, *([path] if left is None else [])):
        op.run(*commands)


def grow(op: Op, host: HostFacts, machine: Machine, key: str, size_gib: int) -> None:
    """Grow a disk; nothing if it has that size. Raises NotFound, Conflict, Refused."""
    drive = need_drive(op, machine, key)
    wanted = size_gib * GIB
    if wanted == drive.size_bytes:
        return
    if wanted < drive.size_bytes:
        has = f"a disk '{key}' of {-(-drive.size_bytes // GIB)} GiB"
        refuse(op, machine, f"has {has}, which cannot shrink to {size_gib} GiB", "ask for no less")
    check_state(op, machine)
    if machine.power is PowerState.ON:
        if drive.controller != "SCSI":
            refuse(op, machine, f"runs, and has disk '{key}' on {drive.controller}", "shut it down first")
        if not drive.path.lower().endswith(".vhdx"):
            refuse(op, machine, f"runs, and its disk '{key}' is no VHDX", "shut it down first")
    _check_room(op, host, machine, size_gib - drive.size_bytes // GIB)
    op.run(Command("Hyper-V\\Resize-VHD", {"Path": drive.path, "SizeBytes": wanted}))


def left_behind(op: Op, path: str) -> int | None:
    """The size in bytes of a file that is there and no machine's; None where there is none."""
    (found,) = op.run(Command("Hyper-V\\Get-VHD", {"Path": path}, select=("Size",), optional=True))
    return int(found[0]["Size"]) if found else None


def _check_size(op: Op, machine: Machine, disk: NewDisk, has_bytes: int) -> None:
    if has_bytes != disk.size_gib * GIB:
        what = f"has a disk '{disk.name}' of {-(-has_bytes // GIB)} GiB"
        refuse(op, machine, what, "grow it, or choose another name")


def check_state(op: Op, machine: Machine) -> None:
    """Raises Conflict for a machine whose disks have to stay as they are."""
    if machine.power not in {PowerState.ON, PowerState.OFF}:
        refuse(op, machine, f"is {machine.power.value}", "power it on or off first")
    if machine.has_snapshots:
        what = "has checkpoints, each of which is a file of its disks"
        refuse(op, machine, what, NO_SNAPSHOTS)


def _check_room(op: Op, host: HostFacts, machine: Machine, more_gib: int) -> None:
    wanted = machine.resources.disk_gib + more_gib
    if wanted > host.total.disk_gib:
        why = f"disk_gib {wanted} is more than the host's {host.total.disk_gib}"
        raise op.error(Refused, why, hint="ask for less, or choose another pool")


def refuse(op: Op, machine: Machine, what: str, hint: str) -> NoReturn:
    """Raises Conflict."""
    raise op.error(Conflict, f"machine '{machine.name}' {what}", hint=hint)

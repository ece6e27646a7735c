"""Taking a disk out of a machine, and removing its file: SCSI lets go of a disk while the machine runs.

A file that a call which was cut off left behind is where the disk's name says; a machine has it no more.
"""

import time

from connectors.contract import Disk
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.adding import check_state, left_behind, refuse
from connectors.drivers.hyperv.details import Drive, all_drives
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError, Scalar
from connectors.drivers.hyperv.faults import is_gone
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.removing import IN_USE, POLL_S, escaped, own_folder, remove_files
from connectors.drivers.hyperv.session import Op
from connectors.removal import to_remove


def remove(op: Op, machine: Machine, disk: Disk) -> None:
    """Remove a disk; nothing if it is gone. Raises Conflict."""
    drives = all_drives(op, machine)
    found = to_remove(op.endpoint, machine.name, disk, [one.shown() for one in drives])
    home = f"{own_folder(machine)}\\disks"
    if found is None:
        path = f"{home}\\{marks.disk_file(disk.name)}"
        if left_behind(op, path) == disk.size_bytes:
            _delete(op, path)
        return
    check_state(op, machine)
    drive = next(one for one in drives if one.key == found.key)
    _check_file(op, machine, drive, home)
    _unplug(op, machine, drive)
    _delete(op, drive.path)


def _check_file(op: Op, machine: Machine, drive: Drive, home: str) -> None:
    if drive.path.rpartition("\\")[0].lower() != home.lower():
        what = f"has disk '{drive.key}' as '{drive.path}', and only files in '{home}' are removed"
        refuse(op, machine, what, "remove it in Hyper-V Manager")
    if drive.differencing:
        what = f"has disk '{drive.key}' in two files, which Windows is merging"
        refuse(op, machine, what, "repeat when that is done")


def _unplug(op: Op, machine: Machine, drive: Drive) -> None:
    where: dict[str, Scalar] = {
        "ControllerType": drive.controller,
        "ControllerNumber": drive.number,
        "ControllerLocation": drive.location,
    }
    op.run(
        Command("Hyper-V\\Get-VM", {"Id": machine.id}),
        Command("Hyper-V\\Get-VMHardDiskDrive", where, {"VM": "0"}),
        Command("Hyper-V\\Remove-VMHardDiskDrive", refs={"VMHardDiskDrive": "1"}),
    )


def _delete(op: Op, path: str) -> None:
    """Windows may hold a file for a moment after its machine has it no more, so this asks again until the deadline."""
    while True:
        try:
            op.run(remove_files(escaped(path)))
        except PowerShellError as error:
            if is_gone(error):
                return
            if error.kind != IN_USE or op.session.deadline.left_s() <= 2 * POLL_S:
                raise
            time.sleep(POLL_S)
        else:
            return

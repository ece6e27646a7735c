"""Carrying a disk's content: its file, read and written in parts through the dispatcher.

A VHDX of a machine without checkpoints is read as it is. For a VHD, and for a disk with checkpoints, the host
first makes one whole file (Convert-VHD). What comes in goes to a file of its own beside the disk; only when
the host has read its header, and its size is right, the machine's drive is pointed to it, and the old file is
removed. So a transfer that fails leaves the old content.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from uuid import uuid4

from connectors.contract import DiskFormat, PowerState, Tell
from connectors.drivers.hyperv.details import Drive, need_drive
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.machines import NO_SNAPSHOTS, Machine
from connectors.drivers.hyperv.removing import escaped, own_folder, remove_files
from connectors.drivers.hyperv.session import SHELL_GONE, Op, Rows
from connectors.errors import Conflict, Refused

CHUNK_BYTES = 1 << 20
"""Read or written by one request; as base64 it is well below the 2 MiB that PowerShell 5.1's JSON may take."""
PART_BYTES = 8 * CHUNK_BYTES
"""Carried by one PowerShell process, which takes Windows a while to start, within one `timeout_s`."""

FORMATS = (DiskFormat.VHDX, DiskFormat.VHD)
_ZEROS = bytes(CHUNK_BYTES)


class _Files:
    """The names that one transfer gives to its files, in the folder of the machine's disks."""

    def __init__(self, folder: str) -> None:
        token = uuid4().hex[:8]
        self.folder = folder
        self.new_name = f"disk-{token}.vhdx"
        self.new = f"{folder}\\{self.new_name}"
        self._part = f"{folder}\\part-{token}."

    def part(self, form: DiskFormat) -> str:
        """A file that is not whole yet; Hyper-V tells the format by the end of the name."""
        return f"{self._part}{form.value}"

    def remove_old_parts(self, *, optional: bool = False) -> Command:
        """Remove those of a transfer that was killed half way."""
        return remove_files(f"{escaped(self.folder)}\\part-*", optional=optional)


def export(op: Op, machine: Machine, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
    """Write the disk's content into an empty file. Raises NotFound and Conflict."""
    drive, files = _idle(op, machine, key)
    if drive.path.lower().endswith(f".{form.value}") and not drive.differencing:
        _receive(op, drive.path, to, tell)
        return
    part = files.part(form)
    with removed_on_failure(op, machine, part):
        _part(op, [files.remove_old_parts(optional=True), _convert(drive.path, part)])
        _receive(op, part, to, tell)
    _part(op, [remove_files(escaped(part))])


def take(op: Op, machine: Machine, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
    """Replace the disk by a file's content. Raises NotFound, Conflict, and Refused for what is no such image."""
    drive, files = _idle(op, machine, key)
    if machine.has_snapshots or drive.differencing:
        why = "the machine has checkpoints, which its disk's old content belongs to"
        raise op.error(Conflict, why, hint=NO_SNAPSHOTS)
    sent, whole = files.part(form), files.part(DiskFormat.VHDX)
    with removed_on_failure(op, machine, files.part(DiskFormat.VHD), whole, files.new, old=drive.path):
        _part(op, [files.remove_old_parts()])
        _send(op, sent, source, tell)
        _check(op, sent, form, drive)
        if sent != whole:
            _part(op, [_convert(sent, whole), remove_files(escaped(sent))])
        _switch(op, machine, drive, whole, files)


def _idle(op: Op, machine: Machine, key: str) -> tuple[Drive, _Files]:
    """The drive of a machine that is off, and names for files beside it."""
    drive = need_drive(op, machine, key)
    if machine.power is not PowerState.OFF:
        why = f"its disks can be carried while a machine is off; it is {machine.power.value}"
        raise op.error(Conflict, why, hint="shut it down first", code=machine.state)
    folder = f"{own_folder(machine)}\\disks"
    if drive.path.rpartition("\\")[0].lower() != folder.lower():
        why = f"the disk '{key}' is '{drive.path}', and only files in '{folder}' are read and written"
        raise op.error(Refused, why, hint="move it there in Hyper-V Manager")
    return drive, _Files(folder)


def _receive(op: Op, path: str, to: BinaryIO, tell: Tell) -> None:
    to.seek(0)
    to.truncate()
    done, size = 0, CHUNK_BYTES
    while done < size:
        places = range(done, min(done + PART_BYTES, size), CHUNK_BYTES)
        for rows in _part(op, *([_read(path, at)] for at in places)):
            data, size = base64.b64decode(rows[0][0]["Data"]), int(rows[0][0]["Size"])
            expected = min(CHUNK_BYTES, size - done)
            if len(data) != expected:
                why = f"'{path}' gave {len(data)} bytes at {done}, not {expected}; something changes it"
                raise op.error(Conflict, why, hint="repeat when that is done")
            _put(to, done, data)
            done += len(data)
        tell(done)
    to.truncate(size)
    to.flush()


def _put(to: BinaryIO, at: int, data: bytes) -> None:
    """Write, but leave a hole for zeros."""
    if data != _ZEROS[: len(data)]:
        to.seek(at)
        to.write(data)


def _send(op: Op, path: str, source: BinaryIO, tell: Tell) -> None:
    size = source.seek(0, os.SEEK_END)
    if not size:
        raise op.error(Refused, "the file is empty", hint="give an image of a disk")
    for start in range(0, size, PART_BYTES):
        end = min(start + PART_BYTES, size)
        requests = []
        for at in range(start, end, CHUNK_BYTES):
            source.seek(at)
            data = source.read(CHUNK_BYTES)
            # What is left out before the end of a file is zeros; the last chunk makes its length right.
            if data != _ZEROS[: len(data)] or at + len(data) >= size:
                requests.append([_write(path, at, data)])
        if requests:
            _part(op, *requests)
        tell(end)


def _check(op: Op, path: str, form: DiskFormat, drive: Drive) -> None:
    """Let the host read the header of what was sent; nothing in it is believed before."""
    select = ("Size", "VhdType", "VhdFormat")
    ((found,),) = _part(op, [Command("Hyper-V\\Get-VHD", {"Path": path}, select=select)])[0]
    if found["VhdType"] == "Differencing" or found["VhdFormat"] != form.value.upper():
        why = f"the image is a {found['VhdType']} {found['VhdFormat']}, not a whole {form.value.upper()}"
        raise op.error(Refused, why, hint="images that refer to other files are not taken; convert it")
    if int(found["Size"]) != drive.size_bytes:
        why = f"the image has {found['Size']} bytes, and the disk '{drive.key}' has {drive.size_bytes}"
        raise op.error(Conflict, why, hint="make them equal")


def _switch(op: Op, machine: Machine, drive: Drive, whole: str, files: _Files) -> None:
    """Give the file its name, and point the drive to it; that also lets the machine read it."""
    if not _is_as_found(op, machine, drive):
        why = "the machine was started, or got a checkpoint or another disk, while its content was sent"
        raise op.error(Conflict, why, hint="repeat when that is done")
    where: dict[str, Scalar] = {
        "ControllerType": drive.controller,
        "ControllerNumber": drive.number,
        "ControllerLocation": drive.location,
    }
    _part(
        op,
        [
            Command("Hyper-V\\Get-VM", {"Id": machine.id}),
            Command("Hyper-V\\Get-VMHardDiskDrive", where, {"VM": "0"}),
            Command(
                "Microsoft.PowerShell.Management\\Rename-Item",
                {"LiteralPath": whole, "NewName": files.new_name},
            ),
            Command("Hyper-V\\Set-VMHardDiskDrive", {"Path": files.new}, {"VMHardDiskDrive": "1"}),
            remove_files(escaped(drive.path)),
        ],
    )


def _is_as_found(op: Op, machine: Machine, drive: Drive) -> bool:
    """Whether the machine is still off and has this disk; the file of one with a checkpoint is another's base."""
    select = ("State", "ParentSnapshotId", "HardDrives.Path")
    ((now,),) = _part(op, [Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=select)])[0]
    off = now["State"] == machine.state and now["ParentSnapshotId"] is None
    return off and drive.path in now["HardDrives.Path"]


@contextmanager
def removed_on_failure(op: Op, machine: Machine, *paths: str, old: str = "") -> Iterator[None]:
    """Remove those of the files that no drive of the machine has, when what is inside fails.

    The answer to pointing a drive to its new file may be lost, so the machine is asked which one it has: the
    old one is removed where it has a new one.
    """
    try:
        yield
    except BaseException:
        with suppress(*op.session.failures), op.session.deadline.cleanup():
            vm = Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=("HardDrives.Path",))
            ((found,),) = op.run(vm)
            attached = {str(path).lower() for path in found["HardDrives.Path"]}
            gone = [path for path in paths if path.lower() not in attached]
            if old and len(gone) < len(paths):
                gone.append(old)
            op.run(*(remove_files(escaped(path), optional=True) for path in gone))
        raise


def _part(op: Op, *requests: list[Command]) -> list[Rows]:
    """What one process answers, within its own `timeout_s`; asked again where the host had removed the shell.

    Every request gives the same when it is repeated, but for the last step of an import, which then says
    that its file is not there.
    """
    op.session.deadline.begin()
    try:
        return op.session.run(*requests)
    except op.session.failures as error:
        if op.session.fault_code(error) != SHELL_GONE:
            raise
    return op.session.run(*requests)


def _read(path: str, at: int) -> Command:
    params: dict[str, Scalar] = {"Path": path, "At": at, "Count": CHUNK_BYTES}
    return Command("Read-Chunk", params, select=("Data", "Size"))


def _write(path: str, at: int, data: bytes) -> Command:
    return Command("Write-Chunk", {"Path": path, "At": at, "Data": base64.b64encode(data).decode("ascii")})


def _convert(source: str, target: str) -> Command:
    params = {"Path": source, "DestinationPath": target, "VHDType": "Dynamic"}
    return Command("Hyper-V\\Convert-VHD", params)

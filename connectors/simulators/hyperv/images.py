# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""What stands in disk files: real VHDX and VHD files, made and converted by qemu-img in Hyper-V's place.

A disk that nobody has read or written takes no file, and the files are sparse, so large ones cost little.
Guests never write here: a differencing disk, which qemu-img cannot make, reads as the disk it stands on.
"""

import base64
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import CmdletError, NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import Disk

QEMU_NAMES = {"vhdx": "vhdx", "avhdx": "vhdx", "vhd": "vpc", "avhd": "vpc"}
_OPTIONS = {"vhdx": "subformat=dynamic", "vpc": "subformat=dynamic,force_size=on"}
POLL_S = 0.01
_VHD_FOOTER_BYTES = 512
_VHD_COOKIE = bytes.fromhex("636f6e6563746978")
_VHD_TYPES = {2: "Fixed", 3: "Dynamic", 4: "Differencing"}


def read_chunk(call: Call) -> Found:
    path = str(call.arguments["Path"])
    if call.world.in_use(path):
        raise call.error("IOException", "NotSpecified", f"'{path}' is being used by another process")
    file = _file(call, _need(call, path))
    with file.open("rb") as opened:
        opened.seek(call.arguments["At"])
        data = opened.read(call.arguments["Count"])
    found = {"Data": base64.b64encode(data).decode("ascii"), "Size": file.stat().st_size}
    return [NetObject("Hashtable", found)]


def write_chunk(call: Call) -> Found:
    world, path = call.world, str(call.arguments["Path"])
    if world.in_use(path):
        raise call.error("IOException", "NotSpecified", f"'{path}' is being used by another process")
    disk = world.disk_of(path)
    if disk is None:
        if not world.has_folder(path.rpartition("\\")[0]):
            words = f"could not find a part of the path '{path}'"
            raise call.error("DirectoryNotFoundException", "NotSpecified", words)
        disk = Disk(path, 0, file=world.new_file(), unread=True)
        world.put_disk(disk)
    disk.unread = True
    with _file(call, disk).open("r+b") as opened:
        opened.seek(call.arguments["At"])
        opened.write(base64.b64decode(call.arguments["Data"]))
    return []


def convert_vhd(call: Call) -> Found:
    """Make another file of what a guest sees. It takes its time, and what is cut off leaves a part behind.

    Windows may remove that part; a driver that needs it to would be found out here.
    """
    call.only("Path", "DestinationPath", "VHDType")
    if call.arguments.get("VHDType") != "Dynamic":
        what = "Convert-VHD to another type than Dynamic"
        raise NotImplementedHere(what)
    path, target = str(call.arguments["Path"]), str(call.arguments["DestinationPath"])
    source = _need(call, path)
    read_header(call, source)
    if call.world.in_use(path):
        raise call.error("ObjectInUse", "ResourceBusy", f"'{path}' is being used by another process")
    if call.world.disk_of(target) is not None:
        words = f"failed to convert to '{target}': the file exists (0x80070050)"
        raise call.error("OperationFailed", "NotSpecified", words)
    if not call.world.has_folder(target.rpartition("\\")[0]):
        words = f"failed to convert to '{target}': the system cannot find the path (0x80070003)"
        raise call.error("OperationFailed", "NotSpecified", words)
    made = call.world.new_file()
    _qemu(
        call, "convert", "-f", _format(source.path), *_output(target), str(_file(call, source)), str(made)
    )
    part = Disk(target, source.size, file=call.world.new_file())
    call.world.put_disk(part)
    call.world.conversions.add(target.lower())
    done = False
    try:
        done = _written(call, part, made.stat().st_size)
    finally:
        call.world.conversions.discard(target.lower())
        if done and part.file is not None:
            made.replace(part.file)
        else:
            made.unlink()
    return []


def _written(call: Call, part: Disk, size: int) -> bool:
    """Let a file grow to its size, with others free to work; whether it came to that. Raises CmdletError."""
    estate = call.world.estate
    begun_s, takes_s = time.monotonic(), estate.conversion_ms / 1000
    assert part.file is not None, part
    while True:
        passed_s = time.monotonic() - begun_s
        share = 1.0 if passed_s >= takes_s else passed_s / takes_s
        os.truncate(part.file, int(size * share))
        if call.world.room_on(part.path) < 0:
            words = (
                f"failed to convert to '{part.path}': there is not enough space on the disk (0x80070070)"
            )
            raise call.error("OperationFailed", "NotSpecified", words)
        if share == 1.0:
            return True
        call.world.lock.release()
        try:
            ended = call.cancelled.wait(POLL_S) and not estate.conversions_outlive
        finally:
            call.world.lock.acquire()
        if ended:
            return False


def resize(call: Call, disk: Disk, size: int) -> None:
    """Let a disk's file, if there is one, have another size; by a raw image, for qemu-img resizes no VHDX."""
    if disk.file is None:
        return
    file, name = str(disk.file), _format(disk.path)
    with tempfile.NamedTemporaryFile(dir=disk.file.parent) as raw:
        _qemu(call, "convert", "-f", name, "-O", "raw", file, raw.name)
        raw.truncate(size)
        _qemu(call, "convert", "-f", "raw", *_output(disk.path), raw.name, file)


def read_header(call: Call, disk: Disk) -> None:
    """What a file that somebody sent says of itself. Raises CmdletError where it is no image."""
    if not disk.unread or disk.file is None:
        return
    kind = _vhd_type(disk.file)
    if kind == "Differencing":
        disk.kind, disk.unread = kind, False
        return
    found = json.loads(_qemu(call, "info", "--output=json", "-f", _format(disk.path), str(disk.file)))
    disk.size, disk.kind, disk.unread = int(found["virtual-size"]), kind or "Dynamic", False


def _vhd_type(file: Path) -> str:
    """The type in a VHD's footer; nothing for what is no VHD."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(max(0, size - _VHD_FOOTER_BYTES))
        footer = opened.read(_VHD_FOOTER_BYTES)
    if not footer.startswith(_VHD_COOKIE):
        return ""
    return _VHD_TYPES.get(int.from_bytes(footer[60:64], "big"), "Unknown")


def _need(call: Call, path: str) -> Disk:
    disk = call.world.disk_of(path)
    if disk is None:
        raise call.error("FileNotFoundException", "NotSpecified", f"could not find file '{path}'")
    return disk


def _file(call: Call, disk: Disk) -> Path:
    """Where its bytes are; an empty disk is made when it is looked at first."""
    while disk.parent:
        disk = _need(call, disk.parent)
    if disk.file is None:
        made = call.world.new_file()
        kind = _format(disk.path)
        _qemu(call, "create", "-f", kind, "-o", _OPTIONS[kind], str(made), str(disk.size))
        disk.file = made
    return disk.file


def _format(path: str) -> str:
    """Windows, too, tells the format of an image by the end of its name."""
    return QEMU_NAMES.get(path.rpartition(".")[2].lower(), "raw")


def _output(path: str) -> list[str]:
    kind = _format(path)
    return ["-O", kind, "-o", _OPTIONS[kind]]


def _qemu(call: Call, *arguments: str) -> str:
    try:
        done = subprocess.run(["qemu-img", *arguments], capture_output=True, check=False, text=True)
    except FileNotFoundError:
        what = "content of disks without qemu-img; apt-get install qemu-utils"
        raise NotImplementedHere(what) from None
    if done.returncode != 0:
        raise _bad_image(call, done.stderr)
    return done.stdout


def _bad_image(call: Call, said: str) -> CmdletError:
    words = f"the virtual hard disk is corrupted or is no virtual hard disk: {said.strip()}"
    return call.error("OperationFailed", "NotSpecified", words)

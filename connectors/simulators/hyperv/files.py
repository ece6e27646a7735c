# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""Virtual hard disks, and files and folders that are looked at, made, renamed and removed."""

import re

from connectors.simulators.hyperv import hardware, images
from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import CmdletError, NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import Disk


class PartlyFailed(CmdletError):
    """An error that does not end a cmdlet unless the caller wants it to; `found` is what else it gave."""

    def __init__(self, error: CmdletError, found: Found) -> None:
        super().__init__(error.error_id, error.category, error.message)
        self.found = found


def get_vhd(call: Call) -> Found:
    """The disks of machines (VMId) or of these paths; those that are missing are an error each."""
    call.only("Path", "VMId")
    world, found, missing = call.world, [], []
    for path in _paths(call):
        disk = world.disk_of(path)
        if disk is None:
            missing.append(path)
        elif path.lower() in world.conversions:
            words = f"getting the virtual hard disk '{path}' failed: it is being used by another process"
            raise call.error("ObjectInUse", "ResourceBusy", words)
        else:
            images.read_header(call, disk)
            found.append(_vhd(disk))
    if missing:
        words = f"getting the virtual hard disk '{missing[0]}' failed: the system cannot find the file"
        error = call.error("VirtualHardDiskObjectNotFound", "ObjectNotFound", words)
        raise PartlyFailed(error, found)
    return found


def _paths(call: Call) -> list[str]:
    if "Path" in call.arguments:
        given = call.arguments["Path"]
        return [given] if isinstance(given, str) else list(given)
    given = call.arguments["VMId"]
    wanted = [given] if isinstance(given, str) else list(given)
    return [path for vm_id in wanted if (vm := call.world.vms.get(vm_id)) for path in vm.disks]


def _vhd(disk: Disk) -> NetObject:
    properties = {
        "Path": disk.path,
        "Size": disk.size,
        "FileSize": disk.taken_bytes,
        "VhdType": "Differencing" if disk.parent else disk.kind,
        "VhdFormat": "VHD" if disk.path.lower().endswith("vhd") else "VHDX",
        "ParentPath": disk.parent,
    }
    return NetObject("VirtualHardDisk", properties)


def resize_vhd(call: Call) -> Found:
    call.only("Path", "SizeBytes")
    path, size = call.arguments["Path"], call.arguments["SizeBytes"]
    disk = call.world.disk_of(path)
    if disk is None:
        raise call.error("VirtualHardDiskObjectNotFound", "ObjectNotFound", f"'{path}' is not there")
    if path.lower() in call.world.conversions:
        words = f"failed to resize '{path}': it is being used by another process (0x80070020)"
        raise call.error("OperationFailed", "InvalidOperation", words)
    _check_online(call, path)
    has_child = any(other.parent.lower() == path.lower() for other in call.world.disks.values())
    if disk.parent or has_child:
        words = f"failed to resize '{path}': it belongs to a chain of differencing disks"
        raise call.error("OperationFailed", "InvalidOperation", words)
    if size < disk.size:
        words = f"failed to resize '{path}': it is larger than {size} (0xC03A0001)"
        raise call.error("OperationFailed", "InvalidOperation", words)
    images.resize(call, disk, size)
    disk.size = size
    return []


def _check_online(call: Call, path: str) -> None:
    """While its machine runs, only a VHDX on SCSI can grow."""
    for vm in call.world.vms.values():
        for one in hardware.drives(vm) if vm.state != "Off" else ():
            on_scsi = one.read("ControllerType") == "SCSI" and path.lower().endswith(".vhdx")
            if one.read("Path").lower() == path.lower() and not on_scsi:
                words = f"failed to resize '{path}': it is being used by another process (0x80070020)"
                raise call.error("OperationFailed", "InvalidOperation", words)


def remove_item(call: Call) -> Found:
    """Remove disks, and folders and all in them, as with -Recurse; what is in use is an error."""
    call.only("Path", "Recurse", "Force")
    if not call.arguments.get("Recurse"):
        what = "Remove-Item without -Recurse"
        raise NotImplementedHere(what)
    pattern = str(call.arguments["Path"])
    matching = re.compile(_as_expression(pattern), re.IGNORECASE)
    found = [folder for folder in call.world.folders if matching.fullmatch(folder)]
    disks = [disk.path for disk in call.world.disks.values() if matching.fullmatch(disk.path)]
    if not found + disks and not re.search(r"(?<!`)[*?\[]", pattern):
        words = f"cannot find path '{pattern}' because it does not exist"
        raise call.error("PathNotFound", "ObjectNotFound", words)
    for path in disks:
        if call.world.in_use(path):
            raise _busy(call, path)
        call.world.remove_disk(path)
    for folder in found:
        _remove_folder(call, folder)
    return []


def get_item(call: Call) -> Found:
    """A disk's file, also while something else has it open."""
    call.only("LiteralPath")
    path = str(call.arguments["LiteralPath"])
    disk = call.world.disk_of(path)
    if disk is None:
        words = f"cannot find path '{path}' because it does not exist"
        raise call.error("PathNotFound", "ObjectNotFound", words)
    return [NetObject("FileInfo", {"Length": disk.taken_bytes})]


def new_folder(call: Call) -> Found:
    """Make a folder and those above it; nothing where it is there."""
    call.world.put_folder(str(call.arguments["Path"]))
    return []


def rename_item(call: Call) -> Found:
    """Give a disk's file, or a folder with all in it, another name in its folder."""
    call.only("LiteralPath", "NewName")
    world, path, name = call.world, str(call.arguments["LiteralPath"]), str(call.arguments["NewName"])
    if world.has_folder(path):
        return _rename_folder(call, path, name)
    disk = world.disk_of(path)
    if disk is None:
        words = f"cannot rename '{path}' because it does not exist"
        raise call.error("InvalidOperation", "InvalidOperation", words)
    target = f"{disk.path.rpartition(chr(92))[0]}\\{name}"
    if "\\" in name or world.disk_of(target) is not None or world.in_use(path):
        words = f"cannot rename '{path}' to '{name}'"
        raise call.error("RenameItemIOError", "WriteError", words)
    del world.disks[disk.path.lower()]
    disk.path = target
    world.put_disk(disk)
    return []


def _rename_folder(call: Call, folder: str, name: str) -> Found:
    world = call.world
    target = f"{folder.rpartition(chr(92))[0]}\\{name}"
    if "\\" in name or world.has_folder(target) or _in_use_inside(call, folder):
        words = f"cannot rename '{folder}' to '{name}'"
        raise call.error("RenameItemIOError", "WriteError", words)
    for disk in [one for one in world.disks.values() if _is_inside(one.path, folder)]:
        del world.disks[disk.path.lower()]
        disk.path = target + disk.path[len(folder) :]
        world.put_disk(disk)
    gone = {one for one in world.folders if _is_inside(one, folder)}
    world.folders -= gone
    world.folders |= {target + one[len(folder) :] for one in gone}
    return []


def _is_inside(path: str, folder: str) -> bool:
    return f"{path}\\".lower().startswith(f"{folder}\\".lower())


def _in_use_inside(call: Call, folder: str) -> list[str]:
    """What keeps a folder from being removed or renamed: machines that are registered there, and files in use."""
    world = call.world
    registered = [vm.path for node in world.nodes.values() for vm in node.vms.values()]
    held = [disk.path for disk in world.disks.values() if world.in_use(disk.path)]
    return [path for path in (*registered, *held) if _is_inside(path, folder)]


def _busy(call: Call, path: str) -> CmdletError:
    words = f"cannot remove item {path}: it is being used by another process"
    return call.error("RemoveFileSystemItemIOError", "WriteError", words)


def _remove_folder(call: Call, folder: str) -> None:
    world = call.world
    if busy := _in_use_inside(call, folder):
        raise _busy(call, busy[0])
    for path in [one for one in world.disks if _is_inside(one, folder)]:
        world.remove_disk(path)
    world.folders -= {one for one in world.folders if _is_inside(one, folder)}


def _as_expression(pattern: str) -> str:
    """A pattern of PowerShell's (about_Wildcards) as a regular expression; a path part has no backslash."""
    out, at = "", 0
    while at < len(pattern):
        one = pattern[at]
        if one == "`" and at + 1 < len(pattern):
            at += 1
            out += re.escape(pattern[at])
        elif one == "[" and (end := pattern.find("]", at)) > 0:
            out += pattern[at : end + 1]
            at = end
        else:
            out += {"*": r"[^\\]*", "?": r"[^\\]"}.get(one, re.escape(one))
        at += 1
    return out

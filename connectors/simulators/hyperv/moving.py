# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""Volumes, and moving a machine's files from one folder to another, which takes its time and holds them meanwhile."""

import re
import time

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import GIB, Disk, Move, Vm

POLL_S = 0.01
RUNNING_JOB = 4
"""CIM's JobState of a job at work."""


def get_volume(call: Call) -> Found:
    call.only("FilePath")
    path = str(call.arguments.get("FilePath", ""))
    if re.match(r"^[A-Za-z]:\\", path) is None:
        raise call.error("CmdletizationQuery_NotFound_FilePath", "ObjectNotFound", "no such volume")
    size = call.world.volume_of(path)[1] * GIB
    found = {"Size": size, "SizeRemaining": max(0, call.world.room_on(path))}
    return [NetObject("MSFT_Volume", found)]


def jobs(call: Call) -> Found:
    """The host's migration jobs, as WMI shows them while they run."""
    if call.arguments.get("Namespace") != "root/virtualization/v2":
        what = "CIM class Msvm_MigrationJob outside of root/virtualization/v2"
        raise NotImplementedHere(what)
    return [
        NetObject(
            "Msvm_MigrationJob",
            {"VirtualSystemName": vm_id.upper(), "JobState": RUNNING_JOB, "PercentComplete": move.percent},
        )
        for vm_id, move in call.world.moves.items()
    ]


def move_storage(call: Call) -> Found:
    """All files of a machine but the disks that are not named; it is moved whole, or stays where it was."""
    call.only("VM", "VirtualMachinePath", "SnapshotFilePath", "SmartPagingFilePath", "Vhds")
    world, given = call.world, call.arguments
    (vm,) = call.vms()
    folder = given.get("VirtualMachinePath")
    if "Vhds" not in given or {given.get("SnapshotFilePath"), given.get("SmartPagingFilePath")} != {folder}:
        what = "Move-VMStorage of less than all to one folder"
        raise NotImplementedHere(what)
    if vm.snapshots:
        what = "Move-VMStorage of a machine with checkpoints"
        raise NotImplementedHere(what)
    if vm.state not in {"Off", "Running", "Saved", "Paused"}:
        raise call.invalid_state(vm)
    if vm.id in world.moves:
        raise call.error("ObjectInUse", "ResourceBusy", "the virtual machine is being migrated")
    source, target = _files(call, vm)
    world.moves[vm.id] = Move((source.path, target))
    try:
        world.put_disk(Disk(target, source.size, kind=source.kind))
        done = _wait(call, vm, world.moves[vm.id])
    finally:
        del world.moves[vm.id]
    if not done or vm.id not in world.vms:
        world.remove_disk(target)
        return []
    world.disks[target.lower()].file = source.file
    del world.disks[source.path.lower()]
    vm.disks = [target if path.lower() == source.path.lower() else path for path in vm.disks]
    vm.path = str(folder)
    world.put_folder(vm.path)
    return []


def _files(call: Call, vm: Vm) -> tuple[Disk, str]:
    """The disk to be moved, and its new path, where there is room for it."""
    world, wanted = call.world, call.arguments["Vhds"]
    source = world.disk_of(wanted["SourceFilePath"])
    if source is None or source.path.lower() not in {path.lower() for path in vm.disks}:
        raise call.error("InvalidParameter", "InvalidArgument", "the machine has no such virtual hard disk")
    target = str(wanted["DestinationFilePath"])
    if world.disk_of(target) is not None:
        words = f"failed to copy to '{target}': the file exists (0x80070050)"
        raise call.error("OperationFailed", "NotSpecified", words)
    if source.taken_bytes > world.room_on(target):
        words = f"failed to copy to '{target}': there is not enough space on the disk (0x80070070)"
        raise call.error("OperationFailed", "NotSpecified", words)
    return source, target


def _wait(call: Call, vm: Vm, move: Move) -> bool:
    """Let the time pass that copying takes, with others free to work; whether it came to its end."""
    begun_s, takes_s = time.monotonic(), call.world.estate.storage_move_ms / 1000
    call.world.lock.release()
    try:
        while (passed_s := time.monotonic() - begun_s) < takes_s:
            move.percent = int(100 * passed_s / takes_s)
            if call.cancelled.wait(POLL_S) or vm.id not in call.world.vms:
                return False
    finally:
        call.world.lock.acquire()
    return True

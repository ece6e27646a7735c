# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""Checkpoints: taking them, listing them, going back to one, and removing one."""

import re
import time

from connectors.simulators.hyperv import hardware
from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import CmdletError, NetObject
from connectors.simulators.hyperv.estate import Disk, Snapshot, Vm, World

KEPT = (
    *("ProcessorCount", "MemoryStartupBytes", "Notes", "NewVMName", "StaticMemory"),
    *hardware.SECURE_BOOT,
)
"""What of a machine's configuration a checkpoint brings back."""


def checkpoint_vm(call: Call) -> Found:
    call.only("VM", "SnapshotName")
    world = call.world
    for vm in call.vms():
        if vm.config["CheckpointType"] == "Disabled":
            raise call.error("OperationFailed", "InvalidOperation", "checkpoints are disabled")
        if vm.state not in {"Off", "Running", "Saved", "Paused"}:
            raise call.invalid_state(vm)
        name = call.arguments.get("SnapshotName") or f"{vm.config['NewVMName']} - ({world.now()})"
        config = {key: vm.config[key] for key in KEPT if key in vm.config}
        # Only a standard checkpoint keeps the memory of a machine that runs.
        with_memory = vm.config["CheckpointType"] == "Standard" and vm.state != "Off"
        state = "Saved" if with_memory else "Off"
        taken = Snapshot(
            world.new_id(), name, world.now(), config, state, list(vm.disks), vm.parent_snapshot
        )
        vm.snapshots.append(taken)
        vm.parent_snapshot = taken.id
        vm.disks = [_differencing(world, path) for path in vm.disks]
    return []


def _differencing(world: World, parent: str) -> str:
    disk = world.disk_of(parent)
    assert disk is not None, parent
    base = re.sub(r"(_[0-9a-f-]{36})?\.a?vhdx?$", "", parent, flags=re.IGNORECASE)
    child = Disk(f"{base}_{world.new_id()}.avhdx", disk.size, parent=disk.path)
    world.put_disk(child)
    return child.path


def get_snapshots(call: Call) -> Found:
    call.only("VM", "Id")
    wanted = call.arguments.get("Id")
    if wanted is None:
        return [_object(vm, one) for vm in call.vms() for one in vm.snapshots]
    vm, one = _find(call, str(wanted))
    return [_object(vm, one)]


def _object(vm: Vm, one: Snapshot) -> NetObject:
    properties = {
        "Id": one.id,
        "Name": one.name,
        "CreationTime": one.created,
        "ParentSnapshotId": one.parent,
        "VMId": vm.id,
    }
    return NetObject("VMSnapshot", properties)


def _find(call: Call, wanted: str) -> tuple[Vm, Snapshot]:
    for vm in call.world.vms.values():
        for one in vm.snapshots:
            if one.id == wanted:
                return vm, one
    raise _unknown(call, wanted)


def _unknown(call: Call, wanted: str) -> CmdletError:
    words = f'Hyper-V was unable to find a checkpoint with id "{wanted}".'
    return call.error("InvalidParameter", "InvalidArgument", words)


def restore_snapshot(call: Call) -> Found:
    call.only("VMSnapshot")
    world = call.world
    vm, one = _find(call, str(call.arguments["VMSnapshot"].read("Id")))
    for path in vm.disks:
        world.remove_disk(path)
    vm.disks = [_differencing(world, path) for path in one.disks]
    vm.config |= one.config
    vm.state = one.state
    vm.parent_snapshot = one.id
    return []


def remove_snapshot(call: Call) -> Found:
    """Remove checkpoints; the host merges their files after a while, also those of a machine that runs."""
    call.only("VMSnapshot")
    world, given = call.world, call.arguments["VMSnapshot"]
    for removed in given if isinstance(given, list) else [given]:
        vm, one = _find(call, str(removed.read("Id")))
        vm.snapshots.remove(one)
        for other in vm.snapshots:
            if other.parent == one.id:
                other.parent = one.parent
        if vm.parent_snapshot == one.id:
            vm.parent_snapshot = one.parent
        due_s = time.monotonic() + world.estate.merge_ms / 1000
        world.left |= {path.lower(): due_s for path in one.disks}
    return []

# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""What each cmdlet does to the simulated host. Each is one step that others see whole or not at all."""

import time
from collections.abc import Callable, Mapping

from connectors.simulators.hyperv import checkpoints, clustering, files, hardware, images, meters, moving
from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import GIB, MIB, Adapter, Disk, Vm

MEMORY_RANGE_MIB = (32, 12 * 1024 * 1024)
MEMORY_STEP_MIB = 2
VHDX_LIMIT_BYTES = 64 * 1024 * GIB
NAME_LIMIT = 100
POLL_S = 0.01
NO_MAC = "0" * 12


def machine(vm: Vm, *, clustered: bool = False) -> NetObject:
    """A VirtualMachine as it is now."""
    config = vm.config
    properties = {
        "Id": vm.id,
        "Name": config["NewVMName"],
        "State": vm.state,
        "Generation": config["Generation"],
        "ProcessorCount": config["ProcessorCount"],
        "MemoryStartup": config["MemoryStartupBytes"],
        "MemoryAssigned": 0 if vm.state in {"Off", "Saved"} else config["MemoryStartupBytes"],
        "Notes": config["Notes"],
        "Path": vm.path,
        "ParentSnapshotId": vm.parent_snapshot,
        "HardDrives": hardware.drives(vm),
        "NetworkAdapters": [hardware.adapter(one) for one in vm.adapters],
        "IsClustered": clustered,
        "IntegrationServicesVersion": None,
    }
    return NetObject("VirtualMachine", properties)


def get_vm(call: Call) -> Found:
    call.only("Id")
    wanted = call.arguments.get("Id")
    if wanted is None:
        roles = set(call.world.roles.values())
        return [machine(vm, clustered=vm.id in roles) for vm in call.world.vms.values()]
    vm = call.world.vms.get(str(wanted).lower())
    if vm is None:
        words = f'Hyper-V was unable to find a virtual machine with id "{wanted}".'
        raise call.error("InvalidParameter", "InvalidArgument", words)
    return [machine(vm, clustered=vm.id in call.world.roles.values())]


def get_host(call: Call) -> Found:
    call.only()
    estate = call.world.estate
    properties = {
        "Name": estate.host,
        "LogicalProcessorCount": estate.logical_processors,
        "MemoryCapacity": estate.memory_mib * MIB,
        "VirtualMachinePath": estate.folder,
    }
    return [NetObject("VMHost", properties)]


def new_vm(call: Call) -> Found:
    of_new = ("NewVHDPath", "NewVHDSizeBytes")
    call.only("Name", "Path", "Generation", "MemoryStartupBytes", *of_new, "VHDPath", "SwitchName")
    world, given = call.world, call.arguments
    if not given.keys() & {"NewVHDPath", "VHDPath"} or "Path" not in given or "Name" not in given:
        what = "New-VM without -Name, -Path, and one of -NewVHDPath and -VHDPath"
        raise NotImplementedHere(what)
    _check_memory(call, given["MemoryStartupBytes"])
    _check_name(call, given["Name"])
    if given.get("SwitchName", "") not in {"", *world.estate.switches}:
        words = f'Hyper-V was unable to find a virtual switch with name "{given["SwitchName"]}".'
        raise call.error("InvalidParameter", "InvalidArgument", words)
    if "VHDPath" in given:
        disk = _existing_disk(call, given["VHDPath"], given.get("Generation", 1))
    else:
        disk = given["NewVHDPath"]
        _new_disk(call, disk, given["NewVHDSizeBytes"])
    config = {
        "NewVMName": given["Name"],
        "Generation": given.get("Generation", 1),
        "ProcessorCount": 1,
        "MemoryStartupBytes": given["MemoryStartupBytes"],
        "Notes": "",
        "CheckpointType": "Production",
        **hardware.SECURE_BOOT,
    }
    vm = Vm(world.new_id(), f"{given['Path']}\\{given['Name']}", config, disks=[disk])
    vm.adapters.append(Adapter(given.get("SwitchName", "")))
    world.vms[vm.id] = vm
    world.put_folder(vm.path)
    return [machine(vm)]


def new_vhd(call: Call) -> Found:
    call.only("Path", "SizeBytes", "Dynamic")
    path = str(call.arguments["Path"])
    if not call.world.has_folder(path.rpartition("\\")[0]):
        words = (
            f"failed to create the virtual hard disk '{path}': the system cannot find the path (0x80070003)"
        )
        raise call.error("OperationFailed", "NotSpecified", words)
    _new_disk(call, path, call.arguments["SizeBytes"])
    return []


def _existing_disk(call: Call, path: str, generation: int) -> str:
    if call.world.disk_of(path) is None:
        words = f"the virtual hard disk '{path}' was not found"
        raise call.error("VirtualHardDiskObjectNotFound", "ObjectNotFound", words)
    if call.world.in_use(path):
        raise call.error("ObjectInUse", "ResourceBusy", f"'{path}' is being used by another process")
    hardware.refuse_attached(call, path)
    if generation == 2 and not path.lower().endswith(".vhdx"):
        words = f"a machine of generation 2 has disks of the format VHDX, and '{path}' is none"
        raise call.error("OperationFailed", "NotSpecified", words)
    return path


def _new_disk(call: Call, path: str, size: int) -> None:
    if call.world.disk_of(path) is not None:
        words = f"failed to create the virtual hard disk '{path}': the file exists (0x80070050)"
        raise call.error("OperationFailed", "NotSpecified", words)
    if not 3 * MIB <= size <= VHDX_LIMIT_BYTES:
        words = f"the size {size} of the virtual hard disk is out of range"
        raise call.error("InvalidParameter", "InvalidArgument", words)
    call.world.put_disk(Disk(path, size))


def _check_memory(call: Call, size: int) -> None:
    low, high = MEMORY_RANGE_MIB
    if not low * MIB <= size <= high * MIB or size % (MEMORY_STEP_MIB * MIB):
        words = f"invalid startup memory amount {size}"
        raise call.error("InvalidParameter", "InvalidArgument", words)


def _check_name(call: Call, name: str) -> None:
    if len(name) > NAME_LIMIT:
        words = f"the name of a virtual machine may have {NAME_LIMIT} characters, not {len(name)}"
        raise call.error("InvalidParameter", "InvalidArgument", words)


def set_vm(call: Call) -> Found:
    changes = {k: v for k, v in call.arguments.items() if k != "VM"}
    for vm in call.vms():
        if vm.state != "Off" and changes.keys() & {"ProcessorCount", "MemoryStartupBytes", "StaticMemory"}:
            raise call.invalid_state(vm)
        if "MemoryStartupBytes" in changes:
            _check_memory(call, changes["MemoryStartupBytes"])
        if "NewVMName" in changes:
            _check_name(call, changes["NewVMName"])
        if not 1 <= changes.get("ProcessorCount", 1) <= call.world.estate.logical_processors:
            words = f"the number of processors {changes['ProcessorCount']} is out of range"
            raise call.error("InvalidParameter", "InvalidArgument", words)
        vm.config |= changes
    return []


def set_memory(call: Call) -> Found:
    """Set the memory of a machine; one that runs with static memory gets more at once, as its guest takes it."""
    call.only("VM", "StartupBytes")
    wanted = call.arguments["StartupBytes"]
    _check_memory(call, wanted)
    for vm in call.vms():
        more_mib = (wanted - vm.config["MemoryStartupBytes"]) // MIB
        on, static = vm.state == "Running", vm.config.get("StaticMemory", False)
        if vm.state != "Off" and not (on and static):
            raise call.invalid_state(vm)
        if on:
            if more_mib < 0:
                what = "Set-VMMemory that takes memory from a machine that runs"
                raise NotImplementedHere(what)
            _check_free(call, more_mib, "change the memory of")
        vm.config["MemoryStartupBytes"] = wanted
    return []


def _check_free(call: Call, needed_mib: int, what: str) -> None:
    if call.world.memory_used_mib() + needed_mib > call.world.estate.memory_mib:
        words = f"not enough memory in the system to {what} the virtual machine (0x8007000E)"
        raise call.error("OutOfMemory", "ResourceUnavailable", words)


def remove_vm(call: Call) -> Found:
    call.only("VM", "Force")
    for vm in list(call.vms()):
        if vm.state not in {"Off", "Saved"}:
            raise call.invalid_state(vm)
        if vm.id in call.world.moves:
            raise call.error("ObjectInUse", "ResourceBusy", "the virtual machine is being migrated")
        if vm.id in call.world.roles.values():
            words = "the virtual machine is clustered; remove it from the cluster first"
            raise call.error("OperationFailed", "NotSpecified", words)
        del call.world.vms[vm.id]  # its disks and folders stay, as they do on Windows
        _merge_all(call, vm)
    return []


def _merge_all(call: Call, vm: Vm) -> None:
    """Merge the checkpoints of a machine that is gone, with its files open meanwhile."""
    world, due_s = call.world, time.monotonic() + call.world.estate.merge_ms / 1000
    kept = {path.lower() for one in vm.snapshots for path in one.disks}
    if kept:
        world.left |= dict.fromkeys(kept, due_s)
        world.held |= dict.fromkeys({*kept, *map(str.lower, vm.disks)}, due_s)


def remove_adapter(call: Call) -> Found:
    call.only("VM")
    for vm in call.vms():
        vm.adapters = []
    return []


def start_vm(call: Call) -> Found:
    call.only("VM")
    for vm in call.vms():
        if vm.state == "Running":
            continue  # Windows warns
        if vm.state not in {"Off", "Saved"}:
            raise call.invalid_state(vm)
        if any(call.world.disk_of(path) is None for path in vm.disks):
            words = "the system cannot find the file specified (0x80070002)"
            raise call.error("OperationFailed", "NotSpecified", words)
        _check_free(call, int(vm.config["MemoryStartupBytes"]) // MIB, "start")
        vm.state = "Running"
        for one in vm.adapters:
            one.mac = call.world.new_mac() if one.mac == NO_MAC else one.mac
    return []


def resume_vm(call: Call) -> Found:
    call.only("VM")
    return _moved(call, {"Paused": "Running"}, already="Running")


def save_vm(call: Call) -> Found:
    call.only("VM")
    return _moved(call, {"Running": "Saved", "Paused": "Saved"}, already="Saved")


def remove_saved_state(call: Call) -> Found:
    call.only("VM")
    return _moved(call, {"Saved": "Off"}, already="")


def _moved(call: Call, ways: Mapping[str, str], already: str) -> Found:
    for vm in call.vms():
        if vm.state == already:
            continue
        if vm.state not in ways:
            raise call.invalid_state(vm)
        vm.state = ways[vm.state]
    return []


def stop_vm(call: Call) -> Found:
    call.only("VM", "TurnOff", "Force")
    if call.arguments.get("TurnOff"):
        return _moved(call, {"Running": "Off", "Paused": "Off"}, already="Off")
    for vm in list(call.vms()):
        if vm.state == "Off":
            continue
        if vm.state != "Running":
            raise call.invalid_state(vm)
        _shut_down(call, vm)
    return []


def _shut_down(call: Call, vm: Vm) -> None:
    """Wait, with others free to work, until the guest is off or the process is ended."""
    estate = call.world.estate
    end_s = time.monotonic() + estate.shutdown_ms / 1000
    call.world.lock.release()
    try:
        while vm.state == "Running":
            if call.cancelled.wait(POLL_S):
                return
            if estate.guests_obey and time.monotonic() >= end_s:
                break
    finally:
        call.world.lock.acquire()
    if vm.state == "Running":
        vm.state = "Off"


def get_system(call: Call) -> Found:
    call.only("ClassName", "Namespace")
    if call.arguments["ClassName"] == "Msvm_MigrationJob":
        return moving.jobs(call)
    if call.arguments["ClassName"] != "Win32_OperatingSystem":
        what = f"CIM class {call.arguments['ClassName']}"
        raise NotImplementedHere(what)
    estate = call.world.estate
    properties = {
        "Caption": estate.caption,
        "CSName": estate.host,
        "LocalDateTime": call.world.now(),
        "Version": estate.version,
    }
    return [NetObject("Win32_OperatingSystem", properties)]


OPERATIONS: Mapping[str, Callable[[Call], Found]] = {
    "Hyper-V\\Get-VM": get_vm,
    "Hyper-V\\Get-VMHost": get_host,
    "Hyper-V\\New-VM": new_vm,
    "Hyper-V\\Set-VM": set_vm,
    "Hyper-V\\Set-VMMemory": set_memory,
    "Hyper-V\\Remove-VM": remove_vm,
    "Hyper-V\\Remove-VMNetworkAdapter": remove_adapter,
    "Hyper-V\\Start-VM": start_vm,
    "Hyper-V\\Resume-VM": resume_vm,
    "Hyper-V\\Save-VM": save_vm,
    "Hyper-V\\Stop-VM": stop_vm,
    "Hyper-V\\Remove-VMSavedState": remove_saved_state,
    "Hyper-V\\Get-VMFirmware": hardware.get_firmware,
    "Hyper-V\\Set-VMFirmware": hardware.set_firmware,
    "Hyper-V\\Get-VMHardDiskDrive": hardware.get_drive,
    "Hyper-V\\Set-VMHardDiskDrive": hardware.set_drive,
    "Hyper-V\\Add-VMHardDiskDrive": hardware.add_drive,
    "Hyper-V\\Remove-VMHardDiskDrive": hardware.remove_drive,
    "Hyper-V\\New-VHD": new_vhd,
    "Hyper-V\\Convert-VHD": images.convert_vhd,
    "New-Folder": files.new_folder,
    "Read-Chunk": images.read_chunk,
    "Write-Chunk": images.write_chunk,
    "Hyper-V\\Get-VHD": files.get_vhd,
    "Hyper-V\\Resize-VHD": files.resize_vhd,
    "Microsoft.PowerShell.Management\\Get-Item": files.get_item,
    "Microsoft.PowerShell.Management\\Remove-Item": files.remove_item,
    "Microsoft.PowerShell.Management\\Rename-Item": files.rename_item,
    "Hyper-V\\Checkpoint-VM": checkpoints.checkpoint_vm,
    "Hyper-V\\Get-VMSnapshot": checkpoints.get_snapshots,
    "Hyper-V\\Restore-VMSnapshot": checkpoints.restore_snapshot,
    "Hyper-V\\Remove-VMSnapshot": checkpoints.remove_snapshot,
    "Hyper-V\\Enable-VMResourceMetering": meters.enable,
    "Hyper-V\\Measure-VM": meters.measure_vm,
    "Hyper-V\\Move-VM": clustering.move_vm,
    "Hyper-V\\Move-VMStorage": moving.move_storage,
    "Storage\\Get-Volume": moving.get_volume,
    "CimCmdlets\\Get-CimInstance": get_system,
    "FailoverClusters\\Get-Cluster": clustering.get_cluster,
    "FailoverClusters\\Get-ClusterNode": clustering.get_nodes,
    "FailoverClusters\\Get-ClusterGroup": clustering.get_groups,
    "FailoverClusters\\Add-ClusterVirtualMachineRole": clustering.add_role,
    "FailoverClusters\\Move-ClusterVirtualMachineRole": clustering.move_role,
    "FailoverClusters\\Remove-ClusterGroup": clustering.remove_group,
}

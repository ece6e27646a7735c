# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""A machine's firmware, drives and network cards. Disks are on its first SCSI controller, those of generation 1 on IDE too."""

from collections.abc import Iterator
from itertools import count, islice

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import Adapter, Vm

PLACES_ON_SCSI = 64
SECURE_BOOT = {"EnableSecureBoot": "On", "SecureBootTemplate": "MicrosoftWindows"}
"""What New-VM gives a machine of generation 2, by the names of Set-VMFirmware's parameters."""
SECURE_BOOT_TEMPLATES = frozenset(
    {"MicrosoftWindows", "MicrosoftUEFICertificateAuthority", "OpenSourceShieldedVM"}
)


def drives(vm: Vm) -> Found:
    """The machine's hard disk drives."""
    on_ide = len(vm.disks) - vm.on_scsi if vm.config["Generation"] == 1 else 0
    free_on_scsi = (n for n in count() if n not in vm.freed)
    places = [("IDE", n) for n in range(on_ide)]
    places += [("SCSI", n) for n in islice(free_on_scsi, len(vm.disks) - on_ide)]
    return [
        _drive(vm, controller, location, path)
        for (controller, location), path in zip(places, vm.disks, strict=True)
    ]


def _drive(vm: Vm, controller: str, location: int, path: str) -> NetObject:
    place = {"ControllerType": controller, "ControllerNumber": 0, "ControllerLocation": location}
    return NetObject("HardDiskDrive", {**place, "Path": path, "VMId": vm.id})


def adapter(one: Adapter) -> NetObject:
    """A network card."""
    found = {"MacAddress": one.mac, "SwitchName": one.switch or None, "IsLegacy": one.legacy}
    return NetObject("VMNetworkAdapter", found)


def get_firmware(call: Call) -> Found:
    call.only("VM")
    return [_firmware(vm) for vm in _of_generation_2(call)]


def _firmware(vm: Vm) -> NetObject:
    found = {
        "VMId": vm.id,
        "SecureBoot": vm.config["EnableSecureBoot"],
        "SecureBootTemplate": vm.config["SecureBootTemplate"],
    }
    return NetObject("VMFirmware", found)


def _of_generation_2(call: Call) -> Iterator[Vm]:
    for vm in call.vms():
        if vm.config["Generation"] != 2:
            words = "the virtual machine is of generation 1, which has a BIOS"
            raise call.error("InvalidParameter", "InvalidArgument", words)
        yield vm


def set_firmware(call: Call) -> Found:
    """Set secure boot, and which keys it has, of machines that are off."""
    call.only("VM", *SECURE_BOOT)
    changes = {name: value for name, value in call.arguments.items() if name != "VM"}
    wanted = changes.get("SecureBootTemplate")
    if wanted is not None and wanted not in SECURE_BOOT_TEMPLATES:
        words = f'Hyper-V was unable to find a secure boot template with name "{wanted}".'
        raise call.error("InvalidParameter", "InvalidArgument", words)
    for vm in _of_generation_2(call):
        if vm.state != "Off":
            raise call.invalid_state(vm)
        vm.config |= changes
    return []


def get_drive(call: Call) -> Found:
    call.only("VM", "ControllerType", "ControllerNumber", "ControllerLocation")
    places = {name: value for name, value in call.arguments.items() if name != "VM"}
    return [
        one
        for vm in call.vms()
        for one in drives(vm)
        if all(one.read(name) == value for name, value in places.items())
    ]


def set_drive(call: Call) -> Found:
    """Let a drive of a machine that is off have another file."""
    call.only("VMHardDiskDrive", "Path")
    drive, path = call.arguments["VMHardDiskDrive"], str(call.arguments["Path"])
    vm = call.world.vms.get(drive.read("VMId"))
    if vm is None:
        raise call.error("ObjectNotFound", "ObjectNotFound", "the virtual machine was not found")
    if vm.state != "Off" or vm.parent_snapshot is not None:
        raise call.invalid_state(vm)
    if call.world.disk_of(path) is None:
        words = f"the virtual hard disk '{path}' was not found"
        raise call.error("VirtualHardDiskObjectNotFound", "ObjectNotFound", words)
    vm.disks[vm.disks.index(drive.read("Path"))] = path
    return []


def add_drive(call: Call) -> Found:
    """Plug a disk's file into the SCSI controller, at the first place that is free; also while the machine runs."""
    call.only("VM", "ControllerType", "ControllerNumber", "Path")
    path = str(call.arguments.get("Path", ""))
    if (call.arguments.get("ControllerType"), call.arguments.get("ControllerNumber")) != (
        "SCSI",
        0,
    ) or not path:
        what = "Add-VMHardDiskDrive of another kind than a file to SCSI controller 0"
        raise NotImplementedHere(what)
    for vm in call.vms():
        if vm.state not in {"Off", "Running"}:
            raise call.invalid_state(vm)
        if call.world.disk_of(path) is None:
            words = f"the virtual hard disk '{path}' was not found"
            raise call.error("VirtualHardDiskObjectNotFound", "ObjectNotFound", words)
        refuse_attached(call, path)
        _plug(call, vm, path)
    return []


def refuse_attached(call: Call, path: str) -> None:
    """Raise CmdletError for a disk that a machine has."""
    if any(path.lower() == other.lower() for one in call.world.vms.values() for other in one.disks):
        raise call.error("ObjectInUse", "ResourceBusy", f"the attachment '{path}' is in use")


def _plug(call: Call, vm: Vm, path: str) -> None:
    before = sum(one.read("ControllerType") == "SCSI" for one in drives(vm))
    if before == PLACES_ON_SCSI:
        raise call.error("OperationFailed", "NotSpecified", "the controller has no location free")
    place = min(vm.freed, default=before)
    vm.freed.discard(place)
    vm.disks.insert(len(vm.disks) - before + place, path)
    vm.on_scsi += vm.config["Generation"] == 1


def remove_drive(call: Call) -> Found:
    """Take a disk out of its machine, from SCSI also while that runs; its file, and the places of others, stay."""
    call.only("VMHardDiskDrive")
    drive = call.arguments["VMHardDiskDrive"]
    vm = call.world.vms.get(drive.read("VMId"))
    if vm is None or drive.read("Path") not in vm.disks:
        raise call.error("ObjectNotFound", "ObjectNotFound", "the hard disk drive was not found")
    if vm.snapshots:
        what = "Remove-VMHardDiskDrive of a machine with checkpoints"
        raise NotImplementedHere(what)
    on_scsi = drive.read("ControllerType") == "SCSI"
    if vm.state not in ({"Off", "Running"} if on_scsi else {"Off"}):
        raise call.invalid_state(vm)
    if not on_scsi:
        what = "Remove-VMHardDiskDrive from IDE"
        raise NotImplementedHere(what)
    vm.disks.remove(drive.read("Path"))
    vm.on_scsi -= vm.config["Generation"] == 1
    vm.freed.add(drive.read("ControllerLocation"))
    return []

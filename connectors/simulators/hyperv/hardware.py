# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""A machine's firmware, drives and network cards. All disks are on its first controller."""

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject
from connectors.simulators.hyperv.estate import Adapter, Vm


def drives(vm: Vm) -> Found:
    """The machine's hard disk drives."""
    controller = "SCSI" if vm.config["Generation"] == 2 else "IDE"
    places = {"ControllerType": controller, "ControllerNumber": 0}
    return [
        NetObject("HardDiskDrive", {**places, "ControllerLocation": location, "Path": path, "VMId": vm.id})
        for location, path in enumerate(vm.disks)
    ]


def adapter(one: Adapter) -> NetObject:
    """A network card."""
    found = {"MacAddress": one.mac, "SwitchName": one.switch or None, "IsLegacy": one.legacy}
    return NetObject("VMNetworkAdapter", found)


def get_firmware(call: Call) -> Found:
    call.only("VM")
    found = []
    for vm in call.vms():
        if vm.config["Generation"] != 2:
            words = "the virtual machine is of generation 1, which has a BIOS"
            raise call.error("InvalidParameter", "InvalidArgument", words)
        # What New-VM gives a machine of generation 2, and nothing here changes.
        found.append(NetObject("VMFirmware", {"VMId": vm.id, "SecureBoot": "On"}))
    return found


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
    vm.disks[drive.read("ControllerLocation")] = path
    return []

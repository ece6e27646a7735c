"""What a machine is made of, in the contract's words."""

from collections.abc import Iterable
from typing import Any

from connectors.contract import Disk, NetworkCard, VmDetails
from connectors.drivers.vsphere.estate import Machine, disks, extra_config
from connectors.drivers.vsphere.inventory import shown_name
from connectors.drivers.vsphere.session import Op, read_object, read_objects

PATHS = (
    "config.firmware",
    "config.bootOptions",
    "guest.toolsRunningStatus",
    "guest.toolsVersion",
    "network",
)

BUSES = {
    "ParaVirtualSCSIController": "pvscsi",
    "VirtualLsiLogicController": "lsilogic",
    "VirtualLsiLogicSASController": "lsisas1068",
    "VirtualBusLogicController": "buslogic",
    "VirtualIDEController": "ide",
    "VirtualAHCIController": "ahci",
    "VirtualNVMEController": "nvme",
}
"""Controllers as a machine's configuration file names them; the class's own name for others."""

CARDS = {
    "VirtualVmxnet3": "vmxnet3",
    "VirtualVmxnet3Vrdma": "vmxnet3vrdma",
    "VirtualVmxnet2": "vmxnet2",
    "VirtualE1000": "e1000",
    "VirtualE1000e": "e1000e",
    "VirtualPCNet32": "vlance",
    "VirtualSriovEthernetCard": "sriov",
}

LABEL_KEY = "tierwise.disk."
"""What a free setting begins with that names a disk that was added; its value is the disk's place."""

FIRMWARE = {"bios": "bios", "efi": "uefi"}
"""vSphere's words for what a machine starts by, and the contract's."""


def of(op: Op, machine: Machine) -> VmDetails:
    """Read what the inventory leaves out."""
    row = read_object(op.session, machine.object, PATHS)
    boot = row.get("config.bootOptions")
    firmware = row.get("config.firmware", "bios")
    return VmDetails(
        firmware=FIRMWARE.get(firmware, firmware),
        secure_boot=bool(getattr(boot, "efiSecureBootEnabled", None)),
        disks=tuple(_disk(machine, disk) for disk in in_guest_order(op, machine, boot)),
        cards=tuple(_cards(op, machine, row.get("network", ()))),
        guest_tools=_tools(row),
    )


def controller_of(machine: Machine, device: Any) -> Any:
    """The controller that a device hangs on; None where the machine does not list it."""
    devices = machine.row.get("config.hardware.device", ())
    return next((one for one in devices if one.key == device.controllerKey), None)


def kind_name(device: Any) -> str:
    """The vendor's name of a device's class: ``VirtualVmxnet3``; empty for no device."""
    return "" if device is None else type(device).__name__.rpartition(".")[2]


def in_guest_order(op: Op, machine: Machine, boot: Any = None) -> list[Any]:
    """The disks in the order of the machine's boot order, then of controllers and units.

    Without a boot order the firmware tries the controllers as they are numbered; vCenter lists devices in
    the order in which they were last changed.
    """
    kind = op.session.vim.vm.BootOptions.BootableDiskDevice
    order = getattr(boot, "bootOrder", None) or ()
    first = [one.deviceKey for one in order if isinstance(one, kind)]
    places = {key: place for place, key in enumerate(first)}
    return sorted(
        disks(op, machine.row),
        key=lambda d: (places.get(d.key, len(first)), d.controllerKey or 0, d.unitNumber or 0, d.key),
    )


def _disk(machine: Machine, disk: Any) -> Disk:
    controller = kind_name(controller_of(machine, disk))
    return Disk(
        key=str(disk.key),
        size_bytes=size_bytes(disk),
        bus=BUSES.get(controller, controller),
        name=label(machine, disk),
    )


def place(controller_key: int, unit: int) -> str:
    """Where a disk is plugged in, which stays while its file changes."""
    return f"{controller_key}:{unit}"


def label(machine: Machine, disk: Any) -> str:
    """What a disk was called when it was added; empty for others."""
    at = place(disk.controllerKey or 0, disk.unitNumber or 0)
    named = (key for key, value in extra_config(machine.row).items() if value == at)
    return next((key.removeprefix(LABEL_KEY) for key in named if key.startswith(LABEL_KEY)), "")


def size_bytes(disk: Any) -> int:
    """The size that a guest sees; older hosts tell it in KiB only."""
    size: int = disk.capacityInBytes or disk.capacityInKB * 1024
    return size


def _cards(op: Op, machine: Machine, networks: Iterable[Any]) -> Iterable[NetworkCard]:
    kind = op.session.vim.vm.device.VirtualEthernetCard
    devices = machine.row.get("config.hardware.device", ())
    cards = sorted((d for d in devices if isinstance(d, kind)), key=lambda d: d.key)
    groups = _port_groups(op, networks) if cards else {}
    for card in cards:
        model = kind_name(card)
        yield NetworkCard(
            mac=(card.macAddress or "").lower(),
            model=CARDS.get(model, model),
            network=_network(card.backing, groups),
        )


def _port_groups(op: Op, networks: Iterable[Any]) -> dict[str, str]:
    """Distributed port groups and opaque networks by the key that cards name them by."""
    vim = op.session.vim
    found: dict[str, str] = {}
    for kind, path in (
        (vim.dvs.DistributedVirtualPortgroup, "key"),
        (vim.OpaqueNetwork, "summary"),
    ):
        alike = [network for network in networks if isinstance(network, kind)]
        for _, row in read_objects(op.session, kind, alike, ["name", path]):
            key: Any = row.get(path, "")
            found[getattr(key, "opaqueNetworkId", key)] = shown_name(row["name"])
    return found


def _network(backing: Any, groups: dict[str, str]) -> str:
    port = getattr(backing, "port", None)
    if port is not None:
        return groups.get(port.portgroupKey) or str(port.portgroupKey or "")
    opaque = getattr(backing, "opaqueNetworkId", None)
    if opaque is not None:
        return groups.get(opaque) or str(opaque)
    return str(getattr(backing, "deviceName", None) or "")


def _tools(row: Any) -> str:
    """VMware Tools while they run; they are known only then."""
    if row.get("guest.toolsRunningStatus") != "guestToolsRunning":
        return ""
    version = row.get("guest.toolsVersion", "")
    return f"VMware Tools {version}".strip()

"""What a machine is made of: firmware, disks and network cards."""

from typing import Any, NamedTuple

from connectors.contract import Disk, NetworkCard, VmDetails
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import Command, Row
from connectors.drivers.hyperv.machines import GENERATION_WITH_UEFI, Machine
from connectors.drivers.hyperv.session import Op
from connectors.errors import NotFound

NO_MAC = "000000000000"
"""What Hyper-V tells of a card whose address it will choose when the machine starts."""

_DRIVE = ("ControllerType", "ControllerNumber", "ControllerLocation", "Path")
_CARD = ("MacAddress", "SwitchName", "IsLegacy")
_FIRMWARE = ("SecureBoot", "SecureBootTemplate")
_SELECT = (
    "IntegrationServicesVersion",
    *(f"HardDrives.{name}" for name in _DRIVE),
    *(f"NetworkAdapters.{name}" for name in _CARD),
)


class Drive(NamedTuple):
    """Where a disk is plugged in, which stays while its file changes, and its file."""

    controller: str
    number: int
    location: int
    path: str
    size_bytes: int = 0
    differencing: bool = False

    @property
    def key(self) -> str:
        """Its name to tierwise: ``SCSI 0:1``."""
        return f"{self.controller} {self.number}:{self.location}"

    def shown(self) -> Disk:
        """The disk as a connector reports it."""
        return Disk(
            key=self.key,
            size_bytes=self.size_bytes,
            bus=self.controller,
            name=marks.disk_label(self.path),
        )


def details(op: Op, machine: Machine) -> VmDetails:
    """Firmware, disks in the order of their controllers, and cards."""
    vm, firmware, files = op.run(
        Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=_SELECT),
        # A machine of generation 1 has a BIOS, and the cmdlet refuses it.
        Command("Hyper-V\\Get-VMFirmware", refs={"VM": "0"}, select=_FIRMWARE, optional=True),
        _files("0.Id"),
    )
    keys = [row["SecureBootTemplate"] or "" for row in firmware if row["SecureBoot"] == "On"]
    return VmDetails(
        firmware="uefi" if machine.generation == GENERATION_WITH_UEFI else "bios",
        secure_boot=bool(keys),
        secure_boot_keys=next(iter(keys), ""),
        disks=tuple(one.shown() for one in _drives(vm[0], files)),
        cards=tuple(_card(*values) for values in _columns(vm[0], "NetworkAdapters", _CARD)),
        guest_tools=_tools(vm[0]["IntegrationServicesVersion"]),
    )


def all_drives(op: Op, machine: Machine) -> list[Drive]:
    """The machine's drives in the order of their controllers."""
    vm, files = op.run(Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=_SELECT), _files("0.Id"))
    return _drives(vm[0], files)


def need_drive(op: Op, machine: Machine, key: str) -> Drive:
    """The drive of this key. Raises NotFound."""
    found = all_drives(op, machine)
    for one in found:
        if one.key == key:
            return one
    there = ", ".join(f"'{one.key}'" for one in found) or "none"
    raise op.error(NotFound, f"the machine has no disk '{key}'; there are: {there}")


def _files(vm_id: str) -> Command:
    return Command(
        "Hyper-V\\Get-VHD", refs={"VMId": vm_id}, select=("Path", "Size", "VhdType"), optional=True
    )


def _drives(vm: Row, files: list[Row]) -> list[Drive]:
    known = {row["Path"].lower(): row for row in files}
    found = []
    for controller, number, location, path in _columns(vm, "HardDrives", _DRIVE):
        file = known.get(str(path).lower(), {"Size": 0, "VhdType": ""})
        differencing = file["VhdType"] == "Differencing"
        found.append(
            Drive(controller, int(number), int(location), path or "", int(file["Size"]), differencing)
        )
    return sorted(found)


def _columns(vm: Row, name: str, properties: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The dispatcher answers with one list for each property; they are one object each, in the same order."""
    lists = [vm[f"{name}.{one}"] for one in properties]
    return [values for values in zip(*lists, strict=True) if any(one is not None for one in values)]


def _card(mac: str | None, switch: str | None, legacy: bool | None) -> NetworkCard:
    known = "" if mac in {None, "", NO_MAC} else str(mac).lower()
    pairs = [known[at : at + 2] for at in range(0, len(known), 2)]
    model = "legacy" if legacy else "synthetic"
    return NetworkCard(mac=":".join(pairs), model=model, network=switch or "")


def _tools(version: str | None) -> str:
    return f"integration services {version}" if version and version != "0.0" else ""

"""What a machine is made of, as its definition says it, and the volumes that its disks are."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connectors.contract import Disk, NetworkCard, VmDetails
from connectors.drivers.libvirt import documents, faults

AGENT_CHANNEL = "org.qemu.guest_agent.0"
_LAST = 1 << 30
_MISSING = frozenset({faults.NO_STORAGE_VOL, faults.NO_STORAGE_POOL})


@dataclass(frozen=True)
class Attached:
    """A disk as a definition has it. `pool` and `volume` are set where it names a volume, else `path`.

    `form` is what QEMU reads it as. A storage pool may say otherwise of a raw disk: it looks at the first
    bytes, which the guest writes.
    """

    key: str
    bus: str
    path: str
    form: str = "raw"
    pool: str | None = None
    volume: str | None = None


def details(vendor: Any, connection: Any, domain: Any) -> VmDetails:
    """Firmware, disks and cards of a machine. Raises libvirtError."""
    root = documents.parse(domain.XMLDesc(0))
    return VmDetails(
        firmware="uefi" if _is_uefi(root) else "bios",
        secure_boot=_is_secure(root),
        disks=tuple(disks(vendor, connection, domain, root)),
        cards=tuple(_card(element) for element in root.findall("devices/interface")),
        guest_tools=_guest_tools(root, running=bool(domain.isActive())),
    )


def disks(vendor: Any, connection: Any, domain: Any, root: ET.Element) -> list[Disk]:
    """The disks of one of a machine's definitions as the contract tells them. Raises libvirtError."""
    identity = UUID(domain.UUIDString())
    return [
        Disk(
            key=disk.key,
            size_bytes=_size(vendor, connection, domain, disk),
            bus=disk.bus,
            name=documents.further_label(identity, disk.path),
        )
        for disk in attached(root)
    ]


def attached(root: ET.Element) -> list[Attached]:
    """The disks of a definition, the one that boots first, without CD-ROM and floppy drives and seed disks."""
    found = [
        (int(boot.get("order", _LAST)) if (boot := element.find("boot")) is not None else _LAST, element)
        for element in root.findall("devices/disk")
        if element.get("device", "disk") in {"disk", "lun"} and element.find("target") is not None
    ]
    in_order = (_attached(element) for _, element in sorted(found, key=lambda entry: entry[0]))
    return [disk for disk in in_order if not disk.path.endswith(documents.SEED_SUFFIX)]


def paths(domain: Any) -> set[str]:
    """The files that a machine runs with, and those it would start with. Raises libvirtError."""
    inactive = 1 << 1  # VIR_DOMAIN_XML_INACTIVE
    roots = (documents.parse(domain.XMLDesc(flags)) for flags in (0, inactive))
    return {path for root in roots for path in documents.files(root)}


def volume_of(vendor: Any, connection: Any, disk: Attached) -> Any:
    """The volume that a disk is; None where it is in no storage pool. Raises libvirtError."""
    try:
        if disk.pool is not None:
            return connection.storagePoolLookupByName(disk.pool).storageVolLookupByName(disk.volume)
        return connection.storageVolLookupByPath(disk.path) if disk.path else None
    except vendor.libvirtError as error:
        if error.get_error_code() not in _MISSING:
            raise
        return None


def _attached(element: ET.Element) -> Attached:
    source, target, driver = (element.find(tag) for tag in ("source", "target", "driver"))
    given = {} if source is None else source.attrib
    where = {} if target is None else target.attrib
    return Attached(
        form="raw" if driver is None else driver.get("type", "raw"),
        key=where.get("dev", ""),
        bus=where.get("bus", ""),
        path=given.get("file") or given.get("dev") or "",
        pool=given.get("pool"),
        volume=given.get("volume"),
    )


def _size(vendor: Any, connection: Any, domain: Any, disk: Attached) -> int:
    """By its volume, for libvirt's test driver makes another answer up; else by what the daemon sees itself."""
    volume = volume_of(vendor, connection, disk)
    return int(domain.blockInfo(disk.key)[0] if volume is None else volume.info()[1])


def _is_uefi(root: ET.Element) -> bool:
    system = root.find("os")
    loader = root.find("os/loader")
    automatic = system is not None and system.get("firmware") == "efi"
    return automatic or (loader is not None and loader.get("type") == "pflash")


def _is_secure(root: ET.Element) -> bool:
    """Whether only signed systems boot: libvirt's switch for it, else that its variables are protected."""
    switch = root.find("os/firmware/feature[@name='secure-boot']")
    if switch is not None:
        return switch.get("enabled") == "yes"
    loader = root.find("os/loader")
    return loader is not None and loader.get("secure") == "yes"


def _card(element: ET.Element) -> NetworkCard:
    mac, model, source = (element.find(tag) for tag in ("mac", "model", "source"))
    given = {} if source is None else source.attrib
    network = next((given[name] for name in ("network", "bridge", "dev", "name") if name in given), "")
    return NetworkCard(
        mac="" if mac is None else mac.get("address", "").lower(),
        model="" if model is None else model.get("type", ""),
        network=network,
    )


def _guest_tools(root: ET.Element, *, running: bool) -> str:
    """The guest agent: while a machine is off, its channel is all there is to go by."""
    for target in root.findall("devices/channel/target"):
        if target.get("name") == AGENT_CHANNEL and (not running or target.get("state") == "connected"):
            return "qemu-guest-agent"
    return ""

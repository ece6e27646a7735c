"""What is peculiar to machines of Xen, of which libvirt's driver is libxl's."""

from typing import Any

from catalog.capabilities import Capability, Gap
from connectors.contract import Firmware
from connectors.drivers.libvirt import documents, gaps
from connectors.drivers.libvirt.settings import Options

CONTROL_DOMAIN = 0
"""The id of the domain that leads the host: Xen lists it among its machines."""

_PREFERRED = ("hvm", "xen")


def os_type(connection: Any, options: Options) -> tuple[str, dict[Capability, Gap]]:
    """What new machines are, and what that takes away. Raises libvirtError."""
    found = documents.parse(connection.getCapabilities()).findall("guest/os_type")
    offered = {element.text or "" for element in found}
    if options.os_type == "auto":
        chosen = next((kind for kind in _PREFERRED if kind in offered), _PREFERRED[-1])
    else:
        chosen = options.os_type
    lacking = {} if chosen in offered else gaps.not_offered(chosen, offered)
    return chosen, lacking | (dict(gaps.EMULATED_CARDS) if chosen == "hvm" else {})


def control_domain_mib(connection: Any) -> int:
    """The memory that the control domain has, which machines cannot have. Raises libvirtError."""
    kib: int = connection.lookupByID(CONTROL_DOMAIN).info()[2]
    return -(-kib // documents.KIB)


def no_firmware(os_type: str, firmware: Firmware) -> str | None:
    """Why a machine of Xen does not start by it; None where it does, and of all other machines."""
    if os_type == "hvm" and firmware is Firmware.UEFI:
        return "the driver makes machines of Xen that start by bios, not by uefi"
    return (
        f"machines of Xen of type '{os_type}' start by no firmware" if os_type not in {"", "hvm"} else None
    )


def is_ending(domain: Any) -> bool:
    """Whether Xen still takes a machine down that libvirt calls off already. Raises libvirtError."""
    return bool(domain.connect().getType() == "Xen" and domain.isActive())

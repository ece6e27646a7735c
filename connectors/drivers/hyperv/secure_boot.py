"""Secure boot of machines of generation 2: which guests they start.

Hyper-V has templates of keys. What it gives a new machine by itself starts Windows only.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from connectors.contract import VmSpec
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.settings import Options, SecureBoot

KEYS: Mapping[SecureBoot, str] = MappingProxyType(
    {
        SecureBoot.WINDOWS: "MicrosoftWindows",
        SecureBoot.LINUX: "MicrosoftUEFICertificateAuthority",
    }
)
"""Hyper-V's own names of the keys, which it calls secure boot templates."""

_MEANS = {
    SecureBoot.WINDOWS: f"on with the keys {KEYS[SecureBoot.WINDOWS]}, by which Linux does not start",
    SecureBoot.LINUX: f"on with the keys {KEYS[SecureBoot.LINUX]}, by which Linux starts if it is signed, and Windows does not",
    SecureBoot.OFF: "off, so all that starts by UEFI does",
}


class Choice(NamedTuple):
    """What a machine gets, and the option that says so."""

    secure_boot: SecureBoot
    option: str


def chosen(options: Options, spec: VmSpec) -> Choice:
    """What a machine of generation 2 gets: as its template's, also where that guest moves here from elsewhere."""
    for name in spec.templates:
        if name in options.template_secure_boot:
            return Choice(options.template_secure_boot[name], f"template_secure_boot.{name}")
    return Choice(options.secure_boot, "secure_boot")


def set_for(options: Options, spec: VmSpec) -> Command:
    """What sets it for the machine, which is off, that the first command of a run gave."""
    wanted = chosen(options, spec).secure_boot
    params: dict[str, Scalar] = {"EnableSecureBoot": "Off"}
    if wanted in KEYS:
        params = {"EnableSecureBoot": "On", "SecureBootTemplate": KEYS[wanted]}
    return Command("Hyper-V\\Set-VMFirmware", params, {"VM": "0"})


def words(options: Options, spec: VmSpec) -> str:
    """What a machine of generation 2 gets, and by which option, for people."""
    wanted, option = chosen(options, spec)
    return f"{_MEANS[wanted]}; choose by the endpoint's option '{option}'"

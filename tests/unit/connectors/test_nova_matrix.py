"""Our capability table beside OpenStack Nova's published one: each difference has a written reason."""

import configparser
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from catalog.capabilities import Capability
from connectors.registry import driver_class

ROOT = Path(__file__).parents[3]
MATRIX = ROOT.parent / "shared" / "data" / "nova" / "nova-support-matrix-2020.ini"
PAGE = ROOT / "docs" / "reference" / "capabilities-nova.md"

DRIVERS = {"vsphere": "vmware", "hyperv": "hyperv", "xen": "xenserver", "libvirt": "libvirt-kvm-x86"}

FEATURES: Mapping[Capability, tuple[str, ...]] = {
    Capability.CREATE: ("operation.launch",),
    Capability.DELETE: ("operation.terminate",),
    Capability.POWER_OFF: ("operation.reboot",),
    Capability.SUSPEND: ("operation.suspend",),
    Capability.RESIZE_COLD: ("operation.resize",),
    Capability.SNAPSHOT: ("operation.snapshot",),
    Capability.TEMPLATE: ("storage.image",),
    Capability.LIVE_MIGRATE: ("operation.live-migrate",),
    Capability.DISK_HOTPLUG: ("operation.attach-volume",),
    Capability.REMOVE_DISK_HOT: ("operation.detach-volume",),
    Capability.CONSOLE: ("console.vnc", "console.rdp", "console.spice", "console.serial.interactive"),
}
"""What both tables speak of; any of Nova's features is enough."""


def differences() -> dict[tuple[str, str], tuple[str, str]]:
    """(capability, driver) -> (ours, Nova's), where one can do what the other cannot."""
    matrix = configparser.ConfigParser()
    matrix.read(MATRIX, encoding="utf-8")
    found = {}
    for capability, features in FEATURES.items():
        for driver, theirs in DRIVERS.items():
            said = {matrix[feature][f"driver.{theirs}"] for feature in features}
            nova = "yes" if said & {"complete", "partial"} else "no"
            gap = driver_class(driver).declared().gap(capability)
            ours = "yes" if gap is None else gap.reason.value.replace("_", " ")
            if (ours == "yes") != (nova == "yes"):
                found[capability.value, driver] = ours, nova
    return found


def written() -> dict[tuple[str, str], tuple[str, str]]:
    """The rows of the page's table that have a reason."""
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w ]+) \| (\w+) \| (.{20,}) \|$", re.MULTILINE)
    return {
        (capability, driver): (ours, nova)
        for capability, driver, ours, nova, _ in row.findall(PAGE.read_text(encoding="utf-8"))
    }


def test_each_difference_to_novas_table_has_its_reason_on_the_page_and_no_other_stands_there() -> None:
    if not MATRIX.is_file():
        pytest.skip("Nova's matrix is not here (../shared/data/nova)")
    assert written() == differences()

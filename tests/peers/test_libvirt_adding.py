"""Disks that are added to machines of a real libvirt daemon, read back by virsh and qemu-img."""

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, NewDisk, PowerAction
from connectors.errors import Conflict
from connectors.simulators import libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
DATA = NewDisk(name="data", size_gib=2)
GIB = 2**30


def file_of(daemon: libvirtd.PrivateLibvirtd, identity: UUID, name: str = "data") -> Path:
    return daemon.images / f"{identity}.disk.{name}.qcow2"


def disks(daemon: libvirtd.PrivateLibvirtd, identity: UUID, *how: str) -> dict[str, tuple[str, str]]:
    """Target device -> bus and serial number, as virsh shows them."""
    root = ET.fromstring(daemon.virsh("dumpxml", str(identity), *how))
    return {
        target.get("dev", ""): (target.get("bus", ""), disk.findtext("serial") or "")
        for disk in root.findall("devices/disk")
        if (target := disk.find("target")) is not None
    }


@pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
def test_an_added_disk_is_on_scsi_with_its_name_as_serial_number_now_and_after_the_next_start(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, *, on: bool
) -> None:
    if on:
        connector.power(machine, PowerAction.ON)
    connector.add_disk(machine, DATA)
    wanted = {"vda": ("virtio", ""), "sdb": ("scsi", "data")}
    assert disks(daemon, machine) == disks(daemon, machine, "--inactive") == wanted
    command = ["qemu-img", "info", "-U", "--output=json", str(file_of(daemon, machine))]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (found["format"], found["virtual-size"]) == ("qcow2", 2 * GIB)
    if on:
        connector.grow_disk(machine, "sdb", 3)
        seen = daemon.virsh("domblkinfo", str(machine), "sdb")
        assert seen.split("Capacity:")[1].split()[0] == str(3 * GIB), "QEMU itself says so"
    connector.delete_vm(machine)
    assert not file_of(daemon, machine).exists()


def test_a_disk_that_only_the_running_machine_has_is_written_for_its_next_start_too(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.power(machine, PowerAction.ON)
    connector.add_disk(machine, DATA)
    daemon.virsh("detach-disk", str(machine), "sdb", "--config")
    assert "sdb" not in disks(daemon, machine, "--inactive")
    connector.add_disk(machine, DATA)
    assert disks(daemon, machine) == disks(daemon, machine, "--inactive")


def test_a_machine_without_the_controller_gets_it_while_it_is_off_and_not_while_it_runs(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    root = ET.fromstring(daemon.virsh("dumpxml", str(machine), "--inactive"))
    devices = root.find("devices")
    assert devices is not None
    devices.remove(next(c for c in devices.findall("controller") if c.get("type") == "scsi"))
    older = daemon.folder / "older.xml"
    older.write_text(ET.tostring(root, encoding="unicode"))
    daemon.virsh("define", str(older))
    connector.power(machine, PowerAction.ON)
    with pytest.raises(Conflict, match="power it off"):
        connector.add_disk(machine, DATA)
    assert not file_of(daemon, machine).exists()
    connector.power(machine, PowerAction.OFF)
    connector.add_disk(machine, DATA)
    connector.power(machine, PowerAction.ON)
    assert connector.add_disk(machine, NewDisk(name="more", size_gib=1)).resources.disk_gib == 4


def test_a_file_that_somebody_detached_comes_back_as_it_is_or_is_a_conflict_and_is_never_deleted(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.add_disk(machine, DATA)
    daemon.virsh("detach-disk", str(machine), "sdb", "--config")
    before = file_of(daemon, machine).stat().st_ino
    with pytest.raises(Conflict, match="another size"):
        connector.add_disk(machine, DATA.model_copy(update={"size_gib": 5}))
    connector.add_disk(machine, DATA)
    assert file_of(daemon, machine).stat().st_ino == before


def test_a_fifteenth_disk_has_no_place_and_is_a_conflict(connector: Connector, machine: UUID) -> None:
    for number in range(14):
        connector.add_disk(machine, NewDisk(name=f"d{number}", size_gib=1))
    with pytest.raises(Conflict, match="14"):
        connector.add_disk(machine, DATA)
    assert len(connector.details(machine).disks) == 15
    connector.power(machine, PowerAction.ON)

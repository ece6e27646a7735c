"""Disks that are taken out of machines of a real libvirt daemon, read back by virsh and from its folder."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, Disk, NewDisk, PowerAction
from connectors.errors import Conflict, Refused
from connectors.simulators import libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
DATA = NewDisk(name="data", size_gib=2)
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def given(connector: Connector, machine: UUID, *, on: bool) -> Disk:
    """The disk that the machine is given."""
    if on:
        connector.power(machine, PowerAction.ON)
    connector.add_disk(machine, DATA)
    return connector.details(machine).disks[1]


def file_of(daemon: libvirtd.PrivateLibvirtd, identity: UUID, name: str = "data") -> Path:
    return daemon.images / f"{identity}.disk.{name}.qcow2"


def targets(daemon: libvirtd.PrivateLibvirtd, identity: UUID, *how: str) -> list[str]:
    root = ET.fromstring(daemon.virsh("dumpxml", str(identity), *how))
    return [target.get("dev", "") for target in root.findall("devices/disk/target")]


@STATES
def test_a_removed_disk_leaves_both_definitions_qemu_and_the_folder(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, *, on: bool
) -> None:
    disk = given(connector, machine, on=on)
    connector.add_disk(machine, NewDisk(name="logs", size_gib=1))
    assert connector.remove_disk(machine, disk).resources.disk_gib == 2
    assert targets(daemon, machine) == targets(daemon, machine, "--inactive") == ["vda", "sdc"]
    assert not file_of(daemon, machine).exists()
    assert file_of(daemon, machine, "logs").exists()
    if on:
        seen = daemon.virsh("qemu-monitor-command", str(machine), "--hmp", "info block")
        assert file_of(daemon, machine, "logs").name in seen
        assert file_of(daemon, machine).name not in seen


def test_the_counters_of_the_disks_that_stay_go_on(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    def read_bytes() -> dict[str, int]:
        found = connector.usage(datetime.now(UTC) - timedelta(minutes=1))
        return {one.part: one.value for one in found if one.metric == "disk_read_bytes"}

    disk = given(connector, machine, on=True)
    before = read_bytes()
    said = daemon.virsh("domblkstat", str(machine), "sdb").split()
    assert before["sdb"] == int(said[said.index("rd_bytes") + 1])
    connector.remove_disk(machine, disk)
    after = read_bytes()
    assert after.keys() == before.keys() - {"sdb"}
    assert after["vda"] >= before["vda"]


@pytest.mark.parametrize("left", ["live", "config", "file"])
def test_a_removal_that_was_cut_off_is_gone_on_with(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, left: str
) -> None:
    disk = given(connector, machine, on=True)
    if left in {"config", "file"}:
        daemon.virsh("detach-disk", str(machine), "sdb", "--live")
    if left in {"live", "file"}:
        daemon.virsh("detach-disk", str(machine), "sdb", "--config")
    for _ in ("it goes", "it is gone"):
        assert connector.remove_disk(machine, disk).resources.disk_gib == 1
    assert targets(daemon, machine) == targets(daemon, machine, "--inactive") == ["vda"]
    assert not file_of(daemon, machine).exists()


def test_a_file_of_another_size_that_no_machine_has_stays(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    disk = given(connector, machine, on=False)
    daemon.virsh("detach-disk", str(machine), "sdb", "--config")
    connector.remove_disk(machine, disk.model_copy(update={"size_bytes": 1 << 30}))
    assert file_of(daemon, machine).exists()


def test_a_disk_that_somebody_else_gave_the_machine_stays(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    foreign = daemon.images / "foreign.qcow2"
    daemon.virsh("vol-create-as", "default", foreign.name, "1G", "--format", "qcow2")
    daemon.virsh("attach-disk", str(machine), str(foreign), "sdb", "--subdriver", "qcow2", "--config")
    before = connector.details(machine).disks
    with pytest.raises(Conflict, match="not added by tierwise"):
        connector.remove_disk(machine, before[1])
    assert connector.details(machine).disks == before
    assert foreign.exists()
    daemon.virsh("detach-disk", str(machine), "sdb", "--config")
    foreign.unlink()


def test_a_disk_whose_file_could_not_be_removed_stays_in_its_machine(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, tmp_path: Path
) -> None:
    disk = given(connector, machine, on=False)
    moved = tmp_path / file_of(daemon, machine).name
    text = daemon.virsh("dumpxml", str(machine)).replace(str(file_of(daemon, machine)), str(moved))
    elsewhere = tmp_path / "elsewhere.xml"
    elsewhere.write_text(text)
    file_of(daemon, machine).rename(moved)
    daemon.virsh("define", str(elsewhere))
    seen = next(one for one in connector.details(machine).disks if one.name == disk.name)
    with pytest.raises(Refused, match="in no storage pool"):
        connector.remove_disk(machine, seen)
    assert moved.exists()
    assert targets(daemon, machine) == ["vda", "sdb"]

"""Snapshots inside the disks of QEMU machines that are deleted: what is on the disk after going back, by QEMU's own tools."""

import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from connectors.contract import Connector, NewDisk, PowerAction
from connectors.drivers.libvirt.names import snapshot_text
from connectors.errors import Conflict
from connectors.simulators import libvirtd
from tierwise.testing.promises.base import snapshot_names

pytestmark = pytest.mark.counterpart("libvirt-qemu")

STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def disk_of(daemon: libvirtd.PrivateLibvirtd, machine: UUID) -> Path:
    (path,) = daemon.images.glob(f"{machine}*")
    return path


def qemu_io(path: Path, command: str) -> None:
    """Write to a disk, or read: it fails where another pattern is there."""
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], check=True, capture_output=True)


def inside(path: Path) -> list[str]:
    """The snapshots that are in a disk, as QEMU lists them; the disk must be whole. A machine may run with it."""
    subprocess.run(["qemu-img", "check", "-U", str(path)], check=True, capture_output=True)
    listed = subprocess.run(
        ["qemu-img", "snapshot", "-U", "-l", str(path)], check=True, capture_output=True, text=True
    )
    return [line.split()[1] for line in listed.stdout.splitlines() if line[:1].isdigit()]


@pytest.mark.parametrize("gone", ["one", "two", "three"])
def test_what_is_on_the_disk_comes_back_with_each_snapshot_that_stays(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, gone: str
) -> None:
    path, kept = disk_of(daemon, machine), {"one": 1, "two": 2, "three": 3}
    for name, pattern in kept.items():
        qemu_io(path, f"write -P {pattern} 0 8M")
        connector.snapshot(machine, name)
    qemu_io(path, "write -P 4 0 8M")
    connector.delete_snapshot(machine, gone)
    del kept[gone]
    assert inside(path) == list(kept)
    qemu_io(path, "read -P 4 0 8M")
    for name, pattern in (*kept.items(), *reversed(kept.items())):
        connector.revert(machine, name)
        qemu_io(path, f"read -P {pattern} 0 8M")
    with pytest.raises(subprocess.CalledProcessError):
        qemu_io(path, "read -P 9 0 8M")


@STATES
def test_deleted_snapshots_leave_libvirt_and_the_disk(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID, *, on: bool
) -> None:
    if on:
        connector.power(machine, PowerAction.ON)
    for name in ("one", "two", "three"):
        connector.snapshot(machine, name)
    connector.delete_snapshot(machine, "two")
    tree = ["one", "|", "+-", "three"]
    assert daemon.virsh("snapshot-list", str(machine), "--tree").split() == tree
    assert inside(disk_of(daemon, machine)) == ["one", "three"]
    for name in ("three", "one"):
        connector.delete_snapshot(machine, name)
    assert daemon.virsh("snapshot-list", str(machine), "--name").split() == []
    assert inside(disk_of(daemon, machine)) == []
    assert connector.add_disk(machine, NewDisk(name="data", size_gib=1)).resources.disk_gib == 2


def test_times_parents_and_the_current_snapshot_are_those_of_virsh(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.snapshot(machine, "one/two")
    own = daemon.virsh("snapshot-list", str(machine), "--name").strip()
    daemon.virsh("snapshot-create-as", str(machine), "theirs")
    connector.revert(machine, "one/two")
    connector.snapshot(machine, "three")
    told = connector.list_snapshots(machine)
    assert {(one.name, one.parent) for one in told} == {
        ("one/two", ""), ("theirs", "one/two"), ("three", "one/two"),
    }  # fmt: skip
    assert [one.name for one in told if one.current] == ["three"]
    assert daemon.virsh("snapshot-current", str(machine), "--name").strip() == "three"
    for one in told:
        text = daemon.virsh("snapshot-dumpxml", str(machine), own if one.name == "one/two" else one.name)
        assert f"<creationTime>{one.taken_at.timestamp():.0f}</creationTime>" in text


def test_a_snapshot_that_virsh_took_is_deleted_by_its_name(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.snapshot(machine, "ours")
    daemon.virsh("snapshot-create-as", str(machine), "theirs")
    connector.delete_snapshot(machine, "theirs")
    assert daemon.virsh("snapshot-list", str(machine), "--name").split() == ["ours"]


def test_of_two_snapshots_of_one_name_none_is_deleted(
    connector: Connector, daemon: libvirtd.PrivateLibvirtd, machine: UUID
) -> None:
    connector.snapshot(machine, "one/two")
    text = daemon.virsh("snapshot-list", str(machine), "--name").strip()
    daemon.virsh("snapshot-create-as", str(machine), "other", "--description", snapshot_text("one/two", 9))
    assert snapshot_names(connector, machine) == ["one/two", "one/two"]
    with pytest.raises(Conflict, match=r"has 2 snapshots 'one/two'.*rename or delete the others"):
        connector.delete_snapshot(machine, "one/two")
    assert daemon.virsh("snapshot-list", str(machine), "--name").split() == [text, "other"]

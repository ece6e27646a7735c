"""Disks given and taken by a real daemon, read by qemu-img and virsh; and what happens when that goes wrong."""

import hashlib
import json
import random
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, DiskFormat, PowerState, VmSpec
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.registry import connect
from connectors.simulators import libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
GIB = 2**30
MIB = 2**20


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd, connector: Connector) -> Iterator[UUID]:
    """A machine that is off; after the test nothing of it is left."""
    for path in daemon.images.iterdir():  # of a test that failed
        path.unlink()
    fresh = uuid4()
    provider = connector.probe().pools[0].provider
    connector.create_vm(VmSpec(name=f"disk-{fresh.hex[:8]}", provider=provider, resources=SMALL), fresh)
    yield fresh
    with connect(daemon.qemu_endpoint()) as cleaner:
        cleaner.delete_vm(fresh)
    assert list(daemon.images.glob(f"{fresh}*")) == []


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A disk of 1 GiB with 48 MiB of random content."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(GIB)
        for place, seed in ((0, 1), (GIB // 2, 2), (GIB - 16 * MIB, 3)):
            file.seek(place)
            file.write(random.Random(seed).randbytes(16 * MIB))
    return path


@pytest.fixture
def qcow2(raw: Path) -> Path:
    path = raw.with_suffix(".qcow2")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path))
    return path


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def volumes(daemon: libvirtd.PrivateLibvirtd) -> list[str]:
    daemon.virsh("pool-refresh", "default")
    return [line.split()[0] for line in daemon.virsh("vol-list", "default").splitlines() if line.strip()]


def disk_path(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> Path:
    found = ET.fromstring(daemon.virsh("dumpxml", str(identity))).find("devices/disk/source")
    assert found is not None
    return Path(found.attrib["file"])


def same(one: Path, form: str, other: Path, other_form: str) -> bool:
    """Whether a guest reads the same; qemu-img alone takes a longer disk for equal when zeros follow."""
    command = ["qemu-img", "compare", "-f", form, "-F", other_form, str(one), str(other)]
    sizes = {
        json.loads(run("qemu-img", "info", "--output=json", "-f", kind, str(path)))["virtual-size"]
        for path, kind in ((one, form), (other, other_form))
    }
    return len(sizes) == 1 and subprocess.run(command, check=False, capture_output=True).returncode == 0


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ignore(_done: int) -> None:
    pass


def once(act: Callable[[], object]) -> Callable[[int], None]:
    """A `tell` that does something when the first part has been carried."""
    done: list[int] = []

    def tell(carried: int) -> None:
        done.append(carried)
        if len(done) == 1:
            act()

    return tell


def take(connector: Connector, identity: UUID, path: Path, tell: Callable[[int], None] = ignore) -> None:
    with path.open("rb") as file:
        connector.import_disk(identity, "vda", DiskFormat(path.suffix[1:]), file, tell)


def give(
    connector: Connector,
    identity: UUID,
    path: Path,
    tell: Callable[[int], None] = ignore,
) -> None:
    with path.open("w+b") as file:
        connector.export_disk(identity, "vda", DiskFormat(path.suffix[1:]), file, tell)


def test_what_is_taken_is_a_sound_qcow2_file_that_qemu_reads_the_same(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, qcow2: Path
) -> None:
    for source, form in ((raw, "raw"), (qcow2, "qcow2"), (raw, "raw")):
        take(connector, identity, source)
        path = disk_path(daemon, identity)
        assert same(path, "qcow2", source, form)
        assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", str(path))
        assert path.stat().st_blocks * 512 < 64 * MIB, "what is empty takes no room"
        assert volumes(daemon) == [path.name]


def test_a_disk_that_was_exchanged_is_grown_snapshotted_and_started_as_any_other(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    take(connector, identity, raw)
    grown = connector.resize(identity, SMALL.model_copy(update={"disk_gib": 2}))
    assert grown.resources.disk_gib == 2
    path = disk_path(daemon, identity)
    assert f'"virtual-size": {2 * GIB}' in run("qemu-img", "info", "--output=json", str(path))
    connector.snapshot(identity, "before")
    give(connector, identity, tmp_path / "with-a-snapshot-inside.qcow2")
    given = run("qemu-img", "info", str(tmp_path / "with-a-snapshot-inside.qcow2"))
    assert "Snapshot list" not in given
    assert same(tmp_path / "with-a-snapshot-inside.qcow2", "qcow2", path, "qcow2")
    with pytest.raises(Conflict, match="snapshots"):
        take(connector, identity, raw)
    assert volumes(daemon) == [path.name]


def test_an_overlay_is_given_whole(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    base = daemon.images / "base.raw"
    raw.rename(base)
    path = disk_path(daemon, identity)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(path))
    daemon.virsh("pool-refresh", "default")
    for form in ("qcow2", "raw"):
        given = tmp_path / f"given.{form}"
        give(connector, identity, given)
        assert "backing" not in run("qemu-img", "info", str(given))
        assert same(given, form, base, "raw")
    assert sorted(volumes(daemon)) == sorted([path.name, "base.raw"])


def test_a_raw_disk_is_given_without_writing_its_empty_parts(
    connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    take(connector, identity, raw)
    given = tmp_path / "given.raw"
    give(connector, identity, given)
    assert digest(given) == digest(raw)
    assert given.stat().st_blocks * 512 < 64 * MIB


def test_a_file_that_would_show_other_files_of_the_host_is_not_taken(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    before = disk_path(daemon, identity)
    thief, outside = tmp_path / "thief.qcow2", tmp_path / "outside.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(raw), "-F", "raw", str(thief))
    elsewhere = f"data_file={tmp_path / 'data'}"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", elsewhere, str(outside), "1G")
    words = tmp_path / "words.qcow2"
    words.write_text("this is not a disk")
    for path in (thief, outside, words):
        with pytest.raises(Refused) as caught:
            take(connector, identity, path)
        assert "qemu-img convert" in caught.value.hint
    assert disk_path(daemon, identity) == before
    assert volumes(daemon) == [before.name]


def test_a_file_shorter_than_an_empty_disk_leaves_nothing_of_it(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, tmp_path: Path
) -> None:
    tiny = tmp_path / "tiny.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4096", str(tiny), "1G")
    assert tiny.stat().st_size < disk_path(daemon, identity).stat().st_size
    take(connector, identity, tiny)
    assert same(disk_path(daemon, identity), "qcow2", tiny, "qcow2")


@pytest.mark.parametrize("timeout_s", [1.0, 4.0])
def test_a_daemon_that_freezes_in_a_transfer_ends_it_at_the_deadline_and_the_disk_stays(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, raw: Path, tmp_path: Path, timeout_s: float
) -> None:
    def taking(connector: Connector, tell: Callable[[int], None]) -> None:
        take(connector, identity, raw, tell)

    def giving(connector: Connector, tell: Callable[[int], None]) -> None:
        give(connector, identity, tmp_path / "given.qcow2", tell)

    with connect(daemon.qemu_endpoint()) as patient:
        take(patient, identity, raw)
    kept = disk_path(daemon, identity)
    for call in (taking, giving):
        frozen_s: list[float] = []

        def freeze(frozen_s: list[float] = frozen_s) -> None:
            daemon.freeze()
            frozen_s.append(time.monotonic())

        with connect(daemon.qemu_endpoint(timeout_s=timeout_s)) as connector:
            try:
                with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
                    call(connector, once(freeze))
                took_s = time.monotonic() - frozen_s[0]
            finally:
                daemon.thaw()
            assert caught.value.retriable
            assert took_s <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
            assert connector.get_vm(identity).power is PowerState.OFF
    assert disk_path(daemon, identity) == kept
    assert same(kept, "qcow2", raw, "raw")


def test_a_daemon_killed_in_a_transfer_leaves_the_disk_and_the_next_one_leaves_nothing_else(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path
) -> None:
    before = digest(disk_path(daemon, identity))
    with pytest.raises(Unreachable, match="repeat the call"):
        take(connector, identity, raw, once(daemon.kill))
    daemon.start()
    assert digest(disk_path(daemon, identity)) == before
    take(connector, identity, raw)
    assert same(disk_path(daemon, identity), "qcow2", raw, "raw")
    assert volumes(daemon) == [disk_path(daemon, identity).name]


def test_a_daemon_restarted_in_a_transfer_keeps_nothing_of_it(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path
) -> None:
    with pytest.raises(Unreachable, match="repeat the call"):
        take(connector, identity, raw, once(daemon.restart))
    assert volumes(daemon) == [f"{identity}.qcow2"]


def test_a_caller_who_gives_up_leaves_nothing_behind(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    class GivenUpError(Exception):
        pass

    def give_up(_done: int) -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        take(connector, identity, raw, give_up)
    for form in ("raw", "qcow2"):
        with pytest.raises(GivenUpError):
            give(connector, identity, tmp_path / f"given.{form}", give_up)
    assert volumes(daemon) == [f"{identity}.qcow2"]


def test_a_machine_powered_on_in_a_transfer_is_a_conflict_and_keeps_its_disk(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    def power_on() -> None:
        daemon.virsh("start", str(identity))

    with pytest.raises(Conflict, match=r"is on|powered on"):
        take(connector, identity, raw, once(power_on))
    assert volumes(daemon) == [f"{identity}.qcow2"]
    daemon.virsh("destroy", str(identity))
    with pytest.raises(Conflict, match="powered on"):
        give(connector, identity, tmp_path / "given.qcow2", once(power_on))


def test_a_storage_pool_that_fills_up_refuses_and_keeps_the_disk(
    daemon: libvirtd.PrivateLibvirtd, raw: Path
) -> None:
    daemon.small_pool("small", 8)
    identity = uuid4()
    with connect(daemon.qemu_endpoint(storage_pool="small")) as connector:
        spec = VmSpec(name="full", provider=connector.probe().pools[0].provider, resources=SMALL)
        with pytest.raises(ConnectorError):  # the driver knows that 1 GiB is more than the pool has
            connector.create_vm(spec, identity)
    daemon.virsh(
        "vol-create-as", "small", f"{identity}.qcow2", "1G", "--allocation", "0", "--format", "qcow2"
    )
    with connect(daemon.qemu_endpoint()) as connector:
        connector.create_vm(spec, identity)
        definition = daemon.virsh("dumpxml", str(identity))
        daemon.virsh("vol-delete", f"{identity}.qcow2", "default")
        moved = daemon.folder / "moved.xml"
        moved.write_text(definition.replace(f"{daemon.images}/", f"{daemon.folder}/small/"))
        daemon.virsh("define", str(moved))
        with pytest.raises(Refused) as caught:
            take(connector, identity, raw)
        assert "storage_pool" in caught.value.hint
        assert connector.details(identity).disks[0].size_bytes == GIB
        assert daemon.virsh("vol-list", "small").split()[0] == f"{identity}.qcow2"
        assert len(daemon.virsh("vol-list", "small").split()) == 2
        connector.delete_vm(identity)
    assert daemon.virsh("vol-list", "small").split() == []
    daemon.virsh("pool-destroy", "small")


@pytest.mark.counterpart("libvirt-test")
def test_the_test_driver_s_disk_has_the_size_that_was_ordered(daemon: libvirtd.PrivateLibvirtd) -> None:
    identity = uuid4()
    with connect(daemon.test_endpoint()) as connector:
        spec = VmSpec(name="sized", provider=connector.probe().pools[0].provider, resources=SMALL)
        connector.create_vm(spec, identity)
        assert [disk.size_bytes for disk in connector.details(identity).disks] == [GIB]
        connector.delete_vm(identity)


def test_a_running_machine_s_disk_has_the_size_it_was_grown_to(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    daemon.virsh("start", str(identity))
    connector.resize(identity, SMALL.model_copy(update={"disk_gib": 3}))
    assert [disk.size_bytes for disk in connector.details(identity).disks] == [3 * GIB]


HARDWARE = """
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.secboot.fd</loader>
    <nvram>/var/lib/libvirt/qemu/nvram/x.fd</nvram></os>
"""
DEVICES = """
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{images}/second.raw'/>
      <target dev='sda' bus='sata'/><boot order='1'/></disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>
    <interface type='user'><mac address='52:54:00:AA:bb:01'/><model type='e1000'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
"""


def test_details_are_what_the_definition_says_and_the_disk_that_boots_comes_first(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, raw: Path, tmp_path: Path
) -> None:
    plain = connector.details(identity)
    assert (plain.firmware, plain.secure_boot, plain.guest_tools, plain.cards) == ("bios", False, "", ())
    assert [(d.key, d.bus, d.size_bytes) for d in plain.disks] == [("vda", "virtio", GIB)]
    daemon.virsh("vol-create-as", "default", "second.raw", "3M", "--format", "raw")
    before = daemon.virsh("dumpxml", str(identity))
    head, _, rest = before.partition("<os>")
    after = rest.partition("</os>")[2].replace("</devices>", DEVICES.format(images=daemon.images))
    smm = after.replace("<acpi/>", "<acpi/><smm state='on'/>")
    changed = tmp_path / "changed.xml"
    changed.write_text(head + HARDWARE + smm)
    daemon.virsh("define", str(changed))
    found = connector.details(identity)
    assert (found.firmware, found.secure_boot, found.guest_tools) == ("uefi", True, "qemu-guest-agent")
    assert [(d.key, d.bus, d.size_bytes) for d in found.disks] == [
        ("sda", "sata", 3 * MIB),
        ("vda", "virtio", GIB),
    ]
    assert [(c.mac, c.model, c.network) for c in found.cards] == [("52:54:00:aa:bb:01", "e1000", "")]
    with (tmp_path / "second").open("w+b") as file:
        connector.export_disk(identity, "sda", DiskFormat.RAW, file, ignore)
        assert file.tell() == 3 * MIB
    thief = tmp_path / "thief.qcow2"  # what a guest could write at the beginning of a raw disk of its own
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(raw), "-F", "raw", str(thief))
    with (daemon.images / "second.raw").open("r+b") as disk:
        disk.write(thief.read_bytes())
    daemon.virsh("pool-refresh", "default")
    with (tmp_path / "stolen").open("w+b") as file, pytest.raises(Refused, match="another format"):
        connector.export_disk(identity, "sda", DiskFormat.QCOW2, file, ignore)
    with (tmp_path / "second").open("w+b") as file:
        connector.export_disk(identity, "sda", DiskFormat.RAW, file, ignore)
    assert digest(tmp_path / "second") == digest(daemon.images / "second.raw")
    with raw.open("rb") as file, pytest.raises(Refused, match="not one that tierwise made"):
        connector.import_disk(identity, "sda", DiskFormat.RAW, file, ignore)
    original = tmp_path / "original.xml"
    original.write_text(before)
    daemon.virsh("define", str(original))

"""Seed disks as others read them: isoinfo, and the kernel of a guest that boots with one."""

import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from connectors.contract import Connector, DiskFormat, PowerAction, Seed, VmSpec
from connectors.drivers.libvirt import seeds
from connectors.errors import ConnectorError, Unsupported
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirt_pair, libvirtd
from connectors.simulators.libvirt_guest import seeded, ticks
from connectors.simulators.libvirt_pair import SECOND

pytestmark = [
    pytest.mark.counterpart("libvirt-qemu"),
    pytest.mark.skipif(not seeds.can_write(), reason="not installed: pycdlib, of the extra libvirt"),
]

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
LINUX = SMALL.model_copy(update={"memory_mib": libvirt_guest.LINUX_MEMORY_MIB})
SAID_LIMIT_S = 120
SEED = Seed(
    user_data="#cloud-config\npassword: s3cret-of-a-guest\nhostname: größe\n",
    network_config="version: 2\nethernets: {}\n",
)


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with connect(daemon.qemu_endpoint()) as connector:
        connector.delete_vm(fresh)
    assert list(daemon.images.glob(f"{fresh}*")) == []


def spec(connector: Connector, seed: Seed | None = SEED, resources: Resources = SMALL) -> VmSpec:
    provider = connector.probe().pools[0].provider
    return VmSpec(name="Web/1 größe", provider=provider, resources=resources, seed=seed)


def isoinfo(image: Path, *words: str) -> str:
    if shutil.which("isoinfo") is None:
        pytest.skip("not installed: genisoimage")
    command = ["isoinfo", "-i", str(image), *words]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def seed_of(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> Path:
    """The file in the machine's CD-ROM drive, as virsh tells it."""
    rows = [line.split() for line in daemon.virsh("domblklist", "--details", str(identity)).splitlines()]
    (path,) = [row[3] for row in rows if row and row[1] == "cdrom"]
    return Path(path)


def said(daemon: libvirtd.PrivateLibvirtd, identity: UUID, holds: Callable[[str], bool]) -> str:
    log, tick = daemon.serial_log(identity), threading.Event()
    for _ in range(SAID_LIMIT_S * 20):
        text = log.read_text(errors="replace") if log.exists() else ""
        if holds(text):
            return text
        tick.wait(0.05)
    pytest.fail(f"the guest never said what was expected; it said {text!r}")


@pytest.mark.parametrize("names", ["-R", "-J"], ids=["rock-ridge", "joliet"])
def test_isoinfo_reads_what_was_ordered_under_the_label_that_cloud_init_looks_for(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, names: str
) -> None:
    connector.create_vm(spec(connector), identity)
    image = seed_of(daemon, identity)
    assert image.parent == daemon.images
    assert "Volume id: cidata" in isoinfo(image, "-d")
    files = set(isoinfo(image, names, "-f").split())
    assert files == {"/meta-data", "/user-data", "/network-config"}
    assert isoinfo(image, names, "-x", "/user-data") == SEED.user_data
    assert isoinfo(image, names, "-x", "/network-config") == SEED.network_config
    about = json.loads(isoinfo(image, names, "-x", "/meta-data"))
    assert about == {"instance-id": str(identity), "local-hostname": "web-1-gr--e"}


def test_the_longest_seed_is_read_back_whole(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    long = Seed(user_data="#cloud-config\n" + "x" * (256 * 1024 - 14))
    connector.create_vm(spec(connector, long), identity)
    image = seed_of(daemon, identity)
    assert isoinfo(image, "-R", "-x", "/user-data") == long.user_data
    assert set(isoinfo(image, "-R", "-f").split()) == {"/meta-data", "/user-data"}


def test_a_guest_that_boots_finds_its_seed(
    daemon: libvirtd.PrivateLibvirtd, linux: dict[str, str], identity: UUID
) -> None:
    with connect(daemon.qemu_endpoint(**linux)) as connector:
        connector.create_vm(spec(connector, resources=LINUX), identity)
        connector.power(identity, PowerAction.ON)
        found = seeded(said(daemon, identity, lambda text: bool(ticks(text))))
    assert found.keys() == {"meta-data", "user-data", "network-config"}
    assert found["user-data"] == hashlib.sha256(SEED.user_data.encode()).hexdigest()


@pytest.fixture(scope="module")
def linux(pytestconfig: pytest.Config) -> dict[str, str]:
    if problem := libvirtd.missing():
        pytest.skip(problem)
    try:
        return libvirt_pair.linux_options(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))


def test_a_guest_takes_its_seed_along_to_another_host_where_disks_are_copied(linux: dict[str, str]) -> None:
    identity = uuid4()
    with libvirt_pair.two_hosts(shared=False) as pair:
        here, there = pair.endpoints(timeout_s=60, **linux)
        with connect(here) as source, connect(there) as target:
            source.create_vm(spec(source, resources=LINUX), identity)
            source.power(identity, PowerAction.ON)
            said(pair.first, identity, lambda text: bool(ticks(text)))
            before = seed_of(pair.first, identity).read_bytes()
            assert source.migrate(identity, SECOND).host == SECOND
            assert seed_of(pair.second, identity).read_bytes() == before
            assert list(pair.first.images.glob(f"{identity}*")) == []
            target.power(identity, PowerAction.OFF)
            target.power(identity, PowerAction.ON)
            # Its console goes to the file that it had at the first host; what it says now comes after what it said.
            console = said(pair.first, identity, lambda text: bool(ticks(since_its_second_start(text))))
            found = seeded(since_its_second_start(console))
            assert found["user-data"] == hashlib.sha256(SEED.user_data.encode()).hexdigest()
            target.delete_vm(identity)
            assert list(pair.second.images.iterdir()) == []


def since_its_second_start(console: str) -> str:
    return console.split(libvirt_guest.UP, 2)[2] if console.count(libvirt_guest.UP) > 1 else ""


def test_a_machine_with_a_seed_is_resized_snapshotted_and_filled_like_any_other(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, tmp_path: Path
) -> None:
    connector.create_vm(spec(connector), identity)
    (disk,) = connector.details(identity).disks
    with (tmp_path / "disk").open("w+b") as file:
        connector.export_disk(identity, disk.key, DiskFormat.QCOW2, file, lambda _: None)
        connector.import_disk(identity, disk.key, DiskFormat.QCOW2, file, lambda _: None)
    assert seed_of(daemon, identity).is_file(), (
        "an import takes away all files of the machine but those in use"
    )
    connector.power(identity, PowerAction.ON)
    connector.snapshot(identity, "with-seed")
    grown = SMALL.model_copy(update={"memory_mib": 256})
    assert connector.resize(identity, grown).resources == grown
    connector.revert(identity, "with-seed")
    assert connector.get_vm(identity).resources == SMALL
    assert isoinfo(seed_of(daemon, identity), "-R", "-x", "/user-data") == SEED.user_data


def test_without_a_seed_there_is_no_drive(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    connector.create_vm(spec(connector, None), identity)
    assert "cdrom" not in daemon.virsh("domblklist", "--details", str(identity))


def test_a_seed_is_in_no_repr_and_in_no_error_of_a_create_that_fails(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    with connect(daemon.qemu_endpoint(machine="no-such-machine")) as connector:
        wanted = spec(connector)
        with pytest.raises(ConnectorError) as caught:
            connector.create_vm(wanted, identity)
    assert "s3cret" not in f"{caught.value!s} {wanted!r} {caught.value.__cause__!r}"
    assert list(daemon.images.glob(f"{identity}*")) == []


Cut = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


@pytest.mark.parametrize("after", [False, True], ids=["before-its-bytes", "after-its-bytes"])
def test_a_daemon_killed_while_a_seed_is_made_leaves_one_machine_with_the_whole_seed_after_the_next(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID, *, after: bool
) -> None:
    wanted, real = spec(connector), seeds.put

    def cut(vendor: Any, connection: Any, pool: Any, made: UUID, data: bytes) -> str:
        if after:
            real(vendor, connection, pool, made, data)
        else:
            pool.createXML(f"<volume><name>{made}.seed.iso</name><capacity>2048</capacity></volume>")
        daemon.kill()
        return real(vendor, connection, pool, made, data)

    with pytest.MonkeyPatch.context() as patch:  # the moment is chosen; the kill and all calls are real
        patch.setattr(seeds, "put", cut)
        with pytest.raises(ConnectorError) as caught:
            connector.create_vm(wanted, identity)
    assert caught.value.retriable
    daemon.start()
    connector.create_vm(wanted, identity)
    assert isoinfo(seed_of(daemon, identity), "-R", "-x", "/user-data") == SEED.user_data
    assert sorted(path.name for path in daemon.images.glob(f"{identity}*")) == [
        f"{identity}.qcow2",
        f"{identity}.seed.iso",
    ]


def test_a_delete_removes_a_seed_that_has_no_machine(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    daemon.virsh("vol-create-as", "default", f"{identity}.seed.iso", "2048", "--format", "raw")
    connector.delete_vm(identity)
    assert list(daemon.images.glob(f"{identity}*")) == []


def test_without_the_library_the_pool_says_how_to_get_it(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "can_write", lambda: False)
    with connect(daemon.qemu_endpoint()) as connector:
        gap = connector.probe().pools[0].capabilities.gap(Capability.SEED_DISK)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert "pip install" in gap.detail
        with pytest.raises(Unsupported) as caught:
            connector.create_vm(spec(connector), identity)
    assert caught.value.gap == gap

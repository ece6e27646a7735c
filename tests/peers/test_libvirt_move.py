"""A guest's disk carried from one real libvirt host to another through files: what it wrote here it reads there."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, DiskFormat, PowerAction, VmSpec
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirt_pair, libvirtd
from connectors.simulators.libvirt_pair import FIRST, SECOND, Pair

pytestmark = pytest.mark.counterpart("libvirt-qemu")

LINUX = Resources(vcpu=1, memory_mib=libvirt_guest.LINUX_MEMORY_MIB, disk_gib=1)
SAID_LIMIT_S = 120


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirt_pair.two_hosts(shared=False) as pair:
        yield pair


@pytest.fixture(scope="module")
def linux(pytestconfig: pytest.Config) -> dict[str, str]:
    try:
        return libvirt_pair.linux_options(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))


def started(connector: Connector, host: str, identity: UUID) -> None:
    connector.create_vm(VmSpec(name="carried", provider=host, resources=LINUX), identity)
    connector.power(identity, PowerAction.ON)


def said_of_its_disk(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> str:
    """The checksum that the guest says when it has started, of what it wrote or found."""
    log, tick = daemon.serial_log(identity), threading.Event()
    for _ in range(SAID_LIMIT_S * 20):
        sums = libvirt_guest.kept(log.read_text(errors="replace")) if log.exists() else []
        if sums:
            return sums[0]
        tick.wait(0.05)
    pytest.fail("the guest never said what is on its disk")


@pytest.mark.parametrize("form", [DiskFormat.QCOW2, DiskFormat.RAW])
def test_what_a_guest_wrote_at_one_host_it_reads_at_the_other(
    pair: Pair, linux: dict[str, str], tmp_path: Path, form: DiskFormat
) -> None:
    identity = uuid4()
    here, there = pair.endpoints(**linux)
    with connect(here) as source, connect(there) as target:
        started(source, FIRST, identity)
        wrote = said_of_its_disk(pair.first, identity)
        source.power(identity, PowerAction.OFF)
        (disk,) = source.details(identity).disks
        with (tmp_path / "carried").open("w+b") as file:
            source.export_disk(identity, disk.key, form, file, lambda _done: None)
            target.create_vm(VmSpec(name="carried", provider=SECOND, resources=LINUX), identity)
            (other,) = target.details(identity).disks
            target.import_disk(identity, other.key, form, file, lambda _done: None)
        source.delete_vm(identity)
        target.power(identity, PowerAction.ON)
        assert said_of_its_disk(pair.second, identity) == wrote
        assert libvirt_guest.WRITTEN not in pair.second.serial_log(identity).read_text(errors="replace")
        assert list(pair.first.images.iterdir()) == []
        target.delete_vm(identity)
        assert list(pair.second.images.iterdir()) == []

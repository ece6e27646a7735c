"""Containers of a real libvirtd's LXC driver: what they are, read in the kernel and on the disk by others."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from chargeback.counters import LAST, Reading, sampled
from connectors.contract import Connector, Firmware, PowerAction, PowerState, VmSpec
from connectors.errors import ConnectorError, Refused, Unsupported
from connectors.registry import connect
from connectors.simulators import libvirt_container, libvirtd

pytestmark = pytest.mark.counterpart("libvirt-lxc")

SMALL = Resources(vcpu=1, memory_mib=64, disk_gib=1)
GIB = 2**30
WAIT_S = 30
SECOND = "52:54:00:00:00:02"


@pytest.fixture
def lxc(daemon: libvirtd.PrivateLibvirtd) -> Iterator[Connector]:
    problem = libvirt_container.missing()
    if problem is not None:
        pytest.skip(problem)
    with connect(daemon.lxc_endpoint()) as connector:
        yield connector


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd, lxc: Connector) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    lxc.delete_vm(fresh)
    assert [path.name for path in daemon.containers.iterdir()] == [libvirt_container.IMAGE]


def spec(connector: Connector, identity: UUID) -> VmSpec:
    provider = connector.probe().pools[0].provider
    return VmSpec(name=f"box-{identity.hex}", provider=provider, resources=SMALL)


def disk_of(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> Path:
    return daemon.containers / f"{identity.hex}.img"


def starts(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> list[str]:
    """What the container has written on its disk, read from the file system's image by debugfs."""
    words = ["debugfs", "-R", f"cat {libvirt_container.UP}", str(disk_of(daemon, identity))]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()


def init_of(identity: UUID) -> Path:
    """The folder in /proc of the container's first process, which is in a control group of the container's name."""
    tick = threading.Event()
    for _ in range(WAIT_S * 20):
        for found in Path("/proc").glob("[0-9]*"):
            try:
                status = (found / "status").read_text()
                line, groups = (found / "cmdline").read_bytes(), (found / "cgroup").read_text()
            except OSError:  # gone since it was listed
                continue
            pids = next(row for row in status.splitlines() if row.startswith("NSpid")).split()[1:]
            if b"/sbin/init" in line and pids[-1] == "1" and identity.hex in groups:
                return found
        tick.wait(0.05)
    pytest.fail(f"container {identity} has no first process")


def test_a_container_runs_on_its_own_copy_of_the_image_and_keeps_what_it_wrote(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    image = (daemon.containers / libvirt_container.IMAGE).read_bytes()
    lxc.create_vm(spec(lxc, identity), identity)
    assert disk_of(daemon, identity).stat().st_size == GIB
    for _ in range(2):
        assert lxc.power(identity, PowerAction.ON).power is PowerState.ON
        init_of(identity)
        assert lxc.power(identity, PowerAction.SHUTDOWN).power is PowerState.OFF
    assert len(starts(daemon, identity)) >= 2, "each start; one whose init the daemon missed is made again"
    assert (daemon.containers / libvirt_container.IMAGE).read_bytes() == image


def test_a_container_without_a_network_card_does_not_have_the_host_s_network(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    lxc.create_vm(spec(lxc, identity), identity)
    lxc.power(identity, PowerAction.ON)
    network = (init_of(identity) / "ns" / "net").readlink()
    assert network != Path("/proc/self/ns/net").readlink()


def test_memory_and_processor_time_are_those_that_the_kernel_counts(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    lxc.create_vm(spec(lxc, identity), identity)
    lxc.power(identity, PowerAction.ON)
    init_of(identity)
    words = ("cpu-stats", str(identity), "--total")
    before_ms = milliseconds(daemon.virsh(*words, address=daemon.lxc_address))
    readings = lxc.usage(datetime.now(UTC) - timedelta(minutes=1))
    seen = {reading.metric: reading.value for reading in readings}
    after_ms = milliseconds(daemon.virsh(*words, address=daemon.lxc_address))
    assert before_ms <= seen["cpu_ms"] <= after_ms
    assert seen.keys() == {"cpu_ms", "memory_resident_mib"}
    assert 0 <= seen["memory_resident_mib"] <= SMALL.memory_mib


def test_what_a_container_sent_and_received_is_what_the_kernel_counts_at_its_end(
    daemon: libvirtd.PrivateLibvirtd, bridge: str, identity: UUID
) -> None:
    said = b"x" * 1000
    with connect(daemon.lxc_endpoint(bridge=bridge)) as connector:
        connector.create_vm(spec(connector, identity), identity)
        connector.power(identity, PowerAction.ON)
        within = ["nsenter", f"--net={init_of(identity) / 'ns' / 'net'}"]
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        for words in (
            ("addr", "add", "192.0.2.7/24", "broadcast", "+", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run([*within, "ip", *words], check=True)
        call = f"import socket as s; c = s.socket(type=s.SOCK_DGRAM); c.setsockopt(s.SOL_SOCKET, s.SO_BROADCAST, 1); c.sendto({said!r}, ('192.0.2.255', 9))"
        subprocess.run([*within, sys.executable, "-c", call], check=True)
        before = card_of(within)
        readings = connector.usage(datetime.now(UTC) - timedelta(minutes=1))
        after = card_of(within)
    seen = {reading.metric: reading.value for reading in readings}
    assert len(said) < before["tx"]["bytes"] <= seen["net_sent_bytes"] <= after["tx"]["bytes"]
    assert before["rx"]["bytes"] <= seen["net_received_bytes"] <= after["rx"]["bytes"]
    assert after["rx"]["bytes"] < len(said), "else sent and received could be exchanged unnoticed"


def test_a_card_that_is_taken_out_charges_nothing_twice_of_the_one_that_stays(
    daemon: libvirtd.PrivateLibvirtd, bridge: str, identity: UUID
) -> None:
    last, at = LAST.empty_table(), 1_800_000_000

    def virsh(*words: str) -> str:
        return daemon.virsh(*words, address=daemon.lxc_address)

    def cards() -> dict[str, str]:
        """The host's interface by MAC."""
        rows = (line.split() for line in virsh("domiflist", str(identity)).splitlines())
        return {row[4]: row[0] for row in rows if row}

    def charged(connector: Connector) -> int:
        """The kB since the last reading; each is told to be a minute after the one before."""
        nonlocal last, at
        at += 60
        readings = [
            Reading(str(identity), one.metric, one.value, at, counter=True, part=one.part)
            for one in connector.usage(datetime.now(UTC) - timedelta(minutes=1))
            if one.metric.startswith("net_")
        ]
        assert {one.part for one in readings} == cards().keys()
        found, last = sampled(readings, last, endpoint="lxc")
        assert found.notes == []
        return sum(row[3] * seconds for row, seconds in zip(found.rows, found.seconds, strict=True))

    def send(interface: str, frames: int) -> None:
        """Frames of 1000 bytes to the container."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((interface, 0))
            for _ in range(frames):
                wire.send(b"\xff" * 12 + b"\x88\xb5" + b"x" * 986)

    with connect(daemon.lxc_endpoint(bridge=bridge)) as connector:
        connector.create_vm(spec(connector, identity), identity)
        (first,) = cards()
        virsh("attach-interface", str(identity), "bridge", bridge, "--mac", SECOND, "--config")
        connector.power(identity, PowerAction.ON)
        within = ["nsenter", f"--net={init_of(identity) / 'ns' / 'net'}"]
        for name in ("eth0", "eth1"):
            subprocess.run([*within, "ip", "link", "set", name, "up"], check=True)
        charged(connector)
        for interface in cards().values():
            send(interface, 400)
        assert 800 <= charged(connector) < 900
        virsh("detach-interface", str(identity), "bridge", "--mac", SECOND, "--live")
        send(cards()[first], 100)
        assert 100 <= charged(connector) < 200, "its 400 kB from before are charged already"


def card_of(within: list[str]) -> Any:
    """What the kernel counts of the card ``eth0`` in a network."""
    words = [*within, "ip", "-json", "-stats", "link", "show", "eth0"]
    (card,) = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return card["stats64"]


def milliseconds(stats: str) -> int:
    """The processor time that virsh tells, in whole milliseconds."""
    (text,) = (line.split()[1] for line in stats.splitlines() if line.split()[:1] == ["cpu_time"])
    return int(float(text) * 1000)


def test_the_memory_limit_is_in_the_kernel_and_follows_a_resize(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    lxc.create_vm(spec(lxc, identity), identity)
    grown = SMALL.model_copy(update={"memory_mib": 96, "disk_gib": 2})
    assert lxc.resize(identity, grown).resources == grown
    lxc.power(identity, PowerAction.ON)
    tune = daemon.virsh("memtune", str(identity), address=daemon.lxc_address)
    (limit,) = (line.split(":")[1].strip() for line in tune.splitlines() if line.startswith("hard_limit"))
    assert limit == str(96 * 1024)
    path = next(
        line.rpartition(":")[2]
        for line in (init_of(identity) / "cgroup").read_text().splitlines()
        if ":memory:" in line
    )
    kernel = Path("/sys/fs/cgroup/memory" + path) / "memory.limit_in_bytes"
    assert int(kernel.read_text()) == 96 * 2**20
    assert disk_of(daemon, identity).stat().st_size == 2 * GIB


def test_a_suspended_container_is_frozen_in_the_kernel(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    lxc.create_vm(spec(lxc, identity), identity)
    lxc.power(identity, PowerAction.ON)
    path = next(
        line.rpartition(":")[2]
        for line in (init_of(identity) / "cgroup").read_text().splitlines()
        if ":freezer:" in line
    )
    state = Path("/sys/fs/cgroup/freezer" + path) / "freezer.state"
    assert lxc.power(identity, PowerAction.SUSPEND).power is PowerState.SUSPENDED
    assert state.read_text().strip() == "FROZEN"
    assert lxc.power(identity, PowerAction.ON).power is PowerState.ON
    assert state.read_text().strip() == "THAWED"


def test_what_a_container_is_says_the_pool(lxc: Connector) -> None:
    seen = lxc.probe()
    assert "LXC" in seen.product
    assert "share the host's kernel" in seen.note
    assert "CUSTOM_CONTAINERS" in seen.pools[0].traits
    assert seen.pools[0].capabilities.gap(Capability.SNAPSHOT) is not None


def test_firmware_is_refused_with_nothing_left(lxc: Connector, identity: UUID) -> None:
    with pytest.raises(Refused, match="firmware"):
        lxc.create_vm(spec(lxc, identity).model_copy(update={"firmware": Firmware.UEFI}), identity)


def test_an_image_that_is_not_there_or_not_smaller_than_the_disk_is_refused(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    wanted = spec(lxc, identity)
    with (
        connect(daemon.lxc_endpoint(container_image="no-such.img")) as connector,
        pytest.raises(Refused, match=r"no-such\.img"),
    ):
        connector.create_vm(wanted, identity)
    daemon.virsh("vol-create-as", "containers", "whole.img", "1G", "--format", "raw")
    try:
        with (
            connect(daemon.lxc_endpoint(container_image="whole.img")) as connector,
            pytest.raises(Refused, match="not larger than the image"),
        ):
            connector.create_vm(wanted, identity)
    finally:
        daemon.virsh("vol-delete", "whole.img", "containers")


def test_a_pool_in_a_folder_of_too_long_a_path_says_so_before_anything_is_made(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    with connect(daemon.lxc_endpoint(storage_pool="default")) as connector:
        gap = connector.probe().pools[0].capabilities.gap(Capability.CREATE)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert "longer path than the 26 bytes" in gap.detail
        with pytest.raises(Unsupported):
            connector.create_vm(spec(connector, identity), identity)


def test_without_an_image_the_pool_says_what_to_set(daemon: libvirtd.PrivateLibvirtd) -> None:
    plain = daemon.lxc_endpoint()
    options = {name: value for name, value in plain.options.items() if name != "container_image"}
    with connect(plain.model_copy(update={"options": options})) as connector:
        gap = connector.probe().pools[0].capabilities.gap(Capability.CREATE)
    assert gap is not None
    assert "container_image" in gap.detail


def test_a_copy_that_was_cut_off_is_made_anew(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector, identity: UUID
) -> None:
    name = disk_of(daemon, identity).name
    daemon.virsh("vol-create-as", "containers", name, "16M", "--format", "raw")
    lxc.create_vm(spec(lxc, identity), identity)
    lxc.power(identity, PowerAction.ON)
    init_of(identity)
    lxc.power(identity, PowerAction.OFF)
    assert len(starts(daemon, identity)) == 1


def test_a_frozen_daemon_costs_a_container_s_call_no_more_than_the_deadline(
    daemon: libvirtd.PrivateLibvirtd, lxc: Connector
) -> None:
    with connect(daemon.lxc_endpoint(timeout_s=2)) as connector:
        daemon.freeze()
        try:
            with pytest.raises(ConnectorError) as caught:
                connector.list_vms()
        finally:
            daemon.thaw()
        assert caught.value.retriable
        assert connector.list_vms() == []

"""Machines under a real Xen: what they are, read from their consoles, their disks and by Xen's own words in virsh."""

import hashlib
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import (
    Connector,
    DiskFormat,
    Firmware,
    NewDisk,
    PowerAction,
    PowerState,
    Seed,
    VmSpec,
)
from connectors.drivers.libvirt import seeds
from connectors.errors import ConnectorError, Refused, Unsupported
from connectors.registry import connect
from connectors.simulators import libvirt_xen

pytestmark = [
    pytest.mark.counterpart("libvirt-xen"),
    pytest.mark.skipif(not seeds.can_write(), reason="not installed: pycdlib, of the extra libvirt"),
]

SMALL = Resources(vcpu=1, memory_mib=libvirt_xen.GUEST_MEMORY_MIB, disk_gib=1)
SEED = Seed(user_data="#cloud-config\npassword: s3cret-of-a-guest\nhostname: größe\n")
BOOT_SECTOR = (
    bytes.fromhex(
        "31c0 8ec0"  # es = 0, from
        "bb007c"  # where the BIOS has put this sector,
        "b80103 b90200 b600 cd13"  # write it (INT 13h, function 3) to the boot disk's second sector,
        "fa f4 ebfd"  # and stop
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)
SAID_LIMIT_S = 500
"""An ``hvm`` machine boots by an emulated firmware on an emulated processor: a minute where nothing else runs."""


@pytest.fixture
def identity(xen: libvirt_xen.XenHost) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with connect(xen.endpoint()) as connector:
        connector.delete_vm(fresh)
    assert str(fresh) not in xen.virsh("vol-list", "default") + xen.virsh("list", "--all", "--uuid")


PYGRUB = "/usr/lib/xen-4.17/bin/pygrub"
"""Debian has a folder for each version of Xen; its `pygrub` of any version is not on the daemon's path."""


def spec(connector: Connector, identity: UUID, seed: Seed | None = None) -> VmSpec:
    """Of a name of its own, as Xen keeps what a guest wrote by its name."""
    provider = connector.probe().pools[0].provider
    return VmSpec(name=f"web {identity}", provider=provider, resources=SMALL, seed=seed)


def said(xen: libvirt_xen.XenHost, identity: UUID, words: str, times: int = 1) -> str:
    """What the guest has written to its console, when it has written the words so often."""
    tick, text = threading.Event(), ""
    for _ in range(SAID_LIMIT_S):
        text = xen.console(f"web {identity}")
        if text.count(words) >= times:
            return text
        tick.wait(1)
    pytest.fail(f"the guest never said {words!r}; it said {text!r}")


def rows(text: str) -> dict[str, str]:
    """virsh's lines of a name, a colon and a value."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def sector(xen: libvirt_xen.XenHost, volume: str, number: int) -> bytes:
    """512 bytes of a disk, read from its qcow2 file by qemu-img."""
    copy = xen.volume(volume)
    part = copy.with_suffix(".part")
    command = f"qemu-img dd -f qcow2 -O raw bs=512 skip={number} count={number + 1} if={copy} of={part}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return part.read_bytes()


def started(xen: libvirt_xen.XenHost, identity: UUID) -> tuple[int, str]:
    """How often the guest has started from its disk, and as what."""
    found = libvirt_xen.STARTED.match(sector(xen, f"{identity}.qcow2", 0))
    assert found is not None
    return int(found[1]), found[2].decode()


@pytest.mark.parametrize(("os_type", "guest"), [("xen", "PV"), ("xenpvh", "PVH"), ("hvm", "HVM")])
def test_a_machine_of_each_type_runs_on_its_disk_with_its_seed_and_card_and_obeys_a_shutdown(
    xen: libvirt_xen.XenHost, identity: UUID, os_type: str, guest: str
) -> None:
    with connect(xen.endpoint(os_type=os_type)) as connector:
        made = connector.create_vm(spec(connector, identity, SEED), identity)
        assert made.resources == SMALL
        connector.power(identity, PowerAction.ON)
        text = said(xen, identity, "card ")
        assert f"{libvirt_xen.UP} {guest}" in text
        user_data = hashlib.sha256(SEED.user_data.encode()).hexdigest()
        assert f"seed {user_data} user-data" in text
        sectors = 2**30 // 512
        assert f"disk xvda {sectors} 0" in text  # of the whole size, and not read-only
        (seed_disk,) = (line.split() for line in text.splitlines() if line.startswith("disk xvdp"))
        assert seed_disk[3] == "1"
        mac = ET.fromstring(xen.virsh("dumpxml", str(identity))).find("devices/interface/mac")
        assert mac is not None
        assert f"card {mac.get('address')}" in text
        assert connector.power(identity, PowerAction.SHUTDOWN).power is PowerState.OFF
        assert [disk.key for disk in connector.details(identity).disks] == ["xvda"]
    assert started(xen, identity) == (1, guest)


def test_an_hvm_machine_boots_from_the_disk_that_was_carried_to_it(
    xen: libvirt_xen.XenHost, identity: UUID, tmp_path: Path
) -> None:
    """The boot sector writes itself to the disk's second sector, by the BIOS."""
    disk = tmp_path / "disk.raw"
    disk.write_bytes(BOOT_SECTOR)
    with disk.open("r+b") as file:
        file.truncate(2**30)
    with connect(without_kernel(xen.endpoint(os_type="hvm"))) as connector:
        connector.create_vm(spec(connector, identity), identity)
        with disk.open("rb") as source:
            connector.import_disk(identity, "xvda", DiskFormat.RAW, source, lambda _done: None)
        connector.power(identity, PowerAction.ON)
        name = own_volume(xen, identity)
        tick = threading.Event()
        for _ in range(SAID_LIMIT_S):
            if sector(xen, name, 1) == BOOT_SECTOR:
                break
            tick.wait(1)
        connector.power(identity, PowerAction.OFF)
        exported = tmp_path / "exported.raw"
        with exported.open("wb") as target:
            connector.export_disk(identity, "xvda", DiskFormat.RAW, target, lambda _done: None)
    with exported.open("rb") as file:
        assert file.read(2 * len(BOOT_SECTOR)) == 2 * BOOT_SECTOR


@pytest.mark.parametrize(("os_type", "guest"), [("xen", "PV"), ("xenpvh", "PVH")])
def test_a_machine_boots_the_kernel_that_pygrub_finds_on_the_disk_that_was_carried_to_it(
    xen: libvirt_xen.XenHost, identity: UUID, tmp_path: Path, os_type: str, guest: str
) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk.raw"
    (root / "boot/grub").mkdir(parents=True)
    for file, name in zip(xen.guest, ("vmlinuz", "initrd"), strict=True):
        shutil.copyfile(file, root / "boot" / name)
    lines = (
        "menuentry 'Linux' {",
        f"linux /boot/vmlinuz {libvirt_xen.GUEST_CMDLINE}",
        "initrd /boot/initrd",
        "}",
        "",
    )
    (root / "boot/grub/grub.cfg").write_text("\n".join(lines))
    subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(disk), "1G"], check=True, capture_output=True)
    with connect(without_kernel(xen.endpoint(os_type=os_type))) as connector:
        connector.create_vm(spec(connector, identity), identity)
        with disk.open("rb") as source:
            connector.import_disk(identity, "xvda", DiskFormat.RAW, source, lambda _done: None)
        connector.power(identity, PowerAction.ON)
        assert f"{libvirt_xen.UP} {guest}" in said(xen, identity, "card ")
        connector.power(identity, PowerAction.SHUTDOWN)


def without_kernel(endpoint: Endpoint) -> Endpoint:
    """The endpoint, whose machines boot from their disks."""
    own = {
        name: value
        for name, value in endpoint.options.items()
        if name not in {"kernel", "initrd", "cmdline"}
    }
    return endpoint.model_copy(update={"options": own | {"bootloader": PYGRUB}})


def own_volume(xen: libvirt_xen.XenHost, identity: UUID) -> str:
    """The name of the volume of the machine's one disk, as virsh tells it."""
    (path,) = (line.split()[-1] for line in xen.virsh("domblklist", str(identity)).splitlines() if line)
    return path.rpartition("/")[2]


def test_a_disk_keeps_what_was_written_over_starts_and_grows_with_the_machine(
    xen: libvirt_xen.XenHost, identity: UUID
) -> None:
    larger = SMALL.model_copy(update={"vcpu": 2, "memory_mib": SMALL.memory_mib + 32, "disk_gib": 2})
    with connect(xen.endpoint(os_type="xen")) as connector:
        connector.create_vm(spec(connector, identity), identity)
        for number, size in enumerate((SMALL, larger), 1):
            assert connector.resize(identity, size).resources == size
            connector.power(identity, PowerAction.ON)
            said(xen, identity, "card ", number)
            info = rows(xen.virsh("dominfo", str(identity)))
            assert int(info["CPU(s)"]) == size.vcpu
            assert int(info["Used memory"].split()[0]) == size.memory_mib * 1024
            connector.power(identity, PowerAction.SHUTDOWN)
    assert f"disk xvda {2 * 2**30 // 512} 0" in xen.console(f"web {identity}")
    assert started(xen, identity) == (2, "PV")


def test_a_disk_that_is_added_while_the_guest_runs_is_there_at_its_next_start_too(
    xen: libvirt_xen.XenHost, identity: UUID
) -> None:
    with connect(xen.endpoint(os_type="xen")) as connector:
        connector.create_vm(spec(connector, identity, SEED), identity)
        connector.power(identity, PowerAction.ON)
        said(xen, identity, "card ")
        view = connector.add_disk(identity, NewDisk(name="data", size_gib=3))
        assert view.resources.disk_gib == 4
        (disk,) = (disk for disk in connector.details(identity).disks if disk.name == "data")
        assert disk.key == "xvdb"
        connector.power(identity, PowerAction.SHUTDOWN)
        connector.power(identity, PowerAction.ON)
        said(xen, identity, f"disk xvdb {3 * 2**30 // 512} 0")
        connector.remove_disk(identity, disk)
        assert "xvdb" not in xen.virsh("domblklist", str(identity))


def test_processor_time_and_network_are_those_that_the_control_domain_counts(
    xen: libvirt_xen.XenHost, identity: UUID
) -> None:
    with connect(xen.endpoint(os_type="xen")) as connector:
        connector.create_vm(spec(connector, identity), identity)
        connector.power(identity, PowerAction.ON)
        said(xen, identity, "card ")
        before_ms = cpu_ms(xen, identity)
        readings = connector.usage(datetime.now(UTC) - timedelta(minutes=1))
        seen = {reading.metric: reading.value for reading in readings if reading.identity == identity}
        after_ms = cpu_ms(xen, identity)
        card = xen.virsh("domiflist", str(identity)).split()[0]
        counted = [
            line.split() for line in xen.virsh("domifstat", str(identity), card).splitlines() if line
        ]
        network = {name: int(value) for _, name, value in counted}
    assert before_ms - 100 <= seen["cpu_ms"] <= after_ms + 100  # virsh rounds to 100 ms
    assert seen["memory_resident_mib"] == SMALL.memory_mib
    assert 0 <= seen["net_received_bytes"] <= network["rx_bytes"]
    assert 0 <= seen["net_sent_bytes"] <= network["tx_bytes"]


def cpu_ms(xen: libvirt_xen.XenHost, identity: UUID) -> int:
    return round(float(rows(xen.virsh("dominfo", str(identity)))["CPU time"].rstrip("s")) * 1000)


def test_what_machines_are_says_the_pool_and_the_control_domain_is_none(xen: libvirt_xen.XenHost) -> None:
    with connect(xen.endpoint(os_type="xenpvh")) as connector:
        seen, machines = connector.inventory()
    pool = seen.pools[0]
    assert "Xen" in seen.product
    assert "PVH" in seen.note
    assert "CUSTOM_XEN_XENPVH" in pool.traits
    assert machines == []
    own_kib = int(rows(xen.virsh("dominfo", "Domain-0"))["Used memory"].split()[0])
    all_kib = int(rows(xen.virsh("nodeinfo"))["Memory size"].split()[0])
    assert abs(pool.total.memory_mib - (all_kib - own_kib) / 1024) <= 1


def test_a_host_whose_processor_virtualizes_makes_hvm_machines_unless_told_otherwise(
    xen: libvirt_xen.XenHost,
) -> None:
    with connect(xen.endpoint()) as connector:
        seen = connector.probe()
        assert "CUSTOM_XEN_HVM" in seen.pools[0].traits
        gap = seen.pools[0].capabilities.gap(Capability.METRICS_NET)
        assert gap is not None
        assert gap.reason is GapReason.NEVER
        assert seen.note == ""


@pytest.mark.parametrize(
    ("os_type", "firmware"), [("xen", Firmware.BIOS), ("xenpvh", Firmware.UEFI), ("hvm", Firmware.UEFI)]
)
def test_firmware_that_a_machine_does_not_start_by_is_refused_with_nothing_left(
    xen: libvirt_xen.XenHost, identity: UUID, os_type: str, firmware: Firmware
) -> None:
    with connect(xen.endpoint(os_type=os_type)) as connector, pytest.raises(Refused, match="start by"):
        connector.create_vm(spec(connector, identity).model_copy(update={"firmware": firmware}), identity)


def test_a_disk_with_nothing_to_boot_is_refused_with_the_way_to_the_reason(
    xen: libvirt_xen.XenHost, identity: UUID
) -> None:
    with connect(without_kernel(xen.endpoint(os_type="xen"))) as connector:
        connector.create_vm(spec(connector, identity), identity)
        with pytest.raises(Refused, match=r"libxl-driver\.log"):
            connector.power(identity, PowerAction.ON)
        assert connector.get_vm(identity).power is PowerState.OFF
    assert "bootloader failed" in xen.volume("libxl-driver.log", "logs").read_text()


def test_snapshots_are_declared_missing_and_fail_so(xen: libvirt_xen.XenHost, identity: UUID) -> None:
    with connect(xen.endpoint(os_type="xen")) as connector:
        connector.create_vm(spec(connector, identity), identity)
        with pytest.raises(Unsupported, match="no snapshots"):
            connector.snapshot(identity, "before")


def test_a_frozen_host_ends_a_call_at_its_deadline_and_is_found_again(
    xen: libvirt_xen.XenHost,
) -> None:
    with connect(xen.endpoint(timeout_s=3)) as connector:
        xen.freeze()
        try:
            with pytest.raises(ConnectorError) as caught:
                connector.list_vms()
        finally:
            xen.thaw()
        assert caught.value.retriable
    with connect(xen.endpoint()) as connector:
        assert connector.list_vms() == []

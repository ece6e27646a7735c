"""Disks in and out of the simulator's datastores, read back from its files by qemu-img; and what goes wrong."""

import hashlib
import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, Disk, DiskFormat, NetworkCard, PowerAction, PowerState, VmSpec
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.simulators.vsphere import Rule, VsphereSimulator
from tierwise.testing.promises.disks import BLOCK, GIB, written_disk

pytestmark = [
    pytest.mark.counterpart("vcsim"),
    pytest.mark.skipif(
        shutil.which("qemu-img") is None, reason="qemu-img is not installed; apt-get install qemu-utils"
    ),
]

VMDK = DiskFormat.VMDK
SLACK_S = 0.5

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


def content(path: Path) -> bytes:
    """The SHA-256 of a raw image."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def read_disk(path: Path, form: DiskFormat) -> tuple[int, bytes]:
    """The virtual size of a disk image, and the SHA-256 of what a guest would read, by qemu-img."""
    raw = path.parent / f"{path.name}.out"
    command = ["qemu-img", "convert", "-f", form.value, "-O", "raw", str(path), str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    found = raw.stat().st_size, content(raw)
    raw.unlink()
    return found


@pytest.fixture
def small(spec: VmSpec) -> VmSpec:
    return spec.model_copy(update={"resources": Resources(vcpu=1, memory_mib=64, disk_gib=1)})


@pytest.fixture
def made(connector: Connector, small: VmSpec) -> tuple[UUID, str]:
    """A machine, and its disk's key."""
    identity = uuid4()
    connector.create_vm(small, identity)
    (disk,) = connector.details(identity).disks
    return identity, disk.key


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("image") / "in.vmdk"
    return path, content(written_disk(path, VMDK, GIB, seed=3).path)


def bring_in(connector: Connector, made: tuple[UUID, str], path: Path) -> None:
    with path.open("rb") as file:
        connector.import_disk(*made, VMDK, file, lambda _done: None)


def take_out(connector: Connector, made: tuple[UUID, str]) -> bytes:
    out = io.BytesIO()
    connector.export_disk(*made, VMDK, out, lambda _done: None)
    return out.getvalue()


def on_datastore(simulator: VsphereSimulator, name: str) -> Path:
    (found,) = simulator.files.glob(f"*/{name}/{name}.vmdk")
    return found


def assert_same(one: Path, other: Path) -> None:
    """Both disks have the same content, as qemu-img reads them; it passes over what both leave empty."""
    command = ["qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", one, other]
    subprocess.run(command, check=True, capture_output=True)


def assert_nothing_is_left(simulator: VsphereSimulator, look: Look, identity: UUID) -> None:
    """No lease, which would hold the machine; no helper machine, and no file of one."""
    with look(simulator) as raw:
        assert {vm.name for vm in raw.machines()} - {"DC0_C0_RP0_VM0"} == {"web"}
    assert list(simulator.files.glob("*/tierwise-import*")) == []
    assert simulator.open_leases() == 0
    calls = simulator.calls()
    assert calls.get("CreatePropertyCollector") == calls.get("DestroyPropertyCollector")
    simulator.rules()
    with registry.connect(simulator.endpoint(), simulator.password) as other:
        assert other.power(identity, PowerAction.ON).power is PowerState.ON


def test_what_is_taken_is_on_the_datastore_as_another_tool_reads_it(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    made: tuple[UUID, str],
    image: tuple[Path, bytes],
) -> None:
    bring_in(connector, made, image[0])
    assert read_disk(on_datastore(simulator, "web"), VMDK) == (GIB, image[1])
    with look(simulator) as raw:
        (machine,) = raw.of(made[0])
        assert [
            d.backing.fileName for d in machine.config.hardware.device if hasattr(d, "capacityInKB")
        ] == ["[LocalDS_0] web/web.vmdk"]
    assert_nothing_is_left(simulator, look, made[0])


def test_a_disk_taken_twice_has_the_second_content(
    simulator: VsphereSimulator,
    connector: Connector,
    made: tuple[UUID, str],
    image: tuple[Path, bytes],
    tmp_path: Path,
) -> None:
    bring_in(connector, made, image[0])
    other = tmp_path / "other.vmdk"
    written_disk(other, VMDK, GIB, seed=2)
    bring_in(connector, made, other)
    assert_same(on_datastore(simulator, "web"), other)


def test_what_is_given_is_what_lies_on_the_datastore(
    simulator: VsphereSimulator, connector: Connector, made: tuple[UUID, str], tmp_path: Path
) -> None:
    flat = on_datastore(simulator, "web").with_name("web-flat.vmdk")
    with flat.open("wb") as file:  # the second way in: written behind the driver's back
        for megabyte in (0, 333, 1023):
            file.seek(megabyte * BLOCK)
            file.write(os.urandom(BLOCK))
    out = tmp_path / "out.vmdk"
    out.write_bytes(take_out(connector, made))
    subprocess.run(["qemu-img", "check", "-f", "vmdk", out], check=True, capture_output=True)
    same = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", flat, out]
    subprocess.run(same, check=True, capture_output=True)
    assert out.stat().st_size < 5 * BLOCK, "empty parts take no room"


def test_an_empty_disk_is_given_as_an_empty_disk_and_takes_no_room(
    simulator: VsphereSimulator, connector: Connector, made: tuple[UUID, str], tmp_path: Path
) -> None:
    out = tmp_path / "out.vmdk"
    out.write_bytes(take_out(connector, made))
    assert out.stat().st_size < BLOCK
    size, _ = read_disk(out, VMDK)
    assert size == GIB
    assert sum(file.stat().st_blocks for file in simulator.files.rglob("*.vmdk")) * 512 < BLOCK


@pytest.mark.parametrize("kind", ["raw", "sparse", "empty"])
def test_a_file_in_another_format_is_refused_with_how_to_convert_it(
    connector: Connector,
    simulator: VsphereSimulator,
    look: Look,
    made: tuple[UUID, str],
    tmp_path: Path,
    kind: str,
) -> None:
    path = tmp_path / "in"
    if kind == "sparse":
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", path, "1G"], check=True)
    else:
        path.write_bytes(b"x" * (4096 if kind == "raw" else 0))
    with pytest.raises(Refused, match="streamOptimized"):
        bring_in(connector, made, path)
    assert "ImportVApp" not in simulator.calls()


def test_a_machine_with_snapshots_takes_no_disk(
    connector: Connector, made: tuple[UUID, str], image: tuple[Path, bytes]
) -> None:
    connector.snapshot(made[0], "before")
    with pytest.raises(Conflict, match="snapshots"):
        bring_in(connector, made, image[0])


OUT_FAULTS = [
    (Rule(method="ExportVm", action="fault", fault="InvalidState"), Conflict),
    (Rule(method="ExportVm", action="fault", fault="NoPermission"), Refused),
    (Rule(method="ExportVm", action="http", status=503), Unreachable),
    (Rule(method="GET /nfc", action="http", status=500), Unreachable),
    (Rule(method="GET /nfc", action="reset"), Unreachable),
    (Rule(method="GET /nfc", action="reset", after=True), Unreachable),
    (Rule(method="HttpNfcLeaseComplete", action="fault", fault="InvalidState"), Conflict),
]


def named(value: object) -> str | None:
    if isinstance(value, Rule):
        return f"{value.method.replace('/', '')}-{value.action}-{value.fault or value.status}-{value.after}"
    return None


@pytest.mark.parametrize(("rule", "kind"), OUT_FAULTS, ids=named)
def test_an_export_that_fails_leaves_nothing_and_works_when_repeated(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    made: tuple[UUID, str],
    image: tuple[Path, bytes],
    tmp_path: Path,
    rule: Rule,
    kind: type[ConnectorError],
) -> None:
    bring_in(connector, made, image[0])
    simulator.rules(rule)
    with pytest.raises(kind):
        take_out(connector, made)
    simulator.rules()
    out = tmp_path / "out.vmdk"
    out.write_bytes(take_out(connector, made))
    assert_same(out, image[0])
    assert_nothing_is_left(simulator, look, made[0])


IN_FAULTS = [
    (Rule(method="ImportVApp", action="fault", fault="NoDiskSpace"), Refused),
    (Rule(method="ImportVApp", action="fault", fault="NoPermission"), Refused),
    (Rule(method="POST /nfc", action="http", status=500), Unreachable),
    (Rule(method="POST /nfc", action="reset"), Unreachable),
    (Rule(method="HttpNfcLeaseComplete", action="fault", fault="InvalidState"), Conflict),
    (Rule(method="ReconfigVM_Task", action="task_error", fault="InvalidState"), Conflict),
    (Rule(method="DeleteVirtualDisk_Task", action="fault", fault="NoPermission"), Refused),
    (Rule(method="MoveVirtualDisk_Task", action="task_error", fault="NoDiskSpace"), Refused),
    (Rule(method="MoveVirtualDisk_Task", action="reset"), Unreachable),
]


@pytest.mark.parametrize(("rule", "kind"), IN_FAULTS, ids=named)
def test_an_import_that_fails_leaves_nothing_and_works_when_repeated(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    made: tuple[UUID, str],
    image: tuple[Path, bytes],
    rule: Rule,
    kind: type[ConnectorError],
) -> None:
    simulator.rules(rule)
    with pytest.raises(kind):
        bring_in(connector, made, image[0])
    with look(simulator) as raw:
        assert sorted(vm.name for vm in raw.machines()) == ["DC0_C0_RP0_VM0", "web"]
    assert list(simulator.files.glob("*/tierwise-import*")) == []
    simulator.rules()
    bring_in(connector, made, image[0])
    assert_same(on_datastore(simulator, "web"), image[0])
    assert_nothing_is_left(simulator, look, made[0])


@pytest.mark.parametrize("method", ["ExportVm", "ImportVApp"])
def test_a_session_that_ended_is_opened_anew_before_a_disk_is_carried(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    made: tuple[UUID, str],
    image: tuple[Path, bytes],
    method: str,
) -> None:
    simulator.rules(Rule(method=method, action="fault", fault="NotAuthenticated", times=1))
    if method == "ExportVm":
        take_out(connector, made)
    else:
        bring_in(connector, made, image[0])
    assert simulator.calls()[method] == 2
    assert_nothing_is_left(simulator, look, made[0])


@pytest.mark.parametrize("method", ["ExportVm", "GET /nfc"])
def test_an_export_without_an_answer_ends_at_the_deadline_and_leaves_nothing(
    simulator: VsphereSimulator, look: Look, made: tuple[UUID, str], method: str
) -> None:
    with registry.connect(simulator.endpoint(timeout_s=1.0), simulator.password) as hasty:
        simulator.rules(Rule(method=method, action="delay", delay_ms=3000, times=1))
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            take_out(hasty, made)
        assert 0.99 <= time.monotonic() - started <= 1.1 + SLACK_S + 0.5
    if method == "GET /nfc":
        assert_nothing_is_left(simulator, look, made[0])


def test_an_import_without_an_answer_ends_at_the_deadline_and_leaves_nothing(
    simulator: VsphereSimulator, look: Look, made: tuple[UUID, str], image: tuple[Path, bytes]
) -> None:
    with registry.connect(simulator.endpoint(timeout_s=1.0), simulator.password) as hasty:
        simulator.rules(Rule(method="POST /nfc", action="delay", delay_ms=3000, times=1))
        told: list[float] = []
        with image[0].open("rb") as file, pytest.raises(DeadlineExceeded):
            hasty.import_disk(*made, VMDK, file, lambda _done: told.append(time.monotonic()))
        assert time.monotonic() - told[-1] <= 1.1 + SLACK_S, "each part has the deadline"
    assert_nothing_is_left(simulator, look, made[0])


def test_a_transfer_may_take_longer_than_the_deadline_as_long_as_it_moves(
    start: Start, look: Look, small: VmSpec, image: tuple[Path, bytes]
) -> None:
    simulator = start(lease_timeout_s=2)
    identity = uuid4()
    told: list[int] = []
    with registry.connect(simulator.endpoint(timeout_s=1.5), simulator.password) as connector:
        connector.create_vm(small, identity)
        (disk,) = connector.details(identity).disks
        with Slow(image[0]) as file:
            started = time.monotonic()
            connector.import_disk(identity, disk.key, VMDK, file, told.append)
        assert time.monotonic() - started > 2.0, "longer than the deadline and than the lease lives"
    assert len(told) > 1
    assert simulator.calls()["HttpNfcLeaseProgress"] >= 1
    assert_same(on_datastore(simulator, "web"), image[0])


class Slow(io.FileIO):
    """A file whose parts of a transfer come late, as over a thin line."""

    def read(self, size: int = -1) -> bytes:  # type: ignore[override] # the base returns None only when not blocking
        if size > 4096:
            time.sleep(0.9)
        return super().read(size) or b""


def test_a_lease_that_vcenter_ended_is_an_error_and_leaves_no_machine(
    start: Start, look: Look, small: VmSpec, image: tuple[Path, bytes]
) -> None:
    simulator = start(lease_timeout_s=1)
    identity = uuid4()
    with registry.connect(simulator.endpoint(timeout_s=5), simulator.password) as connector:
        connector.create_vm(small, identity)
        (disk,) = connector.details(identity).disks
        simulator.rules(Rule(method="POST /nfc", action="delay", delay_ms=1500))
        with pytest.raises(Unreachable):
            bring_in(connector, (identity, disk.key), image[0])
    assert_nothing_is_left(simulator, look, identity)


@pytest.mark.parametrize("failing", ["write", "tell"])
def test_a_receiver_that_fails_ends_the_lease(
    simulator: VsphereSimulator, connector: Connector, look: Look, made: tuple[UUID, str], failing: str
) -> None:
    class Full(io.BytesIO):
        def write(self, _data: Any) -> int:
            raise OSError(28, "No space left on device")

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    if failing == "write":
        with pytest.raises(Refused, match="No space left"):
            connector.export_disk(*made, VMDK, Full(), lambda _done: None)
    else:
        with pytest.raises(KeyboardInterrupt):
            connector.export_disk(*made, VMDK, io.BytesIO(), stop)
    assert_nothing_is_left(simulator, look, made[0])


def test_a_helper_that_a_killed_worker_left_is_removed_by_the_next_import(
    start: Start, look: Look, small: VmSpec, image: tuple[Path, bytes]
) -> None:
    simulator = start(lease_timeout_s=5)
    identity = uuid4()
    connector = registry.connect(simulator.endpoint(timeout_s=10), simulator.password)
    with connector:
        connector.create_vm(small, identity)
        (disk,) = connector.details(identity).disks
        # The lease was completed, the disk not yet moved, and the worker could remove nothing any more.
        simulator.rules(
            Rule(method="ReconfigVM_Task", action="fault", fault="InvalidState"),
            Rule(method="Destroy_Task", action="fault", fault="InvalidState"),
        )
        with pytest.raises(Conflict):
            bring_in(connector, (identity, disk.key), image[0])
        with look(simulator) as raw:
            assert [vm.name for vm in raw.machines() if vm.name.startswith("tierwise-import-")]
        simulator.rules()
        bring_in(connector, (identity, disk.key), image[0])
    assert_same(on_datastore(simulator, "web"), image[0])
    assert_nothing_is_left(simulator, look, identity)


def test_a_reply_that_is_lost_before_the_lease_is_known_is_a_conflict_until_the_lease_ends(
    start: Start, look: Look, small: VmSpec, image: tuple[Path, bytes]
) -> None:
    simulator = start(lease_timeout_s=2)
    identity = uuid4()
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        connector.create_vm(small, identity)
        (disk,) = connector.details(identity).disks
        simulator.rules(Rule(method="ImportVApp", action="reset", after=True, times=1))
        with pytest.raises(Conflict) as caught:
            bring_in(connector, (identity, disk.key), image[0])
        assert caught.value.vendor_code == "TaskInProgress"


def test_the_details_are_what_the_vendors_client_shows(
    simulator: VsphereSimulator, look: Look, small: VmSpec
) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    identity = uuid4()
    options = {"network": "DC0_DVPG0"}
    endpoint = simulator.endpoint(options=options)
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        connector.create_vm(small, identity)
        (machine,) = raw.of(identity)
        more = vim.vm.device
        sata = more.VirtualAHCIController(key=-1, busNumber=0)
        card = more.VirtualE1000e(key=-2, macAddress="00:50:56:AB:CD:EF")
        card.backing = more.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
        disk = more.VirtualDisk(key=-3, controllerKey=-1, unitNumber=4, capacityInKB=2048)
        disk.backing = more.VirtualDisk.FlatVer2BackingInfo(fileName="", diskMode="persistent")
        change = more.VirtualDeviceSpec
        added = [change(operation="add", device=one) for one in (sata, card)]
        added.append(change(operation="add", fileOperation="create", device=disk))
        WaitForTask(machine.ReconfigVM_Task(vim.vm.ConfigSpec(firmware="efi", deviceChange=added)))
        boot = vim.vm.BootOptions(efiSecureBootEnabled=True)
        WaitForTask(machine.ReconfigVM_Task(vim.vm.ConfigSpec(bootOptions=boot)))
        found = connector.details(identity)
        keys = {d.capacityInKB: d.key for d in machine.config.hardware.device if hasattr(d, "capacityInKB")}
        macs = {d.macAddress for d in machine.config.hardware.device if hasattr(d, "macAddress")}
        first, second = str(keys[1 << 20]), str(keys[2048])
        boot.bootOrder = [vim.vm.BootOptions.BootableDiskDevice(deviceKey=keys[2048])]
        WaitForTask(machine.ReconfigVM_Task(vim.vm.ConfigSpec(bootOptions=boot)))
        reordered = connector.details(identity)
    assert (found.firmware, found.secure_boot, found.guest_tools) == ("uefi", True, "")
    assert [disk.key for disk in reordered.disks] == [second, first]
    assert set(found.disks) == {
        Disk(key=first, size_bytes=GIB, bus="pvscsi"),
        Disk(key=second, size_bytes=2048 * 1024, bus="ahci"),
    }
    assert {(card.model, card.network) for card in found.cards} == {
        ("vmxnet3", "DC0_DVPG0"),
        ("e1000e", "VM Network"),
    }
    assert {card.mac for card in found.cards} == {mac.lower() for mac in macs}
    assert NetworkCard(mac="00:50:56:ab:cd:ef", model="e1000e", network="VM Network") in found.cards

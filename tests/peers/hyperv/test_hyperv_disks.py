"""Disks carried to and from a simulated host; what stands on its side is read by qemu-img, not by the driver."""

import base64
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors import disks
from connectors.contract import Connector, DiskFormat, PowerAction, VmSpec
from connectors.disks import Image
from connectors.drivers.hyperv import dispatcher, marks
from connectors.drivers.hyperv.dispatcher import Command
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unreachable
from connectors.simulators.hyperv import USER, Estate, HypervSimulator, Rule

pytestmark = pytest.mark.counterpart("hyperv-sim")

Connect = Callable[..., Connector]

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
GIB, MIB = 2**30, 2**20
KEY = "SCSI 0:0"
SHELL_GONE = 2150858843


@pytest.fixture(autouse=True)
def _can_run() -> None:
    if reason := disks.missing():
        pytest.skip(reason)


def ignore(_done: int) -> None:
    pass


def image(path: Path, form: DiskFormat, seed: int = 1, *, fixed: bool = False) -> Image:
    """An image of 1 GiB with something at three places, in parts of their own where it is fixed."""
    raw = path.with_suffix(".raw")
    chance = random.Random(seed)
    with raw.open("wb") as file:
        file.truncate(GIB)
        for place in (0, 8, 16):
            file.seek(place * MIB)
            file.write(chance.randbytes(1000))
    kind = "fixed" if fixed else "dynamic"
    options = f"subformat={kind}," + ("force_size=on" if form is DiskFormat.VHD else "block_size=1048576")
    command = ["qemu-img", "convert", "-O", disks.QEMU_NAMES[form], "-o", options, str(raw), str(path)]
    subprocess.run(command, check=True)
    raw.unlink()
    return Image(path, form)


def take(connector: Connector, source: Image) -> list[int]:
    told: list[int] = []
    with source.path.open("rb") as file:
        connector.import_disk(IDENTITY, KEY, source.form, file, told.append)
    return told


def give(connector: Connector, target: Image) -> Image:
    with target.path.open("w+b") as file:
        connector.export_disk(IDENTITY, KEY, target.form, file, ignore)
    return target


@pytest.fixture
def spec() -> VmSpec:
    size = Resources(vcpu=1, memory_mib=512, disk_gib=1)
    return VmSpec(name="web-1", provider="HV-SIM-1", resources=size)


@pytest.fixture
def connector(simulator: HypervSimulator, connect: Connect, spec: VmSpec) -> Connector:
    """A connector to a host with one machine with an empty disk of 1 GiB."""
    opened = connect(simulator)
    opened.create_vm(spec, IDENTITY)
    return opened


def at_host(simulator: HypervSimulator) -> Image:
    """The one disk file that the host has."""
    (path,) = simulator.disks()
    return Image(simulator.content(path), DiskFormat.VHDX)


@pytest.mark.parametrize("form", [DiskFormat.VHDX, DiskFormat.VHD])
def test_what_was_sent_stands_on_the_hosts_one_disk(
    form: DiskFormat, connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", form)
    take(connector, sent)
    disks.must_be_equal(sent, at_host(simulator))


def test_a_second_client_reads_by_the_script_what_the_driver_wrote(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    shell = pytest.importorskip("pypsrp.shell", reason="pypsrp is not installed")
    wsman = pytest.importorskip("pypsrp.wsman", reason="pypsrp is not installed")
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    take(connector, sent)
    (path,) = simulator.disks()
    host, _, port = simulator.address.partition(":")
    secret = simulator.password.get_secret_value()
    client = wsman.WSMan(host, port=int(port), username=USER, password=secret, ssl=False, auth="ntlm")
    requests = [
        [Command("Read-Chunk", {"Path": path, "At": at, "Count": 70_000}, select=("Data", "Size"))]
        for at in (0, 70_000)
    ]
    with client, shell.WinRS(client) as opened:
        process = shell.Process(opened, dispatcher.COMMAND, dispatcher.arguments(), no_shell=True)
        process.begin_invoke()
        process.send(b"".join(map(dispatcher.request, requests)), end=True)
        process.end_invoke()
        process.signal(shell.SignalCode.TERMINATE)
    replies = dispatcher.read_replies(requests, process.stdout, process.stderr, process.rc)
    rows = [row for ((row,),) in replies]
    content = sent.path.read_bytes()
    assert b"".join(base64.b64decode(row["Data"]) for row in rows) == content[:140_000]
    assert [row["Size"] for row in rows] == [len(content)] * 2


def test_zeros_are_not_sent_and_each_part_has_its_own_time(
    connector: Connector, simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", DiskFormat.VHD, fixed=True)
    slow = [Rule(method="Write-Chunk", action="delay", delay_ms=1500, skip=n, times=1) for n in range(4)]
    simulator.rules(*slow)
    told = take(connect(simulator, timeout_s=5), sent)
    # Three places and the footer, at 1.5 s each: more than the limit in all.
    assert simulator.calls()["Write-Chunk"] == 4
    assert told == sorted(told)
    assert told[-1] == sent.path.stat().st_size
    disks.must_be_equal(sent, at_host(simulator))


def test_a_part_that_is_late_ends_the_transfer_and_leaves_the_old_disk(
    connector: Connector, simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    old = image(tmp_path / "old", DiskFormat.VHDX)
    take(connector, old)
    (attached,) = simulator.disks()
    late = connect(simulator, timeout_s=3)
    simulator.rules(Rule(method="Write-Chunk", action="delay", delay_ms=6000, times=1))
    with pytest.raises(DeadlineExceeded):
        take(late, image(tmp_path / "new", DiskFormat.VHDX, 2))
    disks.must_be_equal(old, Image(simulator.content(attached), DiskFormat.VHDX))
    disks.must_be_equal(old, give(connector, Image(tmp_path / "out", DiskFormat.VHDX)))
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


FAILURES = [
    ("Remove-Item", 0, False),
    ("Write-Chunk", 1, False),
    ("Write-Chunk", 1, True),
    ("Get-VHD", 2, False),
    ("Convert-VHD", 0, False),
    ("Convert-VHD", 0, True),
    ("Get-VMHardDiskDrive", 0, False),
    ("Rename-Item", 0, False),
    ("Rename-Item", 0, True),
    ("Set-VMHardDiskDrive", 0, False),
    ("Set-VMHardDiskDrive", 0, True),
]


@pytest.mark.parametrize("action", ["error", "reset"])
@pytest.mark.parametrize(("cmdlet", "skip", "after"), FAILURES)
def test_an_import_that_fails_anywhere_leaves_one_whole_disk_and_can_be_repeated(
    cmdlet: str,
    skip: int,
    after: bool,
    action: str,
    connector: Connector,
    simulator: HypervSimulator,
    tmp_path: Path,
) -> None:
    first, second = image(tmp_path / "1", DiskFormat.VHDX, 1), image(tmp_path / "2", DiskFormat.VHD, 2)
    take(connector, first)
    rule = {"method": cmdlet, "action": action, "error_id": "OperationFailed", "after": after, "skip": skip}
    simulator.rules(Rule.model_validate(rule | {"times": 1}))
    with pytest.raises(ConnectorError) as caught:
        take(connector, second)
    assert isinstance(caught.value, Refused if action == "error" else Unreachable)
    left = Image(at_host(simulator).path, DiskFormat.VHDX)
    switched = (cmdlet, after) == ("Set-VMHardDiskDrive", True) or (action == "reset" and cmdlet in LAST)
    disks.must_be_equal(second if switched else first, left)
    assert connector.details(IDENTITY).disks[0].size_bytes == GIB
    take(connector, second)
    disks.must_be_equal(second, at_host(simulator))


LAST = {"Get-VMHardDiskDrive", "Rename-Item", "Set-VMHardDiskDrive"}
"""A reset loses the answer of the whole last step, which the host goes through with."""


def test_what_a_killed_import_left_is_removed_by_the_next(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    simulator.rules(
        Rule(method="Rename-Item", action="error", error_id="RenameItemIOError", times=1),
        Rule(method="Remove-Item", action="error", error_id="RemoveFileSystemItemIOError", skip=1),
    )
    with pytest.raises(Refused):
        take(connector, sent)
    assert len(simulator.disks()) == 2
    simulator.rules()
    take(connector, sent)
    assert len(simulator.disks()) == 1
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_what_a_killed_export_left_is_removed_by_the_next(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    take(connector, sent)
    disk = at_host(simulator)
    simulator.rules(
        Rule(method="Remove-Item", action="error", error_id="RemoveFileSystemItemIOError", skip=1)
    )
    with pytest.raises(Conflict):
        give(connector, Image(tmp_path / "first", DiskFormat.VHD))
    assert len(simulator.disks()) == 2
    simulator.rules()
    disks.must_be_equal(disk, give(connector, Image(tmp_path / "second", DiskFormat.VHD)))
    assert len(simulator.disks()) == 1


@pytest.mark.parametrize("change", ["snapshot", "power on"])
def test_a_machine_that_changes_while_its_content_is_sent_keeps_its_disk_and_checkpoint(
    change: str, connector: Connector, simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    first = image(tmp_path / "1", DiskFormat.VHDX, 1)
    take(connector, first)
    (base,) = simulator.disks()
    other = connect(simulator)

    def meddle(_done: int) -> None:
        if change == "snapshot":
            other.snapshot(IDENTITY, "one")
        else:
            other.power(IDENTITY, PowerAction.ON)

    second = image(tmp_path / "2", DiskFormat.VHDX, 2)
    with second.path.open("rb") as file, pytest.raises(Conflict, match="while its content was sent"):
        connector.import_disk(IDENTITY, KEY, DiskFormat.VHDX, file, meddle)
    disks.must_be_equal(first, Image(simulator.content(base), DiskFormat.VHDX))
    files = [path for path in simulator.disks() if not path.endswith(".avhdx")]  # the checkpoint's
    assert not [path for path in files if "part-" in path or ("disk-" in path and path != base)]


def test_an_image_that_refers_to_another_file_is_refused(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    old = simulator.disks()
    made = image(tmp_path / "child", DiskFormat.VHD)
    content = bytearray(made.path.read_bytes())
    for footer in (0, len(content) - 512):
        content[footer + 60 : footer + 64] = (4).to_bytes(4, "big")
    made.path.write_bytes(content)
    with pytest.raises(Refused, match="Differencing"):
        take(connector, made)
    assert simulator.disks() == old


def test_what_is_no_image_is_refused(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    old = simulator.disks()
    vhd = image(tmp_path / "vhd", DiskFormat.VHD)
    (tmp_path / "text").write_text("no disk")
    (tmp_path / "empty").touch()
    for path in (vhd.path, tmp_path / "text", tmp_path / "empty"):
        with pytest.raises(Refused):
            take(connector, Image(path, DiskFormat.VHDX))
    assert simulator.disks() == old


def test_a_disk_with_checkpoints_is_given_whole_and_not_replaced(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    take(connector, sent)
    connector.snapshot(IDENTITY, "one")
    files = simulator.disks()
    disks.must_be_equal(sent, give(connector, Image(tmp_path / "out", DiskFormat.VHDX)))
    with pytest.raises(Conflict, match="checkpoints"):
        take(connector, sent)
    assert simulator.disks() == files


@pytest.mark.parametrize("cmdlet", ["Convert-VHD", "Read-Chunk"])
def test_an_export_that_fails_leaves_no_file_at_the_host(
    cmdlet: str, connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    old = simulator.disks()
    simulator.rules(Rule(method=cmdlet, action="error", error_id="OperationFailed", after=True, times=1))
    with pytest.raises(Refused):
        give(connector, Image(tmp_path / "out", DiskFormat.VHD))
    assert simulator.disks() == old


def test_a_machine_that_starts_while_its_disk_is_read_is_a_conflict(
    connector: Connector, simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    take(connector, image(tmp_path / "sent", DiskFormat.VHDX))
    other = connect(simulator)
    with (tmp_path / "out").open("w+b") as file, pytest.raises(Conflict, match="something else"):
        connector.export_disk(
            IDENTITY, KEY, DiskFormat.VHDX, file, lambda _: void(other.power(IDENTITY, PowerAction.ON))
        )


def void(_value: object) -> None:
    pass


def test_a_shell_that_goes_in_the_middle_is_opened_anew(
    connector: Connector, simulator: HypervSimulator, tmp_path: Path
) -> None:
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    simulator.rules(Rule(method="Command", action="fault", code=SHELL_GONE, skip=4, times=2))
    take(connector, sent)
    disks.must_be_equal(sent, at_host(simulator))


def test_a_disk_of_terabytes_with_little_in_it_is_carried_at_once(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec, tmp_path: Path
) -> None:
    connector = connect(simulator)
    large = Resources(vcpu=1, memory_mib=512, disk_gib=3000)
    connector.create_vm(spec.model_copy(update={"resources": large}), IDENTITY)
    out = give(connector, Image(tmp_path / "out", DiskFormat.VHDX))
    assert disks.size_bytes(out) == 3000 * GIB
    assert out.path.stat().st_size < GIB // 16
    with pytest.raises(Refused), (tmp_path / "vhd").open("w+b") as file:
        connector.export_disk(IDENTITY, KEY, DiskFormat.VHD, file, ignore)
    assert len(simulator.disks()) == 1


def test_a_disk_outside_the_machines_own_folder_is_not_touched(
    simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    path = f"{Estate().folder}\\{marks.folder_name(IDENTITY, '0a1b2c3d')}"
    simulator.plant("web", path=path, notes=marks.notes(IDENTITY, {}), disk_bytes=GIB)
    with pytest.raises(Refused, match="only files in"):
        give(connect(simulator), Image(tmp_path / "out", DiskFormat.VHDX))
    assert "Read-Chunk" not in simulator.calls()


def test_a_disk_keeps_its_content_when_it_grows_and_its_key_when_it_is_replaced(
    connector: Connector, simulator: HypervSimulator, spec: VmSpec, tmp_path: Path
) -> None:
    take(connector, image(tmp_path / "sent", DiskFormat.VHDX))
    connector.resize(IDENTITY, spec.resources + Resources(disk_gib=1))
    (disk,) = connector.details(IDENTITY).disks
    assert (disk.key, disk.size_bytes, disk.bus) == (KEY, 2 * GIB, "SCSI")
    raw = tmp_path / "at-host.raw"
    subprocess.run(
        ["qemu-img", "convert", "-f", "vhdx", "-O", "raw", str(at_host(simulator).path), str(raw)],
        check=True,
    )
    chance = random.Random(1)
    with raw.open("rb") as file:
        for place in (0, 8, 16):
            file.seek(place * MIB)
            assert file.read(1000) == chance.randbytes(1000)


def test_details_tell_firmware_cards_and_a_mac_once_there_is_one(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec
) -> None:
    connector = connect(simulator, switch="External")
    connector.create_vm(spec, IDENTITY)
    found = connector.details(IDENTITY)
    assert (found.firmware, found.secure_boot, found.guest_tools) == ("uefi", True, "")
    assert [(card.mac, card.model, card.network) for card in found.cards] == [("", "synthetic", "External")]
    connector.power(IDENTITY, PowerAction.ON)
    assert [card.mac for card in connector.details(IDENTITY).cards] == ["00:15:5d:00:10:00"]


def test_a_machine_of_generation_1_starts_by_bios_from_ide(
    simulator: HypervSimulator, connect: Connect
) -> None:
    path = f"{Estate().folder}\\{marks.folder_name(IDENTITY, '0a1b2c3d')}"
    notes = marks.notes(IDENTITY, {})
    simulator.plant("old", path=path, notes=notes, disk_bytes=GIB, generation=1)
    found = connect(simulator).details(IDENTITY)
    assert (found.firmware, found.secure_boot) == ("bios", False)
    assert [(disk.key, disk.size_bytes) for disk in found.disks] == [("IDE 0:0", GIB)]


def test_a_machine_that_is_gone_when_its_disk_is_asked_for_is_not_found(
    connector: Connector, simulator: HypervSimulator, connect: Connect, tmp_path: Path
) -> None:
    simulator.rules(Rule(method="Get-VM", action="error", error_id="InvalidParameter", skip=1, times=1))
    with pytest.raises(NotFound):
        give(connector, Image(tmp_path / "out", DiskFormat.VHDX))


def test_a_host_that_makes_machines_of_generation_1_lets_bios_machines_come(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec, tmp_path: Path
) -> None:
    connector = connect(simulator, generation=1)
    connector.create_vm(spec, IDENTITY)
    found = connector.details(IDENTITY)
    assert (found.firmware, [disk.key for disk in found.disks]) == ("bios", ["IDE 0:0"])
    sent = image(tmp_path / "sent", DiskFormat.VHDX)
    with sent.path.open("rb") as file:
        connector.import_disk(IDENTITY, "IDE 0:0", DiskFormat.VHDX, file, ignore)
    disks.must_be_equal(sent, at_host(simulator))


def test_a_generation_that_hyper_v_does_not_have_is_refused(
    simulator: HypervSimulator, connect: Connect
) -> None:
    with pytest.raises(Refused, match="generation"):
        connect(simulator, generation=3)

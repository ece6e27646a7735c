"""Machines of templates at a simulated host: what stands on their disks, and copies that are long, cut off, or at once."""

import multiprocessing
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import disks, registry
from connectors.contract import Connector, DiskFormat, Firmware, PowerAction, VmSpec
from connectors.disks import Image
from connectors.drivers.hyperv.connector import HypervConnector
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
GIB, MIB = 2**30, 2**20
GOLDEN = "D:\\Golden\\debian-12.vhdx"
OLD = "D:\\Golden\\rhel-6.vhd"
NAMED = {"DEBIAN_12": GOLDEN, "RHEL_6": OLD}
SPEC = VmSpec(
    name="web-1",
    provider="HV-SIM-1",
    resources=Resources(vcpu=1, memory_mib=512, disk_gib=2),
    traits=frozenset({"CUSTOM_TEMPLATE_DEBIAN_12"}),
)
LONG_MS = 12_000
NEVER_MS = 10**12


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the templates' images, with disks of 1 GiB."""
    if reason := disks.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("golden")
    raw, chance = folder / "raw", random.Random(1)
    with raw.open("wb") as file:
        file.truncate(GIB)
        for place in (0, 9 * MIB, GIB - 1000):
            file.seek(place)
            file.write(chance.randbytes(1000))
    for kind, path in (("vhdx", GOLDEN), ("vpc", OLD)):
        options = ["-o", "force_size=on"] if kind == "vpc" else []
        made = folder / path.rpartition("\\")[2]
        subprocess.run(["qemu-img", "convert", "-O", kind, *options, str(raw), str(made)], check=True)
    return folder


@pytest.fixture
def host(start: Start, golden: Path) -> Callable[..., HypervSimulator]:
    """Starts a host with the templates."""

    def one(estate: Estate | None = None) -> HypervSimulator:
        simulator = start(estate)
        for path in NAMED.values():
            simulator.put(path, golden / path.rpartition("\\")[2])
        return simulator

    return one


def opened(
    connect: Connect, simulator: HypervSimulator, timeout_s: float = 20, **more: object
) -> Connector:
    return connect(simulator, timeout_s=timeout_s, templates=NAMED, **more)


def made_at(simulator: HypervSimulator) -> list[str]:
    """The files that are no templates."""
    return [path for path in simulator.disks() if path not in NAMED.values()]


def calls(simulator: HypervSimulator, name: str) -> int:
    return simulator.calls().get(name, 0)


def wait_for(simulator: HypervSimulator, copies: int = 1) -> None:
    """Until so many copies have begun, and one is under way."""
    until_s = time.monotonic() + 30
    while calls(simulator, "Convert-VHD") < copies or not made_at(simulator):
        assert time.monotonic() < until_s, "no copy began"
        time.sleep(0.02)


def must_be_whole(simulator: HypervSimulator, golden: Path) -> None:
    """The host's one machine has the template's content, and zeros from there to its end."""
    (path,) = made_at(simulator)
    command = ["qemu-img", "compare", "-f", "vhdx", "-F", "vhdx"]
    subprocess.run([*command, str(golden / "debian-12.vhdx"), str(simulator.content(path))], check=True)
    found = disks.size_bytes(Image(simulator.content(path), DiskFormat.VHDX))
    assert found == SPEC.resources.disk_gib * GIB


def must_be_one(simulator: HypervSimulator, connector: Connector, golden: Path) -> None:
    assert [view.identity for view in connector.list_vms()] == [IDENTITY]
    must_be_whole(simulator, golden)


def begin(endpoint: Endpoint, password: SecretStr) -> None:
    """What a worker does that is killed."""
    with registry.connect(endpoint, password) as connector:
        connector.create_vm(SPEC, IDENTITY)


@contextmanager
def another_worker(simulator: HypervSimulator) -> Iterator[None]:
    """A worker in a process of its own, which is killed in the middle of its copy."""
    endpoint = simulator.endpoint(timeout_s=30, options={"templates": NAMED})
    worker = multiprocessing.get_context("spawn").Process(
        target=begin, args=(endpoint, simulator.password), daemon=True
    )
    worker.start()
    try:
        wait_for(simulator)
        yield
    finally:
        worker.kill()
        worker.join()


def test_the_disk_is_a_copy_that_was_grown_and_its_machine_starts(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host()
    connector = opened(connect, simulator)
    view = connector.create_vm(SPEC, IDENTITY)
    assert view.resources == SPEC.resources
    must_be_one(simulator, connector, golden)
    assert connector.details(IDENTITY).firmware is Firmware.UEFI
    assert connector.power(IDENTITY, PowerAction.ON).power.value == "on"
    connector.delete_vm(IDENTITY)
    assert made_at(simulator) == []


def test_a_copy_may_take_longer_than_one_timeout_while_it_comes_further(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=LONG_MS))
    connector = opened(connect, simulator, timeout_s=10)
    connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Convert-VHD") == 1
    must_be_one(simulator, connector, golden)


def test_a_copy_that_comes_no_further_is_called_off_at_the_deadline(
    host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host(Estate(conversion_ms=NEVER_MS))
    connector = opened(connect, simulator, timeout_s=4)
    began_s = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        connector.create_vm(SPEC, IDENTITY)
    assert time.monotonic() - began_s < 10
    assert (connector.list_vms(), made_at(simulator)) == ([], [])
    counted = simulator.calls()
    assert counted["Signal"] == counted["Command"]


def test_a_copy_whose_worker_was_killed_goes_on_and_the_next_call_takes_it_over(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=LONG_MS))
    with another_worker(simulator):
        pass
    connector = opened(connect, simulator, timeout_s=10)
    connector.create_vm(SPEC, IDENTITY)
    assert (calls(simulator, "Convert-VHD"), calls(simulator, "New-VM")) == (1, 1)
    must_be_one(simulator, connector, golden)


@pytest.mark.parametrize("outlives", [False, True], ids=["stops", "goes on"])
def test_a_copy_whose_process_was_ended_is_removed_and_made_anew(
    outlives: bool, host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=3000, conversions_outlive=outlives))
    with another_worker(simulator):
        pass
    simulator.restart()
    connector = opened(connect, simulator)
    connector.create_vm(SPEC, IDENTITY)
    assert (calls(simulator, "Convert-VHD"), calls(simulator, "New-VM")) == (2, 1)
    must_be_one(simulator, connector, golden)


def test_a_lost_answer_does_not_end_the_copy(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=8000))
    connector = opened(connect, simulator)
    connector.list_vms()
    threading.Timer(
        0.1, lambda: (wait_for(simulator), simulator.rules(Rule(method="Receive", action="reset", times=1)))
    ).start()
    connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Receive") > 1, "no answer was lost"
    assert calls(simulator, "New-VM") == 1
    assert calls(simulator, "Convert-VHD") == 0, "counting began anew with the rule; a second copy began"
    must_be_one(simulator, connector, golden)
    assert simulator.shells() == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_answer_lost_while_the_machine_is_finished_costs_no_second_copy(
    after: bool, host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host()
    connector = opened(connect, simulator, timeout_s=20)
    simulator.rules(Rule(method="Set-VM", action="reset", after=after, times=1))
    with pytest.raises(Unreachable):
        connector.create_vm(SPEC, IDENTITY)
    assert len(made_at(simulator)) == 1
    connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Convert-VHD") == 1
    must_be_one(simulator, connector, golden)


def test_a_restart_of_winrm_in_the_middle_costs_the_copy_and_not_the_machine(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=2000))
    connector = opened(connect, simulator)
    threading.Timer(0.1, lambda: (wait_for(simulator), simulator.restart())).start()
    connector.create_vm(SPEC, IDENTITY)
    must_be_one(simulator, connector, golden)
    assert simulator.shells() == 1


@pytest.mark.parametrize("on", ["Command", "Send"])
def test_a_request_of_which_nobody_knows_whether_it_arrived_makes_one_copy(
    on: str, host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=500))
    connector = opened(connect, simulator, timeout_s=10)
    # The first five requests are looks; the sixth is to copy, and gets nowhere.
    simulator.rules(Rule(method=on, action="reset", after=on == "Command", skip=5, times=1))
    connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Convert-VHD") == 1
    must_be_one(simulator, connector, golden)


@pytest.mark.parametrize(("paused", "skip"), [("Resize-VHD", 0), ("Rename-Item", 1), ("New-VM", 0)])
def test_a_process_that_pauses_for_so_long_that_another_takes_over_makes_no_second_machine(
    paused: str, skip: int, host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host(Estate(conversion_ms=1000))
    workers = [opened(connect, simulator, timeout_s=15), opened(connect, simulator, timeout_s=15)]
    # The first renames when it begins, and when it claims its copy.
    simulator.rules(Rule(method=paused, action="delay", delay_ms=7000, skip=skip, times=1))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(workers[0].create_vm, SPEC, IDENTITY)
        wait_for(simulator)
        second = threads.submit(workers[1].create_vm, SPEC, IDENTITY)
        views = [first.result(), second.result()]
    assert calls(simulator, "Convert-VHD") == 2, "nobody took over"
    assert views[0] == views[1]
    assert workers[0].list_vms() == [views[0]]
    assert len(made_at(simulator)) == 1


@pytest.mark.parametrize("slow", ["Convert-VHD", "Rename-Item", "New-VM", "Get-VM"])
def test_workers_that_make_one_machine_of_a_template_at_different_paces_make_one(
    slow: str, host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host(Estate(conversion_ms=300))
    workers = [opened(connect, simulator) for _ in range(3)]
    simulator.rules(*(Rule(method=slow, action="delay", delay_ms=400, skip=n, times=1) for n in (0, 2, 4)))
    with ThreadPoolExecutor(3) as threads:
        views = list(threads.map(lambda worker: worker.create_vm(SPEC, IDENTITY), workers))
    assert [view.identity for view in workers[0].list_vms()] == [IDENTITY], "a loser was left behind"
    assert {view.native_id for view in views} == {workers[0].get_vm(IDENTITY).native_id}
    assert len(made_at(simulator)) == 1


@pytest.mark.parametrize(
    ("cmdlet", "after"),
    [
        ("Convert-VHD", False),
        ("Convert-VHD", True),
        ("Resize-VHD", True),
        ("Rename-Item", False),
        ("Rename-Item", True),
        ("New-VM", False),
        ("New-VM", True),
        ("Set-VM", True),
    ],
)
def test_a_create_of_a_template_that_fails_anywhere_leaves_nothing_behind(
    cmdlet: str, after: bool, host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host()
    connector = opened(connect, simulator, timeout_s=15)
    simulator.rules(Rule(method=cmdlet, action="error", error_id="OperationFailed", after=after))
    with pytest.raises(Refused):
        connector.create_vm(SPEC, IDENTITY)
    assert (connector.list_vms(), made_at(simulator)) == ([], [])
    simulator.rules()
    connector.create_vm(SPEC, IDENTITY)
    must_be_one(simulator, connector, golden)


@pytest.mark.parametrize("cmdlet", ["Resize-VHD", "Rename-Item"])
def test_a_copy_that_something_has_open_for_a_moment_is_not_made_again(
    cmdlet: str, host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host()
    connector = opened(connect, simulator)
    begins = int(cmdlet == "Rename-Item")
    simulator.rules(Rule(method=cmdlet, action="error", error_id="OperationFailed", skip=begins, times=2))
    connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Convert-VHD") == 1
    must_be_one(simulator, connector, golden)


def test_a_volume_that_fills_up_during_the_copy_fails_the_create_and_gets_the_room_back(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path
) -> None:
    simulator = host(Estate(conversion_ms=3000, volumes={"E:\\": 2}, folder="E:\\Machines"))
    simulator.put("E:\\other.vhdx", golden / "debian-12.vhdx")
    other = simulator.content("E:\\other.vhdx")
    connector = opened(connect, simulator)
    threading.Timer(0.1, lambda: (wait_for(simulator, 1), os.truncate(other, 2 * GIB))).start()
    with pytest.raises(Refused, match="not enough space") as caught:
        connector.create_vm(SPEC, IDENTITY)
    assert caught.value.vendor_code.startswith("OperationFailed,")
    assert (connector.list_vms(), made_at(simulator)) == ([], ["E:\\other.vhdx"])
    with pytest.raises(Refused, match=r"'E:\\Machines' has 0 MiB free"):
        connector.create_vm(SPEC, IDENTITY)
    assert calls(simulator, "Convert-VHD") == 1
    os.truncate(other, MIB)
    assert connector.create_vm(SPEC, IDENTITY).identity == IDENTITY


def test_a_delete_during_the_copy_ends_when_that_is_over_and_leaves_nothing(
    host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host(Estate(conversion_ms=8000))
    with another_worker(simulator):
        pass
    connector = opened(connect, simulator, timeout_s=3)
    with pytest.raises(Conflict, match="in use"):
        connector.delete_vm(IDENTITY)
    until_s = time.monotonic() + 30
    while not connector.list_vms():
        assert time.monotonic() < until_s
        time.sleep(0.1)
    connector.delete_vm(IDENTITY)
    assert (connector.list_vms(), made_at(simulator)) == ([], [])


def test_an_order_smaller_than_its_template_is_refused_with_what_it_needs(
    host: Callable[..., HypervSimulator], connect: Connect, golden: Path, tmp_path: Path
) -> None:
    simulator = host()
    large = tmp_path / "large.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(large), "4608M"], check=True)
    simulator.put(GOLDEN, large)
    connector = opened(connect, simulator)
    told = {
        one.trait: (one.size_bytes, one.minimum_disk_gib) for one in connector.probe().pools[0].templates
    }
    assert told == {"CUSTOM_TEMPLATE_DEBIAN_12": (4608 * MIB, 5), "CUSTOM_TEMPLATE_RHEL_6": (GIB, 1)}
    with pytest.raises(Refused, match=r"has 5 GiB, not 2 GiB") as caught:
        connector.create_vm(SPEC, IDENTITY)
    assert caught.value.hint.startswith("order at least 5 GiB")
    assert made_at(simulator) == []


def test_a_file_that_is_no_disk_is_not_offered_and_an_order_for_it_is_refused(
    host: Callable[..., HypervSimulator], connect: Connect, tmp_path: Path
) -> None:
    simulator = host()
    (tmp_path / "text").write_text("no disk")
    simulator.put(GOLDEN, tmp_path / "text")
    connector = opened(connect, simulator)
    found = connector.probe()
    assert found.pools[0].traits == {"CUSTOM_TEMPLATE_RHEL_6"}
    assert "CUSTOM_TEMPLATE_DEBIAN_12 is not offered: its file 'D:\\Golden\\debian-12.vhdx'" in found.note
    with pytest.raises(Refused, match="no virtual hard disk"):
        connector.create_vm(SPEC, IDENTITY)
    assert made_at(simulator) == []


@pytest.mark.parametrize(
    ("name", "told", "starts_by"),
    [
        ("DEBIAN_12", {}, Firmware.UEFI),
        ("DEBIAN_12", {"DEBIAN_12": "bios"}, Firmware.BIOS),
        ("RHEL_6", {}, Firmware.BIOS),
        ("RHEL_6", {"RHEL_6": "uefi"}, Firmware.UEFI),
    ],
)
def test_a_machine_starts_by_what_its_template_does(
    name: str,
    told: dict[str, str],
    starts_by: Firmware,
    host: Callable[..., HypervSimulator],
    connect: Connect,
) -> None:
    connector = opened(connect, host(), template_firmware=told)
    spec = SPEC.model_copy(update={"traits": frozenset({f"CUSTOM_TEMPLATE_{name}"})})
    other = Firmware.BIOS if starts_by is Firmware.UEFI else Firmware.UEFI
    with pytest.raises(Refused, match=f"starts by {starts_by}, not by {other}"):
        connector.create_vm(spec.model_copy(update={"firmware": other}), IDENTITY)
    connector.create_vm(spec, IDENTITY)
    assert connector.details(IDENTITY).firmware is starts_by
    (offered,) = (one for one in connector.probe().pools[0].templates if one.trait in spec.traits)
    assert (offered.size_bytes, offered.minimum_disk_gib, offered.firmware) == (GIB, 1, starts_by)


def test_what_the_options_say_of_templates_is_checked_when_the_endpoint_is_opened(
    host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host()
    with pytest.raises(Refused, match=r"option 'template_firmware\.DEBIAN_12'"):
        opened(connect, simulator, template_firmware={"DEBIAN_12": "open firmware"})
    with pytest.raises(Refused, match="template_firmware has DEBIAN, which templates does not name"):
        opened(connect, simulator, template_firmware={"DEBIAN": "bios"})
    with pytest.raises(Refused, match="option 'templates'"):
        connect(simulator, templates={"debian": GOLDEN})


def test_the_script_makes_copies_in_folders_of_ours_only(
    host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    connector = opened(connect, host())
    assert isinstance(connector, HypervConnector)
    session = connector._session
    assert session is not None
    ours = f"E:\\Machines\\tierwise-{IDENTITY}-00000000\\disks"
    for name, params in (
        (
            "Hyper-V\\Convert-VHD",
            {"Path": GOLDEN, "DestinationPath": "E:\\disk.vhdx", "VHDType": "Dynamic"},
        ),
        ("New-Folder", {"Path": "E:\\Machines"}),
        ("Microsoft.PowerShell.Management\\Get-Item", {"LiteralPath": GOLDEN}),
        ("Read-Chunk", {"Path": GOLDEN, "At": 0, "Count": 1}),
        ("Microsoft.PowerShell.Management\\Remove-Item", {"Path": GOLDEN, "Recurse": True}),
    ):
        with pytest.raises(PowerShellError, match="not allowed"):
            session.run([Command(name, params)])
    session.run([Command("New-Folder", {"Path": ours})])


def test_a_host_that_is_gone_during_the_copy_is_told(
    host: Callable[..., HypervSimulator], connect: Connect
) -> None:
    simulator = host(Estate(conversion_ms=LONG_MS))
    connector = opened(connect, simulator, timeout_s=5)
    connector.list_vms()
    threading.Timer(0.1, lambda: (wait_for(simulator), simulator.stop())).start()
    with pytest.raises(ConnectorError) as caught:
        connector.create_vm(SPEC, IDENTITY)
    assert caught.value.retriable

"""Disks moved between storage pools of a real libvirtd while their machines run or are off, and what ends that early."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState, Seed, VmSpec, VmView
from connectors.drivers.libvirt import seeds
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
    Unsupported,
)
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirt_pair, libvirtd
from connectors.simulators.libvirt_guest import kept, ticks

pytestmark = pytest.mark.counterpart("libvirt-qemu")

MIB = 2**20
SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
LINUX = SMALL.model_copy(update={"memory_mib": libvirt_guest.LINUX_MEMORY_MIB})
SAID_LIMIT_S = 120
CONTENT_MIB = 24
FAST = "fast"


@pytest.fixture(scope="module")
def fast(daemon: libvirtd.PrivateLibvirtd) -> Path:
    """The folder of a second storage pool."""
    folder = daemon.folder / FAST
    folder.mkdir()
    daemon.virsh("pool-define-as", FAST, "dir", "--target", str(folder))
    daemon.virsh("pool-start", FAST)
    return folder


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd, fast: Path) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with connect(daemon.qemu_endpoint()) as connector:
        connector.delete_vm(fresh)
    assert files(daemon.images, fresh) + files(fast, fresh) == []


def files(folder: Path, identity: UUID) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{identity}*"))


def make(endpoint: Endpoint, identity: UUID, *, on: bool = True, resources: Resources = SMALL) -> VmView:
    with connect(endpoint) as connector:
        provider = connector.probe().pools[0].provider
        made = connector.create_vm(
            VmSpec(name=f"stored-{identity.hex[:8]}", provider=provider, resources=resources), identity
        )
        return connector.power(identity, PowerAction.ON) if on else made


def fill(image: Path) -> str:
    """Write content that does not shrink into a machine's disk; its SHA-256 as `content` tells it."""
    for offset_mib in (0, 700):
        source = image.with_name("fill")
        source.write_bytes(hashlib.shake_256(str(offset_mib).encode()).digest(CONTENT_MIB // 2 * MIB))
        command = ["qemu-io", "-f", "qcow2", "-c", f"write -s {source} {offset_mib}M {CONTENT_MIB // 2}M"]
        subprocess.run([*command, str(image)], check=True, capture_output=True)
        source.unlink()
    return content(image)


def content(image: Path) -> str:
    """The SHA-256 of what a guest would read from the disk, by qemu-img."""
    raw = image.with_name("content.raw")
    command = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(image), str(raw)]
    subprocess.run(command, check=True)
    with raw.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    raw.unlink()
    return digest


def disk_of(daemon: libvirtd.PrivateLibvirtd, identity: UUID, *, next_start: bool = False) -> Path:
    """The file of a machine's disk, as virsh tells it."""
    words = ["--inactive"] if next_start else []
    for line in daemon.virsh("domblklist", str(identity), *words).splitlines():
        if line.split()[:1] == ["vda"]:
            return Path(line.split()[1])
    pytest.fail("the machine has no disk")


def move(endpoint: Endpoint, identity: UUID, tell: Callable[[int], None] = lambda _: None) -> VmView:
    with connect(endpoint) as connector:
        return connector.storage_migrate(identity, FAST, tell)


def said(daemon: libvirtd.PrivateLibvirtd, identity: UUID, holds: Callable[[str], bool]) -> str:
    log, tick = daemon.serial_log(identity), threading.Event()
    for _ in range(SAID_LIMIT_S * 20):
        text = log.read_text(errors="replace") if log.exists() else ""
        if holds(text):
            return text
        tick.wait(0.05)
    pytest.fail(f"the guest never said what was expected; it said {text!r}")


def is_where_it_was(daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID, *, runs: bool) -> bool:
    """Whether nothing is left of a move that failed: one file, in the first pool, and no copying."""
    state = daemon.virsh("domstate", str(identity)).strip()
    here = disk_of(daemon, identity).parent == daemon.images and len(files(daemon.images, identity)) == 1
    no_job = not runs or not daemon.virsh("blockjob", str(identity), "vda").strip()
    return here and no_job and files(fast, identity) == [] and (state == "running") == runs


@pytest.fixture(scope="module")
def linux(pytestconfig: pytest.Config) -> dict[str, str]:
    try:
        return libvirt_pair.linux_options(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))


def test_a_machine_that_is_off_finds_its_whole_content_in_the_other_pool(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    before = make(daemon.qemu_endpoint(), identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    told: list[int] = []
    assert move(daemon.qemu_endpoint(), identity, told.append) == before
    assert told[-1] == 1024 * MIB
    assert disk_of(daemon, identity).parent == fast
    assert content(disk_of(daemon, identity)) == wrote
    assert files(daemon.images, identity) == []
    assert len(files(fast, identity)) == 1


def test_a_running_machine_s_disk_is_copied_under_it_with_all_that_was_on_it(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    endpoint = daemon.qemu_endpoint()
    make(endpoint, identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    with connect(endpoint) as connector:
        before = connector.power(identity, PowerAction.ON)
        told: list[int] = []
        assert connector.storage_migrate(identity, FAST, told.append) == before
        assert told == sorted(told)
        assert daemon.virsh("domstate", str(identity)).strip() == "running"
        assert disk_of(daemon, identity).parent == fast
        assert disk_of(daemon, identity, next_start=True) == disk_of(daemon, identity)
        assert connector.storage_migrate(identity, FAST, told.append) == before
        connector.power(identity, PowerAction.OFF)
    assert content(disk_of(daemon, identity)) == wrote
    assert (files(daemon.images, identity), len(files(fast, identity))) == ([], 1)


def test_a_guest_goes_on_while_its_disk_moves_and_reads_what_it_wrote_after_a_restart(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, linux: dict[str, str], identity: UUID
) -> None:
    endpoint = daemon.qemu_endpoint(**linux)
    make(endpoint, identity, resources=LINUX)
    first = said(daemon, identity, lambda text: len(ticks(text)) > 1)
    move(endpoint, identity)
    text = said(daemon, identity, lambda text: ticks(text)[-1] > ticks(first)[-1] + 1)
    assert text.count(libvirt_guest.UP) == 1
    with connect(endpoint) as connector:
        connector.power(identity, PowerAction.OFF)
        connector.power(identity, PowerAction.ON)
    text = said(daemon, identity, lambda text: len(kept(text)) == 2)
    assert kept(text)[0] == kept(text)[1]
    assert text.count(libvirt_guest.WRITTEN) == 1
    assert disk_of(daemon, identity).parent == fast


def test_a_copy_that_comes_no_further_is_called_off_at_the_deadline(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    timeout_s, stalled_s = 3.0, 0.0

    def stall(done: int) -> None:
        nonlocal stalled_s
        if done and not stalled_s:
            daemon.virsh("blockjob", str(identity), "vda", "--bandwidth", "1", "--bytes")
            stalled_s = time.monotonic()

    with connect(daemon.qemu_endpoint(timeout_s=timeout_s, copy_mib_per_s="4")) as connector:
        connector.power(identity, PowerAction.ON)
        with pytest.raises(DeadlineExceeded) as caught:
            connector.storage_migrate(identity, FAST, stall)
        took_s = time.monotonic() - stalled_s
        assert "called off" in caught.value.why
        assert took_s <= timeout_s * 1.1 + 2, "what was in flight, and 1 s for a busy machine"
        assert is_where_it_was(daemon, fast, identity, runs=True)
        connector.power(identity, PowerAction.OFF)
    assert content(disk_of(daemon, identity)) == wrote


def test_a_copy_that_takes_longer_than_the_timeout_goes_on_as_long_as_it_comes_further(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    fill(disk_of(daemon, identity))
    with connect(daemon.qemu_endpoint(timeout_s=2, copy_mib_per_s="4")) as connector:
        connector.power(identity, PowerAction.ON)
        started, told = time.monotonic(), []
        connector.storage_migrate(identity, FAST, told.append)
        assert time.monotonic() - started > 2 * 1.5
    assert len(set(told)) > 3
    assert disk_of(daemon, identity).parent == fast


@pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
def test_a_pool_without_room_is_refused_with_nothing_left(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID, *, on: bool
) -> None:
    name = f"small-{identity.hex[:6]}"
    daemon.small_pool(name, 8)
    make(daemon.qemu_endpoint(), identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    try:
        with connect(daemon.qemu_endpoint()) as connector:
            if on:
                connector.power(identity, PowerAction.ON)
            with pytest.raises(Refused) as caught:
                connector.storage_migrate(identity, name, lambda _: None)
            assert caught.value.hint
            assert daemon.virsh("vol-list", name).strip() == ""
            assert is_where_it_was(daemon, fast, identity, runs=on)
            connector.power(identity, PowerAction.OFF)
        assert content(disk_of(daemon, identity)) == wrote
    finally:
        daemon.virsh("pool-destroy", name)


def test_a_frozen_daemon_ends_in_the_deadline_and_the_next_call_ends_the_move(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    cut_in_the_middle(daemon, fast, identity, daemon.freeze, daemon.thaw)


def test_a_daemon_that_dies_ends_in_unreachable_and_the_next_call_ends_the_move(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    cut_in_the_middle(daemon, fast, identity, daemon.kill, daemon.start)


def cut_in_the_middle(
    daemon: libvirtd.PrivateLibvirtd,
    fast: Path,
    identity: UUID,
    cut: Callable[[], None],
    mend: Callable[[], None],
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    timeout_s, cut_s = 4.0, 0.0

    def once(done: int) -> None:
        nonlocal cut_s
        if done and not cut_s:
            cut()
            cut_s = time.monotonic()

    slow = daemon.qemu_endpoint(timeout_s=timeout_s, copy_mib_per_s="4")
    with connect(slow) as connector:
        connector.power(identity, PowerAction.ON)
        try:
            with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
                connector.storage_migrate(identity, FAST, once)
            took_s = time.monotonic() - cut_s
        finally:
            mend()
    assert caught.value.retriable
    assert took_s <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
    assert move(daemon.qemu_endpoint(), identity).power is PowerState.ON
    assert disk_of(daemon, identity).parent == fast
    assert (files(daemon.images, identity), len(files(fast, identity))) == ([], 1)
    with connect(daemon.qemu_endpoint()) as connector:
        connector.power(identity, PowerAction.OFF)
    assert content(disk_of(daemon, identity)) == wrote


@pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
def test_two_workers_that_move_one_disk_move_it_once_and_lose_nothing(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID, *, on: bool
) -> None:
    endpoint = daemon.qemu_endpoint(copy_mib_per_s="16")
    make(endpoint, identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    if on:
        with connect(endpoint) as connector:
            connector.power(identity, PowerAction.ON)
    ready, outcomes = threading.Barrier(2), []

    def work() -> None:
        with connect(endpoint) as connector:
            ready.wait()
            try:
                outcomes.append(connector.storage_migrate(identity, FAST, lambda _: None))
            except ConnectorError as error:
                outcomes.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert move(endpoint, identity).power is (PowerState.ON if on else PowerState.OFF), outcomes
    assert any(isinstance(outcome, VmView) for outcome in outcomes), outcomes
    with connect(endpoint) as connector:
        connector.power(identity, PowerAction.OFF)
    assert disk_of(daemon, identity).parent == fast
    assert content(disk_of(daemon, identity)) == wrote
    assert (files(daemon.images, identity), len(files(fast, identity))) == ([], 1)


def test_a_copy_to_another_pool_that_was_cut_off_is_called_off_by_the_next_move(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    name = f"third-{identity.hex[:6]}"
    third = daemon.folder / name
    third.mkdir()
    daemon.virsh("pool-create-as", name, "dir", "--target", str(third))
    make(daemon.qemu_endpoint(), identity, on=False)
    wrote = fill(disk_of(daemon, identity))
    with connect(daemon.qemu_endpoint(copy_mib_per_s="1", timeout_s=4)) as connector:
        connector.power(identity, PowerAction.ON)
        with pytest.raises(ConnectorError):
            connector.storage_migrate(identity, name, lambda done: daemon.kill() if done else None)
    daemon.start()
    move(daemon.qemu_endpoint(), identity)
    with connect(daemon.qemu_endpoint()) as connector:
        connector.power(identity, PowerAction.OFF)
    assert content(disk_of(daemon, identity)) == wrote
    left = files(third, identity)
    daemon.virsh("pool-destroy", name)
    assert (left, len(files(fast, identity))) == ([], 1)


def test_a_machine_that_is_powered_off_meanwhile_is_a_conflict_with_nothing_left(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    fill(disk_of(daemon, identity))

    def off(done: int) -> None:
        if done and daemon.virsh("domstate", str(identity)).strip() == "running":
            daemon.virsh("destroy", str(identity))

    with connect(daemon.qemu_endpoint(copy_mib_per_s="4")) as connector:
        connector.power(identity, PowerAction.ON)
        with pytest.raises(Conflict, match="powered off"):
            connector.storage_migrate(identity, FAST, off)
    assert is_where_it_was(daemon, fast, identity, runs=False)


def test_snapshots_and_the_copies_of_others_are_conflicts(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity)
    strange = fast / "strange.qcow2"
    with connect(daemon.qemu_endpoint()) as connector:
        daemon.virsh("blockcopy", str(identity), "vda", str(strange), "--transient-job")
        with pytest.raises(Conflict, match="another block job"):
            connector.storage_migrate(identity, FAST, lambda _: None)
        assert str(strange) in daemon.virsh("dumpxml", str(identity)), "the copy of others goes on"
        daemon.virsh("blockjob", str(identity), "vda", "--abort")
        connector.snapshot(identity, "before")
        with pytest.raises(Conflict, match="snapshots"):
            connector.storage_migrate(identity, FAST, lambda _: None)
    daemon.virsh("snapshot-delete", str(identity), "before")
    strange.unlink()
    assert is_where_it_was(daemon, fast, identity, runs=True)


def test_with_one_pool_there_is_no_move_and_the_probe_says_so(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    before = make(daemon.qemu_endpoint(), identity, on=False)
    with connect(daemon.qemu_endpoint()) as connector:
        assert connector.probe().pools[0].capabilities.has(Capability.STORAGE_MIGRATE)
        daemon.virsh("pool-destroy", FAST)
        try:
            (pool,) = connector.probe().pools
            gap = pool.capabilities.gap(Capability.STORAGE_MIGRATE)
            assert gap is not None
            assert gap.reason is GapReason.NOT_CONFIGURED
            assert gap.detail == (
                f"'{pool.provider}' has no second storage pool that disks can move to; "
                "make one of type dir, fs or netfs with virsh pool-define-as, and pool-start it"
            )
            assert connector.storage_migrate(identity, "default", lambda _: None) == before
            for other in (FAST, "slow"):
                with pytest.raises(Unsupported) as caught:
                    connector.storage_migrate(identity, other, lambda _: None)
                assert caught.value.gap == gap
        finally:
            daemon.virsh("pool-start", FAST)
        assert connector.probe().pools[0].capabilities.has(Capability.STORAGE_MIGRATE)


def test_an_unknown_pool_is_not_found_and_those_there_are_named(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    with connect(daemon.qemu_endpoint()) as connector, pytest.raises(NotFound) as caught:
        connector.storage_migrate(identity, "fats", lambda _: None)
    assert caught.value.hint.startswith("the host's are default, fast")


def test_a_pool_that_is_the_same_folder_by_another_path_costs_no_content(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    daemon.virsh("pool-define", str(same_folder(daemon)))
    daemon.virsh("pool-start", "same")
    try:
        with connect(daemon.qemu_endpoint()) as connector:
            wrote = fill(disk_of(daemon, identity))
            connector.storage_migrate(identity, "same", lambda _: None)
            assert content(disk_of(daemon, identity)) == wrote
            assert len(files(daemon.images, identity)) == 1
            connector.delete_vm(identity)
    finally:
        daemon.virsh("pool-destroy", "same")
        daemon.virsh("pool-undefine", "same")


def same_folder(daemon: libvirtd.PrivateLibvirtd) -> Path:
    (daemon.folder / "link").symlink_to(daemon.images)
    definition = daemon.folder / "same.xml"
    definition.write_text(
        f"<pool type='dir'><name>same</name><target><path>{daemon.folder / 'link'}</path></target></pool>"
    )
    return definition


@pytest.mark.skipif(not seeds.can_write(), reason="not installed: pycdlib, of the extra libvirt")
def test_a_seed_disk_stays_where_it_is_and_goes_with_the_machine(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    with connect(daemon.qemu_endpoint()) as connector:
        provider = connector.probe().pools[0].provider
        seed = Seed(user_data="#cloud-config\n")
        connector.create_vm(VmSpec(name="seeded", provider=provider, resources=SMALL, seed=seed), identity)
        connector.storage_migrate(identity, FAST, lambda _: None)
        assert files(daemon.images, identity) == [f"{identity}.seed.iso"]
        assert connector.power(identity, PowerAction.ON).power is PowerState.ON


def test_a_machine_whose_pool_is_stopped_is_not_removed_without_its_disk(
    daemon: libvirtd.PrivateLibvirtd, fast: Path, identity: UUID
) -> None:
    make(daemon.qemu_endpoint(), identity, on=False)
    move(daemon.qemu_endpoint(), identity)
    daemon.virsh("pool-destroy", FAST)
    try:
        with connect(daemon.qemu_endpoint()) as connector, pytest.raises(ConnectorError) as caught:
            connector.delete_vm(identity)
    finally:
        daemon.virsh("pool-start", FAST)
    assert "not active" in caught.value.why
    assert len(files(fast, identity)) == 1

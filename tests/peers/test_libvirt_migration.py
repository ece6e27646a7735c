"""Guests that run are moved between two real libvirt hosts, and say themselves that they went on."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState, VmSpec, VmView
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
)
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirt_pair, libvirtd
from connectors.simulators.libvirt_guest import kept, ticks
from connectors.simulators.libvirt_pair import FIRST, SECOND, Pair

pytestmark = pytest.mark.counterpart("libvirt-qemu")

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
LINUX = SMALL.model_copy(update={"memory_mib": libvirt_guest.LINUX_MEMORY_MIB})
SAID_LIMIT_S = 120


def pair_of(*, shared: bool) -> Iterator[Pair]:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirt_pair.two_hosts(shared=shared) as pair:
        yield pair


@pytest.fixture(scope="module")
def sharing() -> Iterator[Pair]:
    yield from pair_of(shared=True)


@pytest.fixture(scope="module")
def apart() -> Iterator[Pair]:
    yield from pair_of(shared=False)


@pytest.fixture(scope="module")
def linux(pytestconfig: pytest.Config) -> dict[str, str]:
    try:
        return libvirt_pair.linux_options(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def made() -> Iterator[Callable[..., UUID]]:
    """Makes a machine at an endpoint, and removes it from both hosts after the test."""
    cleanups: list[tuple[Pair, UUID]] = []

    def make(
        pair: Pair, endpoint: Endpoint | None = None, *, on: bool = True, resources: Resources = SMALL
    ) -> UUID:
        identity = uuid4()
        cleanups.append((pair, identity))
        with connect(endpoint or pair.endpoint(pair.first)) as connector:
            spec = VmSpec(name=f"moving-{identity.hex[:8]}", provider=FIRST, resources=resources)
            connector.create_vm(spec, identity)
            if on:
                connector.power(identity, PowerAction.ON)
        return identity

    yield make
    for pair, identity in cleanups:
        if not pair.first.folder.exists():  # a pair of the test's own, with which all of it is gone
            continue
        for endpoint in pair.endpoints():
            with connect(endpoint) as connector:
                connector.delete_vm(identity)
        for daemon in (pair.first, pair.second):
            assert list(daemon.images.glob(f"{identity}*")) == []


def move(endpoint: Endpoint, identity: UUID, host: str = SECOND) -> VmView:
    with connect(endpoint) as connector:
        return connector.migrate(identity, host)


def where(pair: Pair, identity: UUID) -> list[str]:
    """The hosts that have the machine, as virsh tells it."""
    daemons = (pair.first, pair.second)
    return [d.host for d in daemons if str(identity) in d.virsh("list", "--all", "--uuid").split()]


def runs(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> bool:
    return daemon.virsh("domstate", str(identity)).strip() == "running"


def said(daemon: libvirtd.PrivateLibvirtd, identity: UUID, holds: Callable[[str], bool]) -> str:
    """What a guest has said on its console, as soon as it is as expected."""
    log, tick = daemon.serial_log(identity), threading.Event()
    for _ in range(SAID_LIMIT_S * 20):
        text = log.read_text(errors="replace") if log.exists() else ""
        if holds(text):
            return text
        tick.wait(0.05)
    pytest.fail(f"the guest never said what was expected; it said {text!r}")


def goes_on(pair: Pair, identity: UUID, before: list[int]) -> bool:
    """Whether the guest's counter, kept in its memory alone, goes on from where it was, without a restart."""
    text = said(pair.first, identity, lambda text: ticks(text)[-1:] > [before[-1] + 2])
    return ticks(text) == list(range(1, ticks(text)[-1] + 1)) and text.count(libvirt_guest.UP) == 1


def test_a_guest_goes_on_at_the_other_host_and_comes_back(
    sharing: Pair, linux: dict[str, str], made: Callable[..., UUID]
) -> None:
    identity = made(sharing, sharing.endpoint(sharing.first, **linux), resources=LINUX)
    before = ticks(said(sharing.first, identity, lambda text: len(ticks(text)) > 1))
    with connect(sharing.endpoint(sharing.first)) as connector:
        there = connector.get_vm(identity)
        moved = connector.migrate(identity, SECOND)
        assert (moved.host, moved.power) == (SECOND, PowerState.ON)
        assert moved == there.model_copy(update={"host": SECOND, "provider": SECOND})
        assert where(sharing, identity) == [SECOND]
        assert connector.migrate(identity, SECOND) == moved
        with pytest.raises(NotFound):
            connector.get_vm(identity)
    assert runs(sharing.second, identity)
    assert "Persistent:     yes" in sharing.second.virsh("dominfo", str(identity))
    assert goes_on(sharing, identity, before)
    back = move(sharing.endpoint(sharing.second), identity, FIRST)
    assert (back.host, back.power) == (FIRST, PowerState.ON)
    assert where(sharing, identity) == [FIRST]
    assert goes_on(sharing, identity, ticks(sharing.first.serial_log(identity).read_text(errors="replace")))


def test_a_disk_that_is_not_shared_goes_along_with_the_content_the_guest_wrote(
    apart: Pair, linux: dict[str, str], made: Callable[..., UUID], tmp_path: Path
) -> None:
    identity = made(apart, apart.endpoint(apart.first, timeout_s=60, **linux), resources=LINUX)
    text = said(apart.first, identity, lambda text: len(ticks(text)) > 1)
    (wanted,) = kept(text)
    moved = move(apart.endpoint(apart.first, timeout_s=60), identity)
    assert (moved.host, moved.power) == (SECOND, PowerState.ON)
    assert where(apart, identity) == [SECOND]
    assert list(apart.first.images.iterdir()) == [], "the disk that was left is deleted"
    assert goes_on(apart, identity, ticks(text))
    with connect(apart.endpoint(apart.second, **linux)) as connector:
        connector.power(identity, PowerAction.OFF)
        (path,) = apart.second.images.iterdir()
        assert content_of(path, tmp_path) == wanted
        connector.power(identity, PowerAction.ON)
        again = said(apart.first, identity, lambda text: len(kept(text)) > 1)
    assert kept(again) == [wanted, wanted], "started there, the guest reads what it wrote here"


def content_of(image: Path, folder: Path) -> str:
    """The SHA-256 of the part of a disk that the guest wrote, read by qemu-img."""
    raw = folder / "content.raw"
    command = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), str(raw)]
    subprocess.run(command, check=True)
    with raw.open("rb") as file:
        return hashlib.sha256(file.read(libvirt_guest.WRITTEN_MIB * 2**20)).hexdigest()


@pytest.mark.parametrize("shared", [True, False])
def test_a_move_between_verified_hosts_is_encrypted_and_refused_without_qemus_certificate(
    made: Callable[..., UUID], *, shared: bool
) -> None:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirt_pair.two_hosts(shared=shared, tls=True) as pair:
        here = pair.endpoint(pair.first, timeout_s=60)
        identity = made(pair, here)
        certificate = pair.first.pki / "qemu" / "server-cert.pem"
        kept = certificate.readlink()
        certificate.unlink()  # where nothing is encrypted, nobody would miss it
        with pytest.raises(Refused, match=r"[Cc]ertificate|TLS|credentials"):
            move(here, identity)
        assert where(pair, identity) == [FIRST]
        assert runs(pair.first, identity)
        certificate.symlink_to(kept)
        moved = move(here, identity)
        assert (moved.host, moved.power) == (SECOND, PowerState.ON)
        assert where(pair, identity) == [SECOND]
        with connect(pair.endpoint(pair.second)) as connector:
            connector.delete_vm(identity)


def test_storage_that_libvirt_does_not_know_to_be_shared_is_refused_and_the_guest_stays(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(sharing)
    with pytest.raises(Refused) as caught:
        move(sharing.endpoint(sharing.first, migration_storage="shared"), identity)
    assert caught.value.vendor_code == "81 VIR_ERR_MIGRATE_UNSAFE"
    assert "migration_storage" in caught.value.hint
    assert where(sharing, identity) == [FIRST]
    assert runs(sharing.first, identity)


@pytest.mark.parametrize("on", [True, False])
def test_a_disk_that_the_other_host_does_not_see_is_refused_and_the_machine_stays(
    apart: Pair, made: Callable[..., UUID], *, on: bool
) -> None:
    identity = made(apart, on=on)
    for mode in ("shared", "trusted"):
        with pytest.raises(Refused, match="no storage pool with the disk"):
            move(apart.endpoint(apart.first, migration_storage=mode), identity)
    assert where(apart, identity) == [FIRST]


def test_copying_onto_shared_storage_is_refused_and_touches_nothing(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(sharing)
    with pytest.raises(Conflict, match="has a disk"):
        move(sharing.endpoint(sharing.first, migration_storage="copy"), identity)
    assert runs(sharing.first, identity)
    move(sharing.endpoint(sharing.first), identity)
    move(sharing.endpoint(sharing.first, migration_storage="copy"), identity)  # it is there: nothing to do
    assert runs(sharing.second, identity)
    assert [path.name for path in sharing.first.images.iterdir()] == [f"{identity}.qcow2"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_move_that_takes_too_long_is_called_off_and_the_guest_never_notices(
    request: pytest.FixtureRequest, linux: dict[str, str], made: Callable[..., UUID], *, shared: bool
) -> None:
    pair: Pair = request.getfixturevalue("sharing" if shared else "apart")
    identity = made(pair, pair.endpoint(pair.first, **linux), resources=LINUX)
    before = ticks(said(pair.first, identity, lambda text: len(ticks(text)) > 1))
    pair.first.virsh("migrate-setspeed", str(identity), "1")  # MiB a second
    timeout_s = 8.0
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        move(pair.endpoint(pair.first, timeout_s=timeout_s), identity)
    assert time.monotonic() - started <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
    assert "called off" in caught.value.why
    tick = threading.Event()  # a copy that was slowed down takes QEMU a moment to end
    assert any(where(pair, identity) == [FIRST] or tick.wait(0.1) for _ in range(200))
    assert goes_on(pair, identity, before)
    assert shared or any(not list(pair.second.images.iterdir()) or tick.wait(0.1) for _ in range(200))


def test_a_machine_that_is_off_is_defined_there_where_storage_is_shared(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(sharing, on=False)
    assert move(sharing.endpoint(sharing.first), identity).power is PowerState.OFF
    assert where(sharing, identity) == [SECOND]
    with connect(sharing.endpoint(sharing.second)) as connector:
        assert connector.power(identity, PowerAction.ON).power is PowerState.ON


def test_a_machine_that_is_off_does_not_have_its_disk_copied(
    apart: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(apart, on=False)
    with pytest.raises(Refused, match="is off"):
        move(apart.endpoint(apart.first), identity)
    assert where(apart, identity) == [FIRST]


def test_a_paused_machine_stays_paused_and_one_with_saved_memory_stays(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    paused, saved = made(sharing), made(sharing)
    sharing.first.virsh("suspend", str(paused))
    assert move(sharing.endpoint(sharing.first), paused).power is PowerState.SUSPENDED
    sharing.first.virsh("managedsave", str(saved))
    with pytest.raises(Conflict, match="saved"):
        move(sharing.endpoint(sharing.first), saved)
    assert where(sharing, saved) == [FIRST]


def test_a_host_or_machine_that_is_not_there_is_not_found(sharing: Pair, made: Callable[..., UUID]) -> None:
    identity = made(sharing, on=False)
    with pytest.raises(NotFound) as caught:
        move(sharing.endpoint(sharing.first), identity, "no-such-host")
    assert SECOND in caught.value.hint
    with pytest.raises(NotFound):
        move(sharing.endpoint(sharing.first), uuid4())
    stays = move(sharing.endpoint(sharing.first), identity, FIRST)
    assert (stays.host, where(sharing, identity)) == (FIRST, [FIRST])


def test_what_moved_away_is_not_deleted_or_made_again_where_it_was(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(sharing)
    here = sharing.endpoint(sharing.first)
    move(here, identity)
    disk = sharing.first.images / f"{identity}.qcow2"
    with connect(here) as connector:
        connector.delete_vm(identity)  # there is no such machine here; its disk is in use there
        assert disk.exists()
        spec = VmSpec(name="again", provider=FIRST, resources=SMALL)
        with pytest.raises(Conflict, match=SECOND):
            connector.create_vm(spec, identity)
    dead = sharing.endpoint(sharing.first, peers=f"{SECOND}=qemu+tcp://127.0.0.1:1/system")
    with connect(dead) as connector, pytest.raises(Unreachable, match=SECOND):
        connector.delete_vm(identity)
    assert disk.exists()
    assert where(sharing, identity) == [SECOND]
    assert runs(sharing.second, identity)


def test_an_endpoint_without_peers_says_what_to_set(sharing: Pair) -> None:
    with connect(sharing.first.qemu_endpoint()) as connector:
        gap = connector.probe().pools[0].capabilities.gap(Capability.LIVE_MIGRATE)
    assert gap is not None
    assert "'peers'" in gap.detail


def test_a_peer_that_is_dead_or_another_host_is_told_by_name(
    sharing: Pair, made: Callable[..., UUID]
) -> None:
    identity = made(sharing)
    dead = f"{SECOND}=qemu+tcp://127.0.0.1:1/system"
    with pytest.raises(Unreachable, match=SECOND):
        move(sharing.endpoint(sharing.first, peers=dead), identity)
    itself = f"{SECOND}={sharing.first.qemu_address}"
    with pytest.raises(Refused, match=FIRST):
        move(sharing.endpoint(sharing.first, peers=itself), identity)
    assert runs(sharing.first, identity)


@pytest.mark.parametrize("frozen", [FIRST, SECOND])
def test_a_frozen_host_ends_the_move_at_the_deadline_with_one_machine(
    sharing: Pair, made: Callable[..., UUID], frozen: str
) -> None:
    identity = made(sharing)
    daemon = sharing.first if frozen == FIRST else sharing.second
    timeout_s = 3.0
    with connect(sharing.endpoint(sharing.first, timeout_s=timeout_s)) as connector:
        daemon.freeze()
        try:
            started = time.monotonic()
            with pytest.raises((DeadlineExceeded, Unreachable)):
                connector.migrate(identity, SECOND)
            took_s = time.monotonic() - started
        finally:
            daemon.thaw()
        assert took_s <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
    assert where(sharing, identity) == [FIRST]
    assert runs(sharing.first, identity)


@pytest.mark.parametrize("killed", [FIRST, SECOND])
def test_a_host_that_dies_in_the_move_leaves_one_guest_that_runs(
    apart: Pair, linux: dict[str, str], made: Callable[..., UUID], killed: str
) -> None:
    identity = made(apart, apart.endpoint(apart.first, **linux), resources=LINUX)
    said(apart.first, identity, lambda text: len(ticks(text)) > 1)
    apart.first.virsh("migrate-setspeed", str(identity), "1")
    daemon = apart.first if killed == FIRST else apart.second
    kill = threading.Timer(2, daemon.kill)
    kill.start()
    with pytest.raises(ConnectorError):
        move(apart.endpoint(apart.first, timeout_s=20), identity)
    kill.join()
    daemon.start()
    tick = threading.Event()
    assert any(where(apart, identity) == [FIRST] or tick.wait(0.1) for _ in range(100))
    assert runs(apart.first, identity)
    # A daemon that comes back calls the copying off, which takes QEMU a moment.
    blockjob = ("blockjob", str(identity), "vda", "--info")
    assert any(not apart.first.virsh(*blockjob).strip() or tick.wait(0.1) for _ in range(300))
    apart.first.virsh("migrate-setspeed", str(identity), "1000")
    assert move(apart.endpoint(apart.first, timeout_s=60), identity).host == SECOND
    assert where(apart, identity) == [SECOND]

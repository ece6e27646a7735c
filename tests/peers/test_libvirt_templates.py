"""Machines of templates at a real libvirtd, compared by qemu-img; and copies that run on, or were cut off."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.pools import Option
from catalog.resources import Resources
from connectors.contract import Connector, NewDisk, PowerAction, PowerState, VmSpec, VmView
from connectors.errors import ConnectorError, DeadlineExceeded, NotFound, Refused
from connectors.registry import connect
from connectors.simulators import libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

MIB = 2**20
GIB = 2**30
TEMPLATE = "debian.qcow2"
CHOSEN = {"DEBIAN": TEMPLATE, "WHOLE": "whole.qcow2", "LOST": "lost.qcow2", "ELSEWHERE": "nowhere/a.img"}
DEBIAN, WHOLE, LOST, ELSEWHERE = (f"CUSTOM_TEMPLATE_{name}" for name in CHOSEN)
SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)

SLOW_COPIES = """#!/bin/sh
# The daemon's own program, which says when it copies and goes on only when it may.
[ "$1" = convert ] && echo "$*" >> {folder}/copies
"{real}" "$@" || exit $?
[ "$1" = convert ] || exit 0
for copy; do :; done
while [ -e {folder}/hold ]; do
    [ -e {folder}/crawl ] && dd if=/dev/zero bs=64k count=1 oflag=append conv=notrunc of="$copy" 2> /dev/null
    sleep 0.2
done
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: while it has a file `hold` no copy of the daemon ends, and `copies` has a line for each."""
    folder = tmp_path_factory.mktemp("slow")
    real = shutil.which("qemu-img")
    if real is None:
        pytest.skip("qemu-img is not installed; apt-get install qemu-utils")
    program = folder / "qemu-img"
    program.write_text(SLOW_COPIES.format(folder=folder, real=real))
    program.chmod(0o755)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def daemon(slow: Path) -> Iterator[libvirtd.PrivateLibvirtd]:
    """A daemon that finds the slow program first, and two templates: of 512 MiB with content, and of 1 GiB."""
    if (problem := libvirtd.missing()) is not None:
        pytest.skip(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(slow), prepend=":")
        running = libvirtd.PrivateLibvirtd().__enter__()
    try:
        for name, size in ((TEMPLATE, "512M"), ("whole.qcow2", "1G")):
            image = running.images / name
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), size], check=True)
        for place in ("0", "511M"):
            write = ["qemu-io", "-c", f"write -P 0xd1 {place} 1M", str(running.images / TEMPLATE)]
            subprocess.run(write, check=True, capture_output=True)
        running.virsh("pool-refresh", "default")
        yield running
    finally:
        running.__exit__()


@pytest.fixture
def hold(slow: Path) -> Iterator[Path]:
    """No copy ends while this file is there."""
    found = slow / "hold"
    found.touch()
    yield found
    found.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def copies(slow: Path) -> Iterator[Callable[[], int]]:
    """How many copies the daemon has begun in this test."""
    log = slow / "copies"
    log.write_text("")
    return lambda: len(log.read_text().splitlines())


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with opened(daemon) as connector:
        until(
            lambda: is_deleted(connector, fresh)
        )  # what is still copied ends soon, as nothing holds it any more
    assert sorted(path.name for path in daemon.images.iterdir()) == [TEMPLATE, "whole.qcow2"]


def is_deleted(connector: Connector, identity: UUID) -> bool:
    try:
        connector.delete_vm(identity)
    except DeadlineExceeded:
        return False
    return True


def opened(
    daemon: libvirtd.PrivateLibvirtd, *, timeout_s: float = 30, templates: Option | None = None
) -> Connector:
    return connect(daemon.qemu_endpoint(timeout_s=timeout_s, templates=templates or CHOSEN))


def spec(connector: Connector, identity: UUID, trait: str = DEBIAN, resources: Resources = SMALL) -> VmSpec:
    provider = connector.probe().pools[0].provider
    name = f"made-{identity.hex[:8]}"
    return VmSpec(name=name, provider=provider, resources=resources, traits=frozenset({trait}))


def make(daemon: libvirtd.PrivateLibvirtd, identity: UUID, timeout_s: float = 30) -> VmView:
    with opened(daemon, timeout_s=timeout_s) as connector:
        return connector.create_vm(spec(connector, identity), identity)


def has_templates_content(image: Path, size_gib: int = 1) -> bool:
    """Whether a disk begins with the template's content and has zeros behind, by qemu-io and qemu-img."""
    reads = [("-P 0xd1", "0 1M"), ("-P 0", "1M 510M"), ("-P 0xd1", "511M 1M")]
    reads.append(("-P 0", f"512M {size_gib * 1024 - 512}M"))
    asked = [part for pattern, place in reads for part in ("-c", f"read {pattern} {place}")]
    said = subprocess.run(
        ["qemu-io", "-r", "-U", "-f", "qcow2", *asked, str(image)],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    info = subprocess.run(
        ["qemu-img", "info", "-U", str(image)], check=True, capture_output=True, text=True
    ).stdout
    whole = f"({size_gib * GIB} bytes)" in info and "backing file" not in info
    return whole and "verification failed" not in said and said.count("read ") == len(reads)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def disk(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> Path:
    return daemon.images / f"{identity}.qcow2"


def test_a_machine_of_a_template_has_its_content_grows_runs_and_shares_nothing(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    with opened(daemon) as connector:
        larger = SMALL.model_copy(update={"disk_gib": 2})
        view = connector.create_vm(spec(connector, identity, resources=larger), identity)
        assert (view.resources, view.power) == (larger, PowerState.OFF)
        assert has_templates_content(disk(daemon, identity), 2)
        connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        assert connector.power(identity, PowerAction.ON).power is PowerState.ON
        connector.power(identity, PowerAction.OFF)
    write = ["qemu-io", "-c", "write -P 0x7f 0 512M", str(disk(daemon, identity))]
    subprocess.run(write, check=True, capture_output=True)
    assert not has_templates_content(disk(daemon, identity), 2)
    template = ["qemu-io", "-r", "-c", "read -P 0xd1 0 1M", str(daemon.images / TEMPLATE)]
    assert "failed" not in subprocess.run(template, check=True, capture_output=True, text=True).stdout


def test_a_pool_tells_which_templates_are_there(daemon: libvirtd.PrivateLibvirtd) -> None:
    with opened(daemon) as connector:
        seen = connector.probe()
    traits = {trait for trait in seen.pools[0].traits if trait.startswith("CUSTOM_TEMPLATE_")}
    assert traits == {DEBIAN, WHOLE}
    told = {
        one.trait: (one.size_bytes, one.minimum_disk_gib, one.firmware) for one in seen.pools[0].templates
    }
    assert told == {DEBIAN: (512 * MIB, 1, None), WHOLE: (GIB, 2, None)}
    assert f"{LOST} is not offered: storage pool 'default' has no volume 'lost.qcow2'" in seen.note
    assert f"{ELSEWHERE} is not offered: its volume 'nowhere/a.img' cannot be looked at" in seen.note


@pytest.mark.parametrize(
    ("trait", "kind", "said"),
    [
        (LOST, NotFound, f"no template 'lost.qcow2', which {LOST} .*there are: {DEBIAN}, {WHOLE};"),
        (ELSEWHERE, NotFound, f"no template 'nowhere/a.img', which {ELSEWHERE} .*there are: {DEBIAN}, {WHOLE};"),
        (WHOLE, Refused, "'whole.qcow2' has 1024 MiB, .* larger than 1 GiB for it; order at least 2 GiB"),
    ],
    ids=["no-volume", "no-pool", "not-smaller"],
)  # fmt: skip
def test_a_template_that_a_machine_cannot_be_made_of_is_told_and_nothing_is_left(
    daemon: libvirtd.PrivateLibvirtd,
    identity: UUID,
    copies: Callable[[], int],
    trait: str,
    kind: type[ConnectorError],
    said: str,
) -> None:
    with opened(daemon) as connector, pytest.raises(kind, match=said):
        connector.create_vm(spec(connector, identity, trait), identity)
    assert copies() == 0


def test_wrong_names_of_templates_are_refused_with_what_is_allowed(
    daemon: libvirtd.PrivateLibvirtd,
) -> None:
    with (
        pytest.raises(Refused, match=r"'templates': 'debian-12': .*capitals, digits and underscores"),
        opened(daemon, templates={"debian-12": TEMPLATE}),
    ):
        pass


def test_a_copy_that_was_cut_off_is_made_anew(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> None:
    daemon.virsh("vol-create-as", "default", f"{identity}.qcow2", "512M", "--format", "qcow2")
    make(daemon, identity)
    assert has_templates_content(disk(daemon, identity))


def test_a_copy_that_outlasts_the_deadline_runs_on_and_the_next_call_adopts_its_machine(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, hold: Path, copies: Callable[[], int]
) -> None:
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            make(daemon, identity, timeout_s=3)
    assert time.monotonic() - began < 2 * 3 * 1.1 + 4
    hold.unlink()
    assert make(daemon, identity).identity == identity
    assert copies() == 1
    assert has_templates_content(disk(daemon, identity))


def test_a_copy_may_take_longer_than_a_call_has_while_it_comes_further(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, slow: Path, hold: Path, copies: Callable[[], int]
) -> None:
    crawl = slow / "crawl"
    crawl.touch()
    try:
        with ThreadPoolExecutor(1) as worker:
            made = worker.submit(make, daemon, identity, timeout_s=6)
            time.sleep(9)
            assert not made.done()
            hold.unlink()
            assert made.result().identity == identity
    finally:
        crawl.unlink()
    assert copies() == 1


def test_what_a_worker_that_died_had_copied_is_awaited_and_made_anew(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, hold: Path, copies: Callable[[], int]
) -> None:
    clone = [
        "virsh",
        "-q",
        "-c",
        daemon.qemu_address,
        "vol-clone",
        TEMPLATE,
        f"{identity}.qcow2",
        "default",
    ]
    with subprocess.Popen(clone) as other:
        until(lambda: copies() == 1)
        other.kill()
    with ThreadPoolExecutor(1) as worker:
        made = worker.submit(make, daemon, identity)
        time.sleep(3)
        assert not made.done(), "the daemon still copies for the client that is gone"
        hold.unlink()
        assert made.result().identity == identity
    assert copies() == 2
    assert has_templates_content(disk(daemon, identity))


def test_workers_that_make_one_machine_at_once_make_one(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    with ThreadPoolExecutor(4) as workers:
        made = set(workers.map(lambda _: make(daemon, identity), range(4)))
    assert len(made) == 1
    assert has_templates_content(disk(daemon, identity))


def test_a_machine_whose_disk_is_being_copied_is_deleted_once_that_has_ended(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, hold: Path
) -> None:
    with opened(daemon, timeout_s=2) as connector:
        wanted = spec(connector, identity)
        with pytest.raises(DeadlineExceeded):
            connector.create_vm(wanted, identity)
    with opened(daemon) as connector:
        with pytest.raises(DeadlineExceeded, match="still being allocated"):
            connector.delete_vm(identity)
        hold.unlink()
        until(lambda: connector.list_vms() != [])
        connector.delete_vm(identity)
        assert connector.list_vms() == []
    assert not disk(daemon, identity).exists()

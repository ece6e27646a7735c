"""`vm move` carries a real guest from one real libvirt host to another, and the guest says what it finds on its disk."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
import yaml

from catalog.pools import Endpoint
from connectors.contract import PowerState
from connectors.drivers.libvirt import seeds as seed_disks
from connectors.registry import connect
from connectors.simulators import libvirt_guest, libvirt_pair, libvirtd
from connectors.simulators.libvirt_pair import Pair
from connectors.simulators.libvirtd import PrivateLibvirtd
from tierwise.app import App, wire
from tierwise.clock import SystemClock
from tierwise.jobs.runtime import running
from tierwise.testing.estate import simulated_acme
from tierwise.usecases import move
from tierwise.usecases.order import new_order, submit

pytestmark = pytest.mark.counterpart("libvirt-qemu")

POOLS = {"fra-kvm": "fra-kvm-b", "fra-hyperv": "fra-test-1"}
"""Acme's two pools of tier 2, by their endpoints; each is one of the two hosts here."""
IDENTITY = uuid5(NAMESPACE_URL, "guest")
SAID_LIMIT_S = 240
USER_DATA = "#cloud-config\nhostname: guest\n"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    if problem := libvirtd.missing():
        pytest.skip(problem)
    with libvirt_pair.two_hosts(shared=False) as pair:
        yield pair


@pytest.fixture
def app(pair: Pair, pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[App]:
    """Acme with the two hosts, whose machines boot a Linux that keeps something on its disk."""
    try:
        linux = libvirt_pair.linux_options(pytestconfig.rootpath / ".build" / "libvirt-guest")
    except RuntimeError as error:
        pytest.skip(str(error))
    live: dict[str, Endpoint] = {}
    for daemon, (name, pool) in zip((pair.first, pair.second), POOLS.items(), strict=True):
        live[name] = daemon.qemu_endpoint(name, 60.0, provider=pool, **linux)
    settings = simulated_acme(tmp_path, live)
    _small(settings.catalog_dir)
    (settings.seeds_dir / "guest").mkdir(parents=True)
    (settings.seeds_dir / "guest" / "user-data").write_text(USER_DATA)
    app = wire(settings, SystemClock())
    with running(app):
        yield app
    app.close()


def _small(catalog_dir: Path) -> None:
    """One GiB of disk may be ordered, and pools keep nothing back."""
    catalog = catalog_dir / "catalog.yaml"
    document = yaml.safe_load(catalog.read_text())
    document["offerings"]["web-small"]["parameters"]["disk_gib"] |= {"minimum": 1, "multiple_of": 1}
    catalog.write_text(yaml.safe_dump(document, sort_keys=False))
    pools = catalog_dir / "pools.yaml"
    document = yaml.safe_load(pools.read_text())
    for pool in document["pools"].values():
        pool.pop("reserved", None)
    pools.write_text(yaml.safe_dump(document, sort_keys=False))


def said_of_its_disk(daemon: PrivateLibvirtd, times: int = 1) -> str:
    """The checksum that the guest says when it has started so many times, of what it wrote or found."""
    log, tick = daemon.serial_log(IDENTITY), threading.Event()
    for _ in range(SAID_LIMIT_S * 20):
        sums = libvirt_guest.kept(log.read_text(errors="replace")) if log.exists() else []
        if len(sums) >= times:
            return sums[-1]
        tick.wait(0.05)
    pytest.fail("the guest never said what is on its disk")


def seed_disk(daemon: PrivateLibvirtd) -> tuple[str, str]:
    """What isoinfo reads of the disk in the machine's CD-ROM drive: user data, and the instance's id."""
    rows = [line.split() for line in daemon.virsh("domblklist", "--details", str(IDENTITY)).splitlines()]
    (path,) = [row[3] for row in rows if row and row[1] == "cdrom"]
    texts = [
        subprocess.run(
            ["isoinfo", "-i", path, "-R", "-x", name], check=True, capture_output=True, text=True
        ).stdout
        for name in ("/user-data", "/meta-data")
    ]
    return texts[0], texts[1]


def powers(app: App) -> dict[str, list[PowerState]]:
    """Pool -> what connectors of the test's own see of the machine there."""
    found = {}
    for name, pool in POOLS.items():
        with connect(app.endpoints.get(name)) as connector:
            found[pool] = [vm.power for vm in connector.list_vms() if vm.identity == IDENTITY]
    return found


def test_what_a_guest_wrote_at_one_host_it_reads_at_the_other_and_again_when_it_is_back(
    app: App, pair: Pair
) -> None:
    order = new_order(
        app, order_id=IDENTITY, offering="web-small", tenant="web-shop", machine_name="guest",
        parameters={"disk_gib": 1}, tier="tier-2", ordered_by="a test", seed="guest" if seed_disks.can_write() else None,
    )  # fmt: skip
    (row,) = submit(app, UUID(int=1), [order])
    assert row.status == "delivered", row.why
    here = str(row.pool)
    (there,) = set(POOLS.values()) - {here}
    daemons = dict(zip(POOLS.values(), (pair.first, pair.second), strict=True))
    wrote = said_of_its_disk(daemons[here])
    if order.seed:
        read = seed_disk(daemons[here])
        assert read[0] == USER_DATA
        assert str(IDENTITY) in read[1]
    checked = move.preflight(app, "guest", there)
    assert checked.blocked == ()
    move.finish(move.start(UUID(int=2), checked).get_result(polling_interval_sec=0.1), checked.machine)
    assert said_of_its_disk(daemons[there]) == wrote
    console = daemons[there].serial_log(IDENTITY).read_text(errors="replace")
    assert libvirt_guest.WRITTEN not in console, "the guest found nothing, and wrote anew"
    assert powers(app) == {here: [PowerState.OFF], there: [PowerState.ON]}
    if order.seed:
        assert seed_disk(daemons[there]) == read, "cloud-init knows the machine again"
    move.undo(app, UUID(int=3), "guest")
    assert said_of_its_disk(daemons[here], times=2) == wrote
    assert powers(app) == {here: [PowerState.ON], there: []}

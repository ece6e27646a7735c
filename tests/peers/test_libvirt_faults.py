"""What a libvirt daemon that freezes, dies or refuses does to the driver, and what it never does."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.pools import Endpoint, TlsPolicy
from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.drivers.libvirt import storage, views
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
from connectors.simulators import libvirtd

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
qemu = pytest.mark.counterpart("libvirt-qemu")
memory_only = pytest.mark.counterpart("libvirt-test")


@pytest.fixture
def identity(daemon: libvirtd.PrivateLibvirtd) -> Iterator[UUID]:
    fresh = uuid4()
    yield fresh
    with connect(daemon.qemu_endpoint()) as connector:
        connector.delete_vm(fresh)


def spec(connector: Connector, identity: UUID, resources: Resources = SMALL) -> VmSpec:
    provider = connector.probe().pools[0].provider
    return VmSpec(name=f"vm-{identity.hex[:8]}", provider=provider, resources=resources)


def on_the_host(daemon: libvirtd.PrivateLibvirtd) -> tuple[list[str], list[str]]:
    """UUIDs of all machines, and names of all volumes, as virsh tells them."""
    daemon.virsh("pool-refresh", "default")
    machines = daemon.virsh("list", "--all", "--uuid").split()
    volumes = [line.split()[0] for line in daemon.virsh("vol-list", "default").splitlines() if line.strip()]
    return machines, volumes


@qemu
@pytest.mark.parametrize("timeout_s", [1.0, 3.0])
def test_a_frozen_daemon_costs_no_more_than_the_deadline(
    daemon: libvirtd.PrivateLibvirtd, timeout_s: float
) -> None:
    with connect(daemon.qemu_endpoint(timeout_s=timeout_s)) as connector:
        daemon.freeze()
        try:
            started = time.monotonic()
            with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
                connector.list_vms()
            took_s = time.monotonic() - started
        finally:
            daemon.thaw()
        assert caught.value.retriable
        assert took_s <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
        assert connector.list_vms() == []


@qemu
def test_logins_to_a_frozen_daemon_pile_up_to_a_limit_and_end_with_it(
    daemon: libvirtd.PrivateLibvirtd,
) -> None:
    endpoint = daemon.qemu_endpoint(timeout_s=0.05)
    daemon.freeze()
    try:
        for _ in range(12):
            with pytest.raises((DeadlineExceeded, Unreachable)):
                connect(endpoint).open()
        stuck = calls_under_way()
        assert len(stuck) <= 8
    finally:
        daemon.thaw()
    for thread in stuck:
        thread.join(30)
    assert calls_under_way() == []
    with connect(endpoint.model_copy(update={"timeout_s": 30})) as connector:
        assert connector.probe().pools


def calls_under_way() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "libvirt-call"]


@qemu
def test_opening_and_closing_leaves_no_socket_and_no_thread(
    leaves_nothing: Callable[[Callable[[Connector], Any]], None],
) -> None:
    leaves_nothing(lambda connector: connector.list_vms())


Cut = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def before_the_volume(patch: pytest.MonkeyPatch, kill: Callable[[], None]) -> None:
    real = storage.ensure

    def cut(*args: Any, **named: Any) -> Any:
        kill()
        return real(*args, **named)

    patch.setattr(storage, "ensure", cut)


def after_the_volume(patch: pytest.MonkeyPatch, kill: Callable[[], None]) -> None:
    real = storage.ensure

    def cut(*args: Any, **named: Any) -> Any:
        made = real(*args, **named)
        kill()
        return made

    patch.setattr(storage, "ensure", cut)


def after_the_machine(patch: pytest.MonkeyPatch, kill: Callable[[], None]) -> None:
    real = views.one

    def cut(*args: Any, **named: Any) -> Any:
        kill()
        return real(*args, **named)

    patch.setattr(views, "one", cut)


@qemu
@pytest.mark.parametrize("cut", [before_the_volume, after_the_volume, after_the_machine])
def test_a_daemon_killed_in_the_middle_of_a_create_leaves_one_machine_after_the_next(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, cut: Cut
) -> None:
    with connect(daemon.qemu_endpoint()) as connector:
        wanted = spec(connector, identity)
        with pytest.MonkeyPatch.context() as patch:  # the moment is chosen; the kill and all calls are real
            cut(patch, daemon.kill)
            with pytest.raises(ConnectorError) as caught:
                connector.create_vm(wanted, identity)
        assert caught.value.retriable
        daemon.start()
        view = connector.create_vm(wanted, identity)
    assert view.resources == SMALL
    assert on_the_host(daemon) == ([str(identity)], [f"{identity}.qcow2"])


@qemu
def test_the_remains_of_a_create_are_removed_by_a_delete(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    daemon.virsh("vol-create-as", "default", f"{identity}.qcow2", "1G", "--format", "qcow2")
    with connect(daemon.qemu_endpoint()) as connector:
        connector.delete_vm(identity)
    assert on_the_host(daemon) == ([], [])


@qemu
def test_remains_of_another_size_are_made_anew(daemon: libvirtd.PrivateLibvirtd, identity: UUID) -> None:
    daemon.virsh("vol-create-as", "default", f"{identity}.qcow2", "3G", "--format", "qcow2")
    with connect(daemon.qemu_endpoint()) as connector:
        assert connector.create_vm(spec(connector, identity), identity).resources == SMALL
    assert on_the_host(daemon) == ([str(identity)], [f"{identity}.qcow2"])


@qemu
def test_a_file_the_daemon_does_not_know_of_is_found(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    daemon.virsh("vol-create-as", "default", "other.qcow2", "1G", "--format", "qcow2")
    (daemon.images / "other.qcow2").rename(daemon.images / f"{identity}.qcow2")
    with connect(daemon.qemu_endpoint()) as connector:
        assert connector.create_vm(spec(connector, identity), identity).resources == SMALL
    assert on_the_host(daemon) == ([str(identity)], [f"{identity}.qcow2"])


@qemu
def test_a_definition_the_daemon_refuses_leaves_no_volume(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    with connect(daemon.qemu_endpoint(machine="no-such-machine")) as connector:
        wanted = spec(connector, identity)
        with pytest.raises(Refused) as caught:
            connector.create_vm(wanted, identity)
    assert "VIR_ERR" in caught.value.vendor_code
    assert on_the_host(daemon) == ([], [])


@qemu
def test_a_strangers_machine_with_our_uuid_is_never_touched(daemon: libvirtd.PrivateLibvirtd) -> None:
    identity = uuid4()
    definition = daemon.folder / "stranger.xml"
    definition.write_text(
        f"<domain type='qemu'><name>stranger</name><uuid>{identity}</uuid><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    daemon.virsh("define", str(definition))
    with connect(daemon.qemu_endpoint()) as connector:
        with pytest.raises(Conflict):
            connector.create_vm(spec(connector, identity), identity)
        with pytest.raises(NotFound):
            connector.power(identity, PowerAction.ON)
        connector.delete_vm(identity)
    assert daemon.virsh("list", "--all", "--name").split() == ["stranger"]
    daemon.virsh("undefine", "stranger")


@qemu
def test_a_clone_that_somebody_made_is_a_strangers(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    clone = uuid4()
    with connect(daemon.qemu_endpoint()) as connector:
        connector.create_vm(spec(connector, identity), identity)
        connector.tag(identity, {"env": "prod"})
        text = daemon.virsh("dumpxml", str(identity)).replace(
            f"vm-{identity.hex[:8]}</name>", "clone</name>"
        )
        text = text.replace(f"<uuid>{identity}<", f"<uuid>{clone}<").replace(
            f"{identity}.qcow2", "clone.qcow2"
        )
        definition = daemon.folder / "clone.xml"
        definition.write_text(text)
        daemon.virsh("vol-clone", f"{identity}.qcow2", "clone.qcow2", "--pool", "default")
        daemon.virsh("define", str(definition))
        seen = {vm.native_id: vm.identity for vm in connector.list_vms()}
        assert seen == {str(identity): identity, str(clone): None}
        assert {vm.native_id: vm.identity for vm in connector.changes().vms} == seen
        with pytest.raises(NotFound):
            connector.get_vm(clone)
        connector.delete_vm(clone)
        connector.delete_vm(identity)
    assert on_the_host(daemon) == ([str(clone)], ["clone.qcow2"])
    daemon.virsh("undefine", str(clone))
    daemon.virsh("vol-delete", "clone.qcow2", "--pool", "default")


@qemu
def test_a_missing_storage_pool_says_how_to_make_one(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    with connect(daemon.qemu_endpoint(storage_pool="fast")) as connector:
        gap = connector.probe().pools[0].capabilities.gap(Capability.CREATE)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert "pool-define-as" in gap.detail
        with pytest.raises(Unsupported) as caught:
            connector.create_vm(spec(connector, identity), identity)
        assert caught.value.gap == gap


@memory_only
def test_a_pool_without_space_refuses_and_keeps_nothing(daemon: libvirtd.PrivateLibvirtd) -> None:
    endpoint = daemon.test_endpoint()
    made = [uuid4() for _ in range(3)]
    with connect(endpoint) as connector:
        before = daemon.virsh("vol-list", "default-pool", address=daemon.test_address)
        # libvirt's test driver has 100 GiB
        wanted = {i: spec(connector, i, Resources(vcpu=1, memory_mib=64, disk_gib=45)) for i in made}
        connector.create_vm(wanted[made[0]], made[0])
        connector.create_vm(wanted[made[1]], made[1])
        with pytest.raises(Refused) as caught:
            connector.create_vm(wanted[made[2]], made[2])
        assert "space" in caught.value.why
        assert caught.value.hint
        for identity in made:
            connector.delete_vm(identity)
        assert daemon.virsh("vol-list", "default-pool", address=daemon.test_address) == before


@qemu
def test_a_dead_port_is_unreachable_with_libvirts_own_code(daemon: libvirtd.PrivateLibvirtd) -> None:
    endpoint = daemon.qemu_endpoint().model_copy(update={"address": "qemu+tcp://127.0.0.1:1/system"})
    with pytest.raises(Unreachable) as caught:
        connect(endpoint).open()
    assert caught.value.vendor_code == "38 VIR_ERR_SYSTEM_ERROR"


@qemu
def test_tls_verifies_unless_a_reason_is_written() -> None:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirtd.PrivateLibvirtd(tls=True) as daemon:
        trusted = daemon.tls_endpoint()
        assert seen(trusted) is True
        stranger = TlsPolicy(ca_file=str(daemon.folder / "pki" / "client.pem"))
        with pytest.raises(Unreachable):
            seen(trusted.model_copy(update={"tls": stranger}))
        elsewhere = trusted.address.replace(
            "127.0.0.1", "localhost"
        )  # a name its certificate does not hold
        with pytest.raises(Unreachable):
            seen(trusted.model_copy(update={"address": elsewhere}))
        written = TlsPolicy(
            ca_file=trusted.tls.ca_file, unverified_because="a test of what unverified means"
        )
        assert seen(trusted.model_copy(update={"address": elsewhere, "tls": written})) is False
        assert seen(daemon.qemu_endpoint()) is False


OWNER = """
import sys
from connectors.registry import connect
from connectors.contract import PowerAction, VmSpec
from connectors.simulators.libvirtd import PrivateLibvirtd
from catalog.resources import Resources
from uuid import uuid4
with PrivateLibvirtd() as daemon, connect(daemon.qemu_endpoint()) as connector:
    identity = uuid4()
    provider = connector.probe().pools[0].provider
    small = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    connector.create_vm(VmSpec(name="orphan", provider=provider, resources=small), identity)
    connector.power(identity, PowerAction.ON)
    print(daemon.folder, flush=True)
    sys.stdin.read()
"""


@qemu
def test_the_daemon_and_its_machines_end_with_an_owner_that_is_killed() -> None:
    problem = libvirtd.missing()
    if problem is not None:
        pytest.skip(problem)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=pipe, stdout=pipe, text=True) as owner:
        assert owner.stdout is not None
        folder = owner.stdout.readline().strip()
        assert Path(folder).is_dir()
        assert processes_naming(folder), "the daemon's guest should run"
        owner.kill()
    tick = threading.Event()
    assert any(not processes_naming(folder) or tick.wait(0.05) for _ in range(400))
    assert any(not Path(folder).exists() or tick.wait(0.05) for _ in range(400))


def processes_naming(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # gone since it was listed
            continue
        if word in line:
            found.append(line)
    return found


def seen(endpoint: Endpoint) -> bool:
    with connect(endpoint) as connector:
        return connector.probe().secure

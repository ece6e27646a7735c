"""The feed against what virsh does behind its back, and against daemons that restart and freeze."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Changes, Connector, PowerState, VmSpec
from connectors.drivers.libvirt import views, watching
from connectors.errors import DeadlineExceeded, Unreachable
from connectors.registry import connect
from connectors.simulators import libvirtd

SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)
HEARD_LIMIT_S = 20
qemu = pytest.mark.counterpart("libvirt-qemu")
memory_only = pytest.mark.counterpart("libvirt-test")


@pytest.fixture
def identity(connector: Connector) -> Iterator[UUID]:
    fresh = uuid4()
    make(connector, fresh, f"fed-{fresh.hex[:8]}")
    yield fresh
    connector.delete_vm(fresh)


def make(connector: Connector, identity: UUID, name: str) -> None:
    provider = connector.probe().pools[0].provider
    connector.create_vm(VmSpec(name=name, provider=provider, resources=SMALL), identity)


def heard(connector: Connector, since: str, holds: Callable[[Changes], bool]) -> Changes:
    """What is told since a cursor, as soon as it is as expected; events come a moment later."""
    tick = threading.Event()
    for _ in range(HEARD_LIMIT_S * 20):
        found = connector.changes(since)
        if holds(found):
            return found
        tick.wait(0.05)
    pytest.fail(f"never told as expected; the last answer was {found!r}")


@qemu
def test_what_libvirt_sends_no_event_for_is_told_all_the_same(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    cursor = connector.changes().cursor

    def told(**expected: object) -> None:
        nonlocal cursor
        wanted = connector.get_vm(identity)
        for name, value in expected.items():
            assert getattr(wanted, name) == value
        found = heard(connector, cursor, lambda found: found.vms == (wanted,))
        assert not found.full
        cursor = found.cursor

    daemon.virsh("setvcpus", str(identity), "2", "--config")
    told(resources=SMALL.model_copy(update={"vcpu": 2}))
    daemon.virsh("vol-resize", f"{identity}.qcow2", "3G", "default")
    told(resources=Resources(vcpu=2, memory_mib=128, disk_gib=3))
    daemon.virsh("start", str(identity))
    told(power=PowerState.ON)
    daemon.virsh("managedsave", str(identity))
    told(power=PowerState.SUSPENDED)
    daemon.virsh("managedsave-remove", str(identity))
    told(power=PowerState.OFF)


@qemu
def test_a_strangers_machine_a_new_name_and_new_annotations_are_told(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    cursor = connector.changes().cursor
    definition = daemon.folder / "stranger.xml"
    definition.write_text(
        "<domain type='qemu'><name>stranger</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    daemon.virsh("define", str(definition))
    found = heard(connector, cursor, lambda found: [v.name for v in found.vms] == ["stranger"])
    (stranger,) = found.vms
    assert stranger.identity is None
    daemon.virsh("domrename", "stranger", "renamed")
    renamed = heard(connector, found.cursor, lambda found: [v.name for v in found.vms] == ["renamed"])
    daemon.virsh("undefine", "renamed")
    gone = heard(connector, renamed.cursor, lambda found: found.gone == (stranger.native_id,))
    assert gone.vms == ()
    mark = '<machine>{"name": "x", "annotations": {"order": "7"}}</machine>'
    uri = "urn:tierwise:machine:1"
    daemon.virsh("metadata", str(identity), "--uri", uri, "--key", "tierwise", "--set", mark, "--config")
    heard(
        connector, gone.cursor, lambda found: [dict(v.annotations) for v in found.vms] == [{"order": "7"}]
    )


@qemu
def test_a_cursor_asked_twice_is_told_the_same_and_more(connector: Connector, identity: UUID) -> None:
    first = connector.changes().cursor
    other = uuid4()
    make(connector, other, "other")
    second = heard(connector, first, lambda found: len(found.vms) == 1)
    assert heard(connector, first, lambda found: found.vms == second.vms).cursor >= second.cursor
    connector.delete_vm(other)
    heard(connector, first, lambda found: (found.vms, found.gone) == ((), (str(other),)))
    heard(connector, second.cursor, lambda found: (found.vms, found.gone) == ((), (str(other),)))


@qemu
def test_a_daemon_that_restarted_gives_the_whole_inventory_once_and_changes_again(
    daemon: libvirtd.PrivateLibvirtd, connector: Connector, identity: UUID
) -> None:
    cursor = connector.changes().cursor
    daemon.restart()
    anew = connector.changes(cursor)
    assert anew.full
    assert [view.identity for view in anew.vms] == [identity]
    daemon.virsh("start", str(identity))
    told = heard(connector, anew.cursor, lambda found: [v.power for v in found.vms] == [PowerState.ON])
    assert not told.full
    daemon.virsh("destroy", str(identity))


@qemu
def test_a_frozen_daemon_ends_the_question_at_the_deadline_and_the_feed_begins_anew(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID
) -> None:
    timeout_s = 2.0
    with connect(daemon.qemu_endpoint(timeout_s=timeout_s)) as connector:
        cursor = connector.changes().cursor
        daemon.freeze()
        try:
            started = time.monotonic()
            with pytest.raises((DeadlineExceeded, Unreachable)):
                connector.changes(cursor)
            took_s = time.monotonic() - started
        finally:
            daemon.thaw()
        assert took_s <= timeout_s * 1.1 + 1, "1 s of slack for a busy machine"
        assert connector.changes(cursor).full


@qemu
def test_a_feed_that_ran_over_gives_the_whole_inventory(
    daemon: libvirtd.PrivateLibvirtd, identity: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_HEARD", 3)
    with connect(daemon.qemu_endpoint()) as connector:
        cursor = connector.changes().cursor
        for number in range(6):
            daemon.virsh("desc", str(identity), "--config", f"change {number}")
        heard(connector, cursor, lambda found: found.full)


@qemu
def test_listening_and_closing_leaves_no_socket_and_no_thread(
    leaves_nothing: Callable[[Callable[[Connector], Any]], None],
) -> None:
    leaves_nothing(lambda connector: connector.changes())


@memory_only
def test_only_machines_that_changed_are_read(
    daemon: libvirtd.PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [uuid4() for _ in range(40)]
    with connect(daemon.test_endpoint()) as connector:
        for number, identity in enumerate(made):
            make(connector, identity, f"many-{number}")
        cursor = connector.changes().cursor
        read: list[str] = []
        real = views._view  # the sole reader of a machine's definition

        def counted(vendor: object, connection: object, domain: object, *more: object) -> object:
            read.append(domain.UUIDString())  # type: ignore[attr-defined] # libvirt's own object
            return real(vendor, connection, domain, *more)  # type: ignore[arg-type] # as it came

        monkeypatch.setattr(views, "_view", counted)
        daemon.virsh("start", str(made[7]), address=daemon.test_address)
        heard(connector, cursor, lambda found: [v.identity for v in found.vms] == [made[7]])
        assert set(read) == {str(made[7])}
        monkeypatch.undo()
        for identity in made:
            connector.delete_vm(identity)

"""A disk is taken out of a machine that is there: once, never another one, and refused before it is tried."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from catalog.capabilities import Gap, GapReason
from connectors.contract import NewDisk
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.errors import EndpointDown, InvalidInput, NotSupported, TierwiseError
from tierwise.usecases import disks, snapshots
from tierwise.usecases.inventory import Drift
from tierwise.usecases.order import drain

XEN = "hosted-xen"

KILLED = """
import sys
from pathlib import Path
from uuid import UUID
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.testing.crash import Point, Points, watched
from tierwise.testing.estate import quick_settings
from tierwise.usecases import disks
points = Points(Point(sys.argv[2], 1))
app = watched(wire(quick_settings(Path(sys.argv[1]))), points)
with running(app):
    points.armed = True
    disks.remove(app, UUID(int=2), "shop-01", "data")
"""


def with_disk(acme: Any) -> int:
    """A machine with a disk `data` of 5 GiB; the size of its first one."""
    acme.deliver("shop-01")
    first_gib = int(acme.machine("shop-01").resources.disk_gib)
    disks.add(acme.app, UUID(int=1), "shop-01", "data", 5)
    return first_gib


def test_a_disk_goes_at_the_hypervisor_in_the_books_and_in_the_bill(acme: Any) -> None:
    first = with_disk(acme)
    held = acme.held()
    disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    assert (acme.disks_gib("shop-01"), acme.machine("shop-01").resources.disk_gib) == ({"": first}, first)
    assert acme.rows("SELECT disk_gib FROM machine") == [(first,)]
    assert {pool: had[2] - acme.held()[pool][2] for pool, had in held.items()} == {"hosted-nl": 5}
    assert acme.kinds("shop-01") == ["created", "powered_on", "resized", "resized"]
    assert acme.drift() is Drift.NONE


def test_a_disk_is_named_by_its_key_too_and_the_others_stay(acme: Any) -> None:
    first = with_disk(acme)
    disks.add(acme.app, UUID(int=2), "shop-01", "logs", 3)
    key = next(disk.key for disk in disks.listed(acme.app, "shop-01") if disk.name == "data")
    disks.remove(acme.app, UUID(int=3), "shop-01", key)
    assert acme.disks_gib("shop-01") == {"": first, "logs": 3}
    assert acme.drift() is Drift.NONE


def test_the_first_disk_and_one_that_is_not_there_are_told(acme: Any) -> None:
    with_disk(acme)
    before = acme.disks_gib("shop-01"), acme.held()
    with pytest.raises(InvalidInput, match=r"starts from disk 'disk-0'.*delete that to remove it"):
        disks.remove(acme.app, UUID(int=2), "shop-01", "disk-0")
    with pytest.raises(InvalidInput, match=r"no disk 'mars'; it has: 'disk-0', 'data'"):
        disks.remove(acme.app, UUID(int=3), "shop-01", "mars")
    assert (acme.disks_gib("shop-01"), acme.held()) == before


def test_a_machine_with_snapshots_keeps_its_disk_and_says_what_to_do(acme: Any) -> None:
    with_disk(acme)
    with connect(acme.endpoint(XEN)) as connector:
        connector.snapshot(UUID(acme.rows("SELECT id FROM machine")[0][0]), "before")
    before = acme.disks_gib("shop-01"), acme.held(), acme.rows("SELECT * FROM machine")
    with pytest.raises(TierwiseError, match=r"has snapshots.*delete them first"):
        disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    assert (acme.disks_gib("shop-01"), acme.held(), acme.rows("SELECT * FROM machine")) == before
    snapshots.delete(acme.app, UUID(int=3), "shop-01", "before")
    disks.remove(acme.app, UUID(int=4), "shop-01", "data")
    assert acme.drift() is Drift.NONE


def test_a_pool_that_cannot_says_why_and_the_hypervisor_is_not_asked(acme: Any, monkeypatch: Any) -> None:
    with_disk(acme)
    gap = Gap(reason=GapReason.NOT_LICENSED, detail="disks need another licence")
    monkeypatch.setattr("tierwise.usecases.change.gap_of", lambda *_: gap)
    with pytest.raises(NotSupported, match="remove_disk_hot is not available") as caught:
        disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    assert "another licence" in str(caught.value.details)
    assert acme.calls(XEN, "remove_disk") == []


def test_a_reply_that_was_lost_removes_the_disk_once(acme: Any) -> None:
    first = with_disk(acme)
    disks.add(acme.app, UUID(int=2), "shop-01", "logs", 5)
    acme.fault(XEN, "remove_disk", FaultKind.LOSE_REPLY)
    disks.remove(acme.app, UUID(int=3), "shop-01", "data")
    assert acme.disks_gib("shop-01") == {"": first, "logs": 5}
    assert len(acme.calls(XEN, "remove_disk")) == 2
    assert acme.drift() is Drift.NONE


def test_a_hypervisor_that_does_not_answer_leaves_books_and_disk_as_they_were(acme: Any) -> None:
    with_disk(acme)
    before = (
        acme.disks_gib("shop-01"),
        acme.held(),
        acme.rows("SELECT * FROM machine"),
        acme.kinds("shop-01"),
    )
    acme.fault(XEN, "remove_disk", FaultKind.UNREACHABLE, times=acme.settings.retries)
    with pytest.raises(EndpointDown, match="shop-01"):
        disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    assert (
        acme.disks_gib("shop-01"),
        acme.held(),
        acme.rows("SELECT * FROM machine"),
        acme.kinds("shop-01"),
    ) == before


def test_a_removal_that_took_effect_and_then_failed_is_in_the_books_and_tells_what_may_be_left(
    acme: Any,
) -> None:
    first = with_disk(acme)
    acme.fault(XEN, "remove_disk", FaultKind.LOSE_REPLY)
    acme.fault(XEN, "remove_disk", FaultKind.REFUSED, nth=2, why="the file is in use")
    with pytest.raises(TierwiseError, match=r"has the disk no more, but its content may be left: .*in use"):
        disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    assert acme.disks_gib("shop-01") == {"": first}
    assert acme.rows("SELECT disk_gib FROM machine") == [(first,)]
    assert acme.drift() is Drift.NONE


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_is_killed_removes_its_disk_once_and_not_the_next_one_of_that_name(
    estate: Any, when: str
) -> None:
    acme = estate()
    with acme.running():
        first = with_disk(acme)
    folder = str(acme.settings.data_dir.parent)
    command = [sys.executable, "-c", KILLED, folder, f"{when} remove_disk"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    with acme.running():
        disks.add(acme.app, UUID(int=3), "shop-01", "data", 5)
        assert acme.disks_gib("shop-01") == {"": first, "data": 5}
        assert acme.rows("SELECT disk_gib FROM machine") == [(first + 5,)]
        assert acme.drift() is Drift.NONE
    calls = [*acme.calls(XEN, "add_disk"), *acme.calls(XEN, "remove_disk")]
    order = [call.operation for call in sorted(calls, key=lambda call: call.seq)]
    assert order == ["add_disk", *["remove_disk"] * (1 if when == "before" else 2), "add_disk"]
    assert acme.kinds("shop-01") == ["created", "powered_on", "resized", "resized", "resized"]


def test_a_removal_that_is_in_the_books_is_never_done_again(estate: Any) -> None:
    acme = estate()
    with acme.running():
        first = with_disk(acme)
        disks.remove(acme.app, UUID(int=2), "shop-01", "data")
        disks.add(acme.app, UUID(int=3), "shop-01", "data", 5)
    # What is left behind when the engine removed its notes and could not write that the work ended.
    with closing(sqlite3.connect(acme.settings.database)) as database, database:
        database.execute("DELETE FROM datasource_outputs")
        database.execute("DELETE FROM operation_outputs")
        database.execute("UPDATE workflow_status SET status = 'PENDING', output = NULL")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert acme.disks_gib("shop-01") == {"": first, "data": 5}
        assert acme.drift() is Drift.NONE
    assert len(acme.calls(XEN, "remove_disk")) == 1


def test_what_was_on_a_removed_disk_is_gone_and_a_new_one_of_its_name_is_empty(acme: Any) -> None:
    with_disk(acme)
    identity = UUID(acme.rows("SELECT id FROM machine")[0][0])
    address = acme.address(XEN)
    with closing(sqlite3.connect(address)) as database, database:
        (seq,) = database.execute("SELECT seq FROM disk").fetchone()
        database.execute("INSERT INTO block (vm, place, data) VALUES (?, 0, x'00ff')", (-seq,))
    disks.remove(acme.app, UUID(int=2), "shop-01", "data")
    with closing(sqlite3.connect(address)) as database:
        assert database.execute("SELECT count(*) FROM block").fetchone() == (0,)
    with connect(acme.endpoint(XEN)) as connector:
        connector.add_disk(identity, NewDisk(name="data", size_gib=5))
    with closing(sqlite3.connect(address)) as database:
        assert database.execute("SELECT seq FROM disk").fetchone() > (seq,)

"""Snapshots of a machine: taken in their moment or not at all, gone back to once, and the books follow."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from catalog.capabilities import Gap, GapReason
from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState
from connectors.drivers.simulated.faults import FaultKind
from tierwise.errors import EndpointDown, InvalidInput, NotSupported, TierwiseError
from tierwise.jobs.runtime import current
from tierwise.usecases import change, snapshots
from tierwise.usecases.inventory import Drift
from tierwise.usecases.order import drain

XEN = "hosted-xen"
SMALL = Resources(vcpu=2, memory_mib=4096, disk_gib=40)

KILLED = """
import sys
from pathlib import Path
from uuid import UUID
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.testing.crash import Point, Points, watched
from tierwise.testing.estate import quick_settings
from tierwise.usecases import snapshots
points = Points(Point(sys.argv[2], 1))
app = watched(wire(quick_settings(Path(sys.argv[1]))), points)
with running(app):
    points.armed = True
    getattr(snapshots, sys.argv[3])(app, UUID(int=9), "shop-01", "before")
"""


def killed(acme: Any, where: str, work: str) -> None:
    """A process that asks for this and is killed there."""
    command = [sys.executable, "-c", KILLED, str(acme.settings.data_dir.parent), where, work]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL


def lose_notes(acme: Any, work: str) -> None:
    """What is left behind when the engine removed its notes and could not write that the work ended."""
    with closing(sqlite3.connect(acme.settings.database)) as database, database:
        database.execute("DELETE FROM datasource_outputs")
        database.execute("DELETE FROM operation_outputs")
        pending = "UPDATE workflow_status SET status = 'PENDING', output = NULL WHERE name = ?"
        database.execute(pending, (work,))


def listed(acme: Any) -> list[str]:
    return [one.name for one in snapshots.listed(acme.app, "shop-01")]


def resized_since(acme: Any) -> None:
    """A machine that was half of what it is now when its snapshot `before` was taken."""
    acme.deliver("shop-01")
    snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    change.resize(acme.app, UUID(int=2), "shop-01", Resources(memory_mib=8192))


def books(acme: Any) -> list[Any]:
    return [
        acme.held(),
        acme.rows("SELECT id, state, power, vcpu, memory_mib, disk_gib FROM machine"),
        acme.rows("SELECT kind FROM machine_event"),
    ]


def test_a_snapshot_is_listed_and_changes_no_book(acme: Any) -> None:
    acme.deliver("shop-01")
    before = books(acme)
    assert listed(acme) == []
    for at, name in enumerate(("two", "one"), 1):
        snapshots.take(acme.app, UUID(int=at), "shop-01", name)
    began = datetime.now(UTC) - timedelta(minutes=5)
    assert [
        (one.name, one.parent, one.current, began < one.taken_at <= datetime.now(UTC))
        for one in snapshots.listed(acme.app, "shop-01")
    ] == [("two", "", False, True), ("one", "two", True, True)]
    assert books(acme) == before
    assert acme.drift() is Drift.NONE


def test_going_back_brings_back_size_and_power_also_in_the_books_and_the_bill(acme: Any) -> None:
    resized_since(acme)
    change.power(acme.app, UUID(int=3), "shop-01", PowerAction.OFF)
    row = snapshots.revert(acme.app, UUID(int=4), "shop-01", "before")
    assert (row.power, row.memory_mib) == ("on", 4096)
    machine = acme.machine("shop-01")
    assert (machine.resources, machine.power) == (SMALL, PowerState.ON)
    assert acme.held() == {"hosted-nl": (2, 4096, 40)}
    assert acme.kinds("shop-01") == [
        "created",
        "powered_on",
        "resized",
        "powered_off",
        "resized",
        "powered_on",
    ]
    assert acme.drift() is Drift.NONE
    assert listed(acme) == ["before"]


def test_going_back_to_what_it_is_writes_nothing_down(acme: Any) -> None:
    acme.deliver("shop-01")
    snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    before = books(acme)
    snapshots.revert(acme.app, UUID(int=2), "shop-01", "before")
    assert books(acme) == before


def test_what_was_tagged_since_is_no_drift_after_going_back(acme: Any) -> None:
    from tierwise.usecases import tagging

    acme.deliver("shop-01")
    snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    tagging.tag(acme.app, UUID(int=2), "shop-01", {"env": "prod"})
    snapshots.revert(acme.app, UUID(int=3), "shop-01", "before")
    assert acme.drift() is Drift.NONE


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a\\b", "50%", "a\nb", "a\u200bb", "x" * 81])
def test_a_name_that_vendors_cannot_hold_is_told_before_anything_is_tried(acme: Any, name: str) -> None:
    acme.deliver("shop-01")
    with pytest.raises(
        InvalidInput, match="is no name for a snapshot; it has 1 to 80 characters"
    ) as caught:
        snapshots.take(acme.app, UUID(int=1), "shop-01", name)
    assert "a line break or another that cannot be shown" in str(caught.value)
    assert acme.calls(XEN, "snapshot") == []


def test_a_name_that_is_taken_or_not_there_is_told_with_those_that_are(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="no snapshot 'mars'; it has: none"):
        snapshots.revert(acme.app, UUID(int=1), "shop-01", "mars")
    for at, name in enumerate(("x" * 80, "größer & <2>"), 2):
        snapshots.take(acme.app, UUID(int=at), "shop-01", name)
    with pytest.raises(
        InvalidInput, match="has a snapshot 'größer & <2>' already; delete it, or choose another"
    ):
        snapshots.take(acme.app, UUID(int=4), "shop-01", "größer & <2>")
    with pytest.raises(InvalidInput, match=r"no snapshot 'mars'; it has: 'x+', 'größer & <2>'"):
        snapshots.revert(acme.app, UUID(int=5), "shop-01", "mars")
    assert acme.calls(XEN, "revert") == []


@pytest.mark.parametrize("work", ["take", "revert", "delete", "listed"])
def test_a_pool_that_cannot_says_why_and_the_hypervisor_is_not_asked(
    acme: Any, monkeypatch: Any, work: str
) -> None:
    acme.deliver("shop-01")
    snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    calls = len(acme.calls(XEN, "list_snapshots"))
    gap = Gap(reason=GapReason.NEVER, detail="containers have no snapshots")
    monkeypatch.setattr("tierwise.usecases.change.gap_of", lambda *_: gap)
    capability = {"revert": "revert", "delete": "delete_snapshot"}.get(work, "snapshot")
    arguments = () if work == "listed" else (UUID(int=2), "shop-01", "later")
    with pytest.raises(NotSupported, match=f"{capability} is not available for shop-01") as caught:
        getattr(snapshots, work)(acme.app, *(arguments or ("shop-01",)))
    assert "containers have no snapshots (never)" in str(caught.value.details)
    assert len(acme.calls(XEN, "list_snapshots")) == calls


@pytest.mark.parametrize(
    ("work", "operation"), [("take", "snapshot"), ("revert", "revert"), ("delete", "delete_snapshot")]
)
def test_a_hypervisor_that_does_not_answer_leaves_everything_as_it_was(
    acme: Any, work: str, operation: str
) -> None:
    resized_since(acme)
    before = books(acme), acme.machine("shop-01")
    acme.fault(XEN, operation, FaultKind.UNREACHABLE, times=acme.settings.retries)
    with pytest.raises(EndpointDown, match="shop-01"):
        getattr(snapshots, work)(acme.app, UUID(int=4), "shop-01", "later" if work == "take" else "before")
    assert (books(acme), acme.machine("shop-01")) == before
    assert listed(acme) == ["before"]


def test_a_reply_that_was_lost_takes_one_snapshot_and_goes_back_to_it(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(XEN, "snapshot", FaultKind.LOSE_REPLY)
    snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    assert listed(acme) == ["before"]
    change.power(acme.app, UUID(int=2), "shop-01", PowerAction.OFF)
    acme.fault(XEN, "revert", FaultKind.LOSE_REPLY)
    snapshots.revert(acme.app, UUID(int=3), "shop-01", "before")
    assert len(acme.calls(XEN, "revert")) == 2
    assert acme.drift() is Drift.NONE


def test_replies_that_are_all_lost_still_put_into_the_books_what_the_machine_is(acme: Any) -> None:
    resized_since(acme)
    acme.fault(XEN, "revert", FaultKind.LOSE_REPLY, times=acme.settings.retries)
    with pytest.raises(EndpointDown, match="shop-01"):
        snapshots.revert(acme.app, UUID(int=4), "shop-01", "before")
    assert acme.held() == {"hosted-nl": (2, 4096, 40)}
    assert acme.drift() is Drift.NONE


def test_a_refusal_changes_no_book_and_one_that_cannot_be_looked_at_is_told(acme: Any) -> None:
    resized_since(acme)
    before = books(acme)
    acme.fault(XEN, "revert", FaultKind.REFUSED, why="the disk is in use")
    with pytest.raises(TierwiseError, match="the disk is in use"):
        snapshots.revert(acme.app, UUID(int=4), "shop-01", "before")
    assert books(acme) == before
    acme.fault(XEN, "get_vm", FaultKind.UNREACHABLE, times=acme.settings.retries)
    with pytest.raises(
        EndpointDown, match="is back at snapshot 'before', but its size and power are not in"
    ):
        snapshots.revert(acme.app, UUID(int=5), "shop-01", "before")
    assert books(acme) == before
    assert acme.drift() is Drift.CHANGED


def test_a_process_that_is_killed_takes_its_snapshot_in_its_moment_or_never(estate: Any) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
    killed(acme, "before snapshot", "take")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert listed(acme) == []
        assert current().cut_off == [
            "shop-01: snapshot 'before' was not taken before it was cut off; take it now if it is still wanted"
        ]
    assert acme.calls(XEN, "snapshot") == []


def test_a_process_that_is_killed_after_its_snapshot_has_taken_it(estate: Any) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
    killed(acme, "after snapshot", "take")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert listed(acme) == ["before"]
        assert current().cut_off == []
    assert len(acme.calls(XEN, "snapshot")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_killed_goes_back_once_at_most_and_the_books_are_right(
    estate: Any, when: str
) -> None:
    acme = estate()
    with acme.running():
        resized_since(acme)
    killed(acme, f"{when} revert", "revert")
    calls = len(acme.calls(XEN, "revert"))
    assert calls == (1 if when == "after" else 0)
    with acme.running():
        drain(acme.app, poll_s=0.02)
        (told,) = current().cut_off
        assert told.startswith(
            "shop-01: going back to snapshot 'before' was cut off, and may have been done or not"
        )
        assert len(acme.calls(XEN, "revert")) == calls
        assert acme.machine("shop-01").resources.memory_mib == (4096 if when == "after" else 8192)
        assert acme.drift() is Drift.NONE


def test_whoever_works_next_is_told_what_was_cut_off(estate: Any) -> None:
    acme = estate()
    with acme.running():
        resized_since(acme)
    killed(acme, "before revert", "revert")
    environment = {**os.environ, "TIERWISE_DATA_DIR": str(acme.settings.data_dir)}
    command = [sys.executable, "-m", "tierwise", "order", "resume"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "shop-01: going back to snapshot 'before' was cut off" in done.stderr


def test_going_back_that_is_in_the_books_is_never_done_again(estate: Any) -> None:
    acme = estate()
    with acme.running():
        resized_since(acme)
        snapshots.revert(acme.app, UUID(int=4), "shop-01", "before")
        change.resize(acme.app, UUID(int=5), "shop-01", Resources(memory_mib=6144))
    lose_notes(acme, "revert")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert acme.machine("shop-01").resources.memory_mib == 6144
        assert acme.drift() is Drift.NONE
    assert len(acme.calls(XEN, "revert")) == 1


def test_a_snapshot_that_goes_leaves_machine_books_and_other_snapshots(acme: Any) -> None:
    resized_since(acme)
    for at, name in enumerate(("two", "three"), 3):
        snapshots.take(acme.app, UUID(int=at), "shop-01", name)
    before = books(acme), acme.machine("shop-01")
    snapshots.delete(acme.app, UUID(int=5), "shop-01", "two")
    assert listed(acme) == ["before", "three"]
    assert (books(acme), acme.machine("shop-01")) == before
    with pytest.raises(InvalidInput, match="no snapshot 'two'; it has: 'before', 'three'"):
        snapshots.delete(acme.app, UUID(int=6), "shop-01", "two")
    snapshots.revert(acme.app, UUID(int=7), "shop-01", "before")
    assert acme.machine("shop-01").resources == SMALL


def test_a_deletion_whose_reply_was_lost_deletes_one_snapshot(acme: Any) -> None:
    acme.deliver("shop-01")
    for at, name in enumerate(("before", "later"), 1):
        snapshots.take(acme.app, UUID(int=at), "shop-01", name)
    acme.fault(XEN, "delete_snapshot", FaultKind.LOSE_REPLY)
    snapshots.delete(acme.app, UUID(int=3), "shop-01", "before")
    assert listed(acme) == ["later"]
    assert len(acme.calls(XEN, "delete_snapshot")) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deletion_that_was_cut_off_is_ended_before_another_snapshot_has_the_name(
    estate: Any, when: str
) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
        snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
    killed(acme, f"{when} delete_snapshot", "delete")
    with acme.running():
        snapshots.take(acme.app, UUID(int=2), "shop-01", "before")
        assert listed(acme) == ["before"]
        assert current().cut_off == []
    calls = [*acme.calls(XEN, "snapshot"), *acme.calls(XEN, "delete_snapshot")]
    order = [call.operation for call in sorted(calls, key=lambda call: call.seq)]
    assert order == ["snapshot", *["delete_snapshot"] * (1 if when == "before" else 2), "snapshot"]


def test_a_deletion_that_is_over_is_never_done_again(estate: Any) -> None:
    acme = estate()
    with acme.running():
        acme.deliver("shop-01")
        snapshots.take(acme.app, UUID(int=1), "shop-01", "before")
        snapshots.delete(acme.app, UUID(int=2), "shop-01", "before")
        snapshots.take(acme.app, UUID(int=3), "shop-01", "before")
    lose_notes(acme, "delete_snapshot")
    with acme.running():
        drain(acme.app, poll_s=0.02)
        assert listed(acme) == ["before"]
    assert len(acme.calls(XEN, "delete_snapshot")) == 1

"""A machine goes to another hypervisor and back; its content is written and read behind tierwise's back."""

import dataclasses
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest

from catalog.resources import Resources
from connectors.contract import DiskFormat, PowerAction, PowerState
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import connect
from tierwise.errors import EndpointDown, InvalidInput, NotSupported, TierwiseError
from tierwise.usecases import change, move, snapshots
from tierwise.usecases.doctor import examine
from tierwise.usecases.inventory import Drift, inventory
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.observe import observe
from tierwise.usecases.order import drain

XEN, HYPERV = "hosted-xen", "fra-hyperv"
SOURCE, TARGET = "hosted-nl", "fra-test-1"
IDENTITY = uuid5(NAMESPACE_URL, "shop-01")
SIZE = (2, 4096, 40)
MIB = 2**20


def write(acme: Any, endpoint: str, folder: Path, seed: int) -> bytes:
    """Put random content on the machine's disk, by a connector of our own; the machine is switched on again."""
    content = random.Random(seed).randbytes(3 * MIB)
    image = folder / f"written-{seed}"
    with image.open("wb") as file:
        file.truncate(40 * 2**30)
        file.seek(7 * MIB)
        file.write(content)
    with connect(acme.endpoint(endpoint)) as connector, image.open("rb") as file:
        connector.power(IDENTITY, PowerAction.OFF)
        connector.import_disk(IDENTITY, "disk-0", DiskFormat.RAW, file, lambda _done: None)
        connector.power(IDENTITY, PowerAction.ON)
    image.unlink()
    return content


def blocks(acme: Any, endpoint: str) -> bytes:
    """What stands on the one disk of an endpoint, read from its file by nobody's driver."""
    with closing(sqlite3.connect(acme.address(endpoint))) as db:
        return b"".join(data for (data,) in db.execute("SELECT data FROM block ORDER BY vm, place")).strip(
            b"\0"
        )


def carry(acme: Any, number: int = 1, to: str = TARGET) -> dict[str, Any]:
    checked = move.preflight(acme.app, "shop-01", to)
    result = move.start(UUID(int=number), checked).get_result(polling_interval_sec=0.05)
    move.finish(result, checked.machine)
    return dict(result)


def where(acme: Any) -> dict[str, PowerState]:
    """Endpoint -> power state of each copy of the machine."""
    return {endpoint: vm.power for endpoint, vm in acme.machines().get("shop-01", [])}


def total_held(acme: Any) -> dict[str, tuple[int, int, int]]:
    """What allocations and open moves hold, by SQL alone."""
    query = (
        "SELECT pool, sum(vcpu), sum(memory_mib), sum(disk_gib) FROM ("
        "SELECT pool, vcpu, memory_mib, disk_gib FROM allocation UNION ALL "
        "SELECT held_pool, vcpu, memory_mib, disk_gib FROM move WHERE state IN ('moving', 'moved', 'stuck')"
        ") GROUP BY pool"
    )
    return {pool: tuple(amounts) for pool, *amounts in acme.rows(query)}


def states(acme: Any) -> list[str]:
    return [state for (state,) in acme.rows("SELECT state FROM move ORDER BY started_at, id")]


def test_a_machine_moves_with_its_content_and_its_copy_is_kept_until_it_is_confirmed(
    acme: Any, tmp_path: Path
) -> None:
    acme.deliver("shop-01")
    content = write(acme, XEN, tmp_path, 1)
    acme.clock.advance(timedelta(seconds=3600))
    carry(acme)
    assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}
    assert blocks(acme, HYPERV) == content.strip(b"\0")
    assert total_held(acme) == {SOURCE: SIZE, TARGET: SIZE}
    assert acme.rows("SELECT pool, tier, endpoint, power FROM machine") == [
        (TARGET, "tier-2", HYPERV, "on")
    ]
    assert acme.kinds("shop-01") == ["created", "powered_on", "powered_off", "moved", "powered_on"]
    observe(acme.app)
    acme.clock.advance(timedelta(seconds=1))
    move.confirm(acme.app, UUID(int=2), "shop-01")
    assert where(acme) == {HYPERV: PowerState.ON}
    assert total_held(acme) == {TARGET: SIZE}
    assert states(acme) == ["confirmed"]
    assert [(m.endpoint, m.drift) for m in inventory(acme.app).machines] == [(HYPERV, Drift.NONE)]
    assert not (acme.settings.data_dir / "moves" / str(UUID(int=1))).exists()


def test_each_hour_is_charged_on_the_tier_where_the_machine_was(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(timedelta(seconds=3600))
    carry(acme)
    acme.clock.advance(timedelta(seconds=7200))
    meter(acme.app)
    rows = [row for row in interval_store(acme.app).read().to_pylist() if row["metric"] == "vcpu"]
    seconds: dict[str, int] = {}
    for row in rows:
        seconds[row["tier"]] = seconds.get(row["tier"], 0) + row["t_to"] - row["t_from"]
    assert seconds == {"tier-3": 3600, "tier-2": 7200}


def test_a_move_is_undone_and_the_old_copy_runs_as_it_was(acme: Any, tmp_path: Path) -> None:
    acme.deliver("shop-01")
    content = write(acme, XEN, tmp_path, 1)
    carry(acme)
    write(acme, HYPERV, tmp_path, 2)
    move.undo(acme.app, UUID(int=2), "shop-01")
    assert where(acme) == {XEN: PowerState.ON}
    assert blocks(acme, XEN) == content.strip(b"\0")
    assert total_held(acme) == {SOURCE: SIZE}
    (machine,) = acme.rows("SELECT pool, tier, endpoint, native_id, power FROM machine")
    assert machine == (SOURCE, "tier-3", XEN, acme.machine("shop-01").native_id, "on")
    assert acme.rows("SELECT pool, tier FROM order_") == [(SOURCE, "tier-3")]
    assert states(acme) == ["undone"]


def test_a_machine_that_is_off_moves_and_stays_off(acme: Any) -> None:
    acme.deliver("shop-01")
    change.power(acme.app, UUID(int=9), "shop-01", PowerAction.OFF)
    carry(acme)
    assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.OFF}
    move.undo(acme.app, UUID(int=2), "shop-01")
    assert where(acme) == {XEN: PowerState.OFF}


@pytest.mark.parametrize(
    ("endpoint", "operation"),
    [
        (XEN, "export_disk"),
        (HYPERV, "create_vm"),
        (HYPERV, "details"),
        (HYPERV, "import_disk"),
        (HYPERV, "export_disk"),
        (HYPERV, "power"),
    ],
)
def test_whatever_fails_before_the_machine_runs_puts_everything_back(
    acme: Any, endpoint: str, operation: str
) -> None:
    acme.deliver("shop-01")
    acme.fault(endpoint, operation, FaultKind.REFUSED)
    with pytest.raises(TierwiseError, match="everything is as before"):
        carry(acme)
    assert where(acme) == {XEN: PowerState.ON}
    assert total_held(acme) == {SOURCE: SIZE}
    assert states(acme) == ["failed"]
    assert acme.rows("SELECT pool, power FROM machine") == [(SOURCE, "on")]
    assert list((acme.settings.data_dir / "moves").glob("*")) == []
    carry(acme, 2)
    assert where(acme)[HYPERV] is PowerState.ON


@pytest.mark.parametrize("kind", [FaultKind.UNREACHABLE, FaultKind.LOSE_REPLY])
@pytest.mark.parametrize("operation", ["create_vm", "import_disk", "export_disk", "power"])
def test_a_call_that_is_not_answered_is_repeated(acme: Any, operation: str, kind: FaultKind) -> None:
    acme.deliver("shop-01")
    acme.fault(HYPERV, operation, kind)
    carry(acme)
    assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}


def test_what_cannot_be_cleaned_up_holds_its_room_until_it_is(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.fault(HYPERV, "import_disk", FaultKind.REFUSED)
    acme.fault(HYPERV, "delete_vm", FaultKind.UNREACHABLE, times=3)
    with pytest.raises(TierwiseError, match="--undo` cleans up"):
        carry(acme)
    assert where(acme) == {XEN: PowerState.ON, HYPERV: PowerState.OFF}
    assert total_held(acme) == {SOURCE: SIZE, TARGET: SIZE}
    with pytest.raises(InvalidInput, match="left something in fra-test-1"):
        change.delete(acme.app, UUID(int=5), "shop-01")
    move.undo(acme.app, UUID(int=2), "shop-01")
    assert where(acme) == {XEN: PowerState.ON}
    assert total_held(acme) == {SOURCE: SIZE}


def test_an_undo_whose_old_copy_does_not_start_leaves_the_machine_running_where_it_is(acme: Any) -> None:
    acme.deliver("shop-01")
    carry(acme)
    acme.fault(XEN, "power", FaultKind.REFUSED)
    with pytest.raises(TierwiseError):
        move.undo(acme.app, UUID(int=2), "shop-01")
    assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}
    assert states(acme) == ["moved"]
    move.undo(acme.app, UUID(int=3), "shop-01")
    assert where(acme) == {XEN: PowerState.ON}


def test_while_the_copy_is_kept_the_machine_is_neither_resized_nor_removed_nor_brought_back(
    acme: Any,
) -> None:
    acme.deliver("shop-01")
    carry(acme)
    with pytest.raises(InvalidInput, match="--confirm` removes the copy"):
        change.resize(acme.app, UUID(int=5), "shop-01", Resources(vcpu=4))
    with pytest.raises(InvalidInput, match="--confirm` removes the copy"):
        change.delete(acme.app, UUID(int=6), "shop-01")
    for work in (snapshots.take, snapshots.revert, snapshots.delete):
        with pytest.raises(InvalidInput, match="--confirm` removes the copy"):
            work(acme.app, UUID(int=8), "shop-01", "before")
    change.power(acme.app, UUID(int=7), "shop-01", PowerAction.OFF)
    assert where(acme)[HYPERV] is PowerState.OFF
    assert move.preflight(acme.app, "shop-01", SOURCE).blocked[0].startswith("move: shop-01 was moved")


def test_the_inventory_tells_the_machine_from_its_copy(acme: Any) -> None:
    acme.deliver("shop-01")
    carry(acme)
    observe(acme.app)
    found = {(m.endpoint, m.pool, m.drift) for m in inventory(acme.app).machines}
    assert found == {(HYPERV, TARGET, Drift.NONE), (XEN, SOURCE, Drift.KEPT)}
    move.confirm(acme.app, UUID(int=2), "shop-01")
    with connect(acme.endpoint(XEN)) as connector:
        from connectors.contract import VmSpec

        provider = connector.probe().pools[0].provider
        connector.create_vm(
            VmSpec(name="shop-01", provider=provider, resources=Resources(vcpu=1)), IDENTITY
        )
    observe(acme.app)
    found = {(m.endpoint, m.drift) for m in inventory(acme.app).machines}
    assert found == {(HYPERV, Drift.NONE), (XEN, Drift.LEFT_OVER)}


@pytest.mark.parametrize(("pass_mib_s", "downtime"), [(80, "up to 35 minutes"), (4096, "up to 1 minute")])
def test_a_preflight_says_what_changes_and_changes_nothing(
    acme: Any, monkeypatch: pytest.MonkeyPatch, pass_mib_s: int, downtime: str
) -> None:
    monkeypatch.setattr(move, "PASS_MIB_S", pass_mib_s)
    acme.deliver("shop-01")
    before = acme.rows("SELECT * FROM machine"), acme.rows("SELECT * FROM allocation")
    found = move.preflight(acme.app, "shop-01", TARGET)
    assert found.blocked == ()
    said = {line.subject: line.text for line in found.lines}
    assert said["tier"].startswith("from tier-3 to tier-2: ")
    assert "40 GiB" in said["disk disk-0"]
    # 4 passes x 40 GiB x 1024 MiB / 80 MiB/s = 2048 s, or 35 minutes begun.
    assert said["downtime"].startswith(f"{downtime}: 4 passes over 40 GiB at {pass_mib_s} MiB/s")
    assert (acme.rows("SELECT * FROM machine"), acme.rows("SELECT * FROM allocation")) == before
    assert where(acme) == {XEN: PowerState.ON}


def test_rules_and_room_of_the_new_pool_forbid_a_move_in_the_words_of_a_quote(estate: Any) -> None:
    with estate(hosts=1, host_vcpu=16, host_memory_mib=65536, disk_gib=70).running() as acme:
        acme.deliver("shop-01")
        for n in range(2):
            acme.submit(acme.order(f"full-{n}", "web-small", tenant="dev-platform", tier="tier-2"))
        with pytest.raises(NotSupported) as caught:
            carry(acme)
        assert any("disk" in detail for detail in caught.value.details), caught.value.details
        assert where(acme) == {XEN: PowerState.ON}


def test_a_pool_at_the_same_endpoint_an_unknown_one_and_a_dead_one_are_refused(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="same endpoint 'hosted-xen'"):
        move.preflight(acme.app, "shop-01", SOURCE)
    with pytest.raises(InvalidInput, match="there is no pool 'mars'"):
        move.preflight(acme.app, "shop-01", "mars")
    acme.fault(HYPERV, "probe", FaultKind.UNREACHABLE)
    (why,) = move.preflight(acme.app, "shop-01", TARGET).blocked
    assert why.startswith("endpoint fra-hyperv: ")


def test_a_suspended_machine_is_not_moved(acme: Any) -> None:
    acme.deliver("shop-01")
    change.power(acme.app, UUID(int=9), "shop-01", PowerAction.SUSPEND)
    (why,) = move.preflight(acme.app, "shop-01", TARGET).blocked
    assert "suspended" in why


def test_a_machine_that_is_suspended_after_the_check_is_not_moved(acme: Any) -> None:
    row = acme.deliver("shop-01")
    checked = move.preflight(acme.app, "shop-01", TARGET)
    with connect(acme.endpoint(XEN)) as connector:
        connector.power(UUID(row.id), PowerAction.SUSPEND)
    result = move.start(UUID(int=1), checked).get_result(polling_interval_sec=0.05)
    with pytest.raises(NotSupported, match="it is suspended, and what is in its memory would be lost"):
        move.finish(result, checked.machine)
    assert where(acme) == {XEN: PowerState.SUSPENDED}
    assert states(acme) == []


def test_a_machine_whose_removal_is_under_way_is_not_moved(acme: Any) -> None:
    """As where a process was killed in a removal, which the next one does while it is told to move the machine."""
    acme.deliver("shop-01")
    checked = move.preflight(acme.app, "shop-01", TARGET)
    acme.fault(XEN, "delete_vm", FaultKind.DELAY, delay_ms=1500)
    deletions = len(acme.calls(XEN, "delete_vm"))
    with ThreadPoolExecutor(1) as thread:
        removal = thread.submit(change.delete, acme.app, UUID(int=9), "shop-01")
        while len(acme.calls(XEN, "delete_vm")) == deletions and not removal.done():
            time.sleep(0.01)
        result = move.start(UUID(int=1), checked).get_result(polling_interval_sec=0.05)
        removal.result()
    with pytest.raises(TierwiseError, match="there is no machine"):
        move.finish(result, checked.machine)
    assert where(acme) == {}
    assert states(acme) == []


def test_an_endpoint_that_goes_away_for_good_ends_the_move_and_says_so(acme: Any) -> None:
    acme.deliver("shop-01")
    checked = move.preflight(acme.app, "shop-01", TARGET)
    acme.fault(HYPERV, "create_vm", FaultKind.UNREACHABLE, times=3)
    result = move.start(UUID(int=1), checked).get_result(polling_interval_sec=0.05)
    with pytest.raises(EndpointDown, match="tried 3 times"):
        move.finish(result, checked.machine)
    assert where(acme) == {XEN: PowerState.ON}


MOVE = """
import sys
from pathlib import Path
from uuid import UUID
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.testing.estate import quick_settings
from tierwise.usecases import move
app = wire(quick_settings(Path(sys.argv[1])))
with running(app):
    checked = move.preflight(app, "shop-01", sys.argv[2])
    print("go", flush=True)
    move.finish(move.start(UUID(int=1), checked).get_result(polling_interval_sec=0.02), checked.machine)
    print("done", flush=True)
"""


@pytest.mark.parametrize("at_call", range(2, 12, 2))
def test_a_move_that_is_killed_anywhere_goes_on_and_ends_whole(
    estate: Any, tmp_path: Path, at_call: int
) -> None:
    found = estate()
    with found.running() as acme:
        acme.deliver("shop-01")
        content = write(acme, XEN, tmp_path, 1)

    def calls() -> int:
        return sum(
            len(found.calls(endpoint, operation))
            for endpoint in (XEN, HYPERV)
            for operation in ("get_vm", "details", "power", "create_vm", "export_disk", "import_disk")
        )

    command = [sys.executable, "-c", MOVE, str(found.settings.data_dir.parent), TARGET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        goal = calls() + at_call
        while process.poll() is None and calls() < goal:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    with found.running() as acme:
        drain(acme.app)
        assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}
        assert blocks(acme, HYPERV) == content.strip(b"\0")
        assert total_held(acme) == {SOURCE: SIZE, TARGET: SIZE}
        assert states(acme) == ["moved"]
        kinds = ["created", "powered_on", "powered_off", "moved", "powered_on"]
        assert acme.kinds("shop-01") == kinds
        move.confirm(acme.app, UUID(int=2), "shop-01")
        assert where(acme) == {HYPERV: PowerState.ON}


@pytest.mark.parametrize(
    "begin",
    [
        lambda app: change.delete(app, UUID(int=9), "shop-01"),
        lambda app: change.resize(app, UUID(int=9), "shop-01", Resources(memory_mib=8192)),
        lambda app: change.power(app, UUID(int=9), "shop-01", PowerAction.OFF),
        lambda app: move.confirm(app, UUID(int=9), "shop-01"),
    ],
    ids=["delete", "resize", "power", "confirm"],
)
def test_what_follows_a_move_that_was_killed_before_it_held_its_room_waits_for_it(
    estate: Any, begin: Callable[[Any], object]
) -> None:
    found = estate()
    with found.running() as acme:
        acme.deliver("shop-01")
        acme.fault(XEN, "details", FaultKind.DELAY, delay_ms=700)
    command = [sys.executable, "-c", MOVE, str(found.settings.data_dir.parent), TARGET]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        begun = "SELECT count(*) FROM workflow_status WHERE name = 'move'"
        while process.poll() is None and found.rows(begun) == [(0,)]:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert found.rows("SELECT id FROM move") == []
    with found.running() as acme:
        with pytest.raises(InvalidInput, match=f"shop-01 is on its way to {TARGET}"):
            begin(acme.app)
        drain(acme.app)
        assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}
        assert states(acme) == ["moved"]


def without(acme: Any, pool: str) -> Any:
    """The application's catalog after somebody took a pool out of it."""
    catalog = acme.app.documents.catalog
    pools = {name: entry for name, entry in catalog.pools.items() if name != pool}
    documents = dataclasses.replace(acme.app.documents, catalog=catalog.model_copy(update={"pools": pools}))
    return dataclasses.replace(acme.app, documents=documents)


def test_a_pool_that_left_the_catalog_is_asked_back_before_a_move_is_ended(acme: Any) -> None:
    acme.deliver("shop-01")
    carry(acme)
    for end in (move.confirm, move.undo):
        with pytest.raises(InvalidInput, match="put it back until the move is at its end"):
            end(without(acme, SOURCE), UUID(int=2), "shop-01")
    assert where(acme) == {XEN: PowerState.OFF, HYPERV: PowerState.ON}
    assert states(acme) == ["moved"]
    move.undo(acme.app, UUID(int=3), "shop-01")
    assert where(acme) == {XEN: PowerState.ON}


def test_an_undo_that_is_repeated_leaves_a_machine_off_that_was_off(acme: Any) -> None:
    acme.deliver("shop-01")
    carry(acme)
    change.power(acme.app, UUID(int=9), "shop-01", PowerAction.OFF)
    acme.fault(HYPERV, "delete_vm", FaultKind.UNREACHABLE, times=3)
    with pytest.raises(TierwiseError):
        move.undo(acme.app, UUID(int=2), "shop-01")
    assert states(acme) == ["stuck"]
    (found,) = [one.text for one in examine(acme.settings) if one.subject == "machine shop-01"]
    assert found.startswith("left by a move that failed (endpoint fra-hyperv")
    assert found.endswith("; `tierwise vm move shop-01 --undo` removes it")
    move.undo(acme.app, UUID(int=3), "shop-01")
    assert where(acme) == {XEN: PowerState.OFF}
    assert states(acme) == ["undone"]

"""Disks moved between storage repositories, read back by the vendor's binding and by qemu-img."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from catalog.workload_classes import Availability
from connectors import registry
from connectors.contract import Connector, PowerAction, PowerState, VmSpec, VmView
from connectors.drivers.xen.inventory import has_second_sr
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
    Unsupported,
)
from connectors.simulators.xen import Estate, Rule, XenSimulator
from tests.peers.xen.test_xen_disks import carry_in, carry_out, image, nothing, same

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

THINGS = ("VM", "VDI", "VBD", "task")
ESTATE = Estate(second_sr_gib=1024)
NEVER_MS = 10**9
NEVER = "19700101T00:00:00Z"
MIB = 1 << 20

Start = Callable[..., XenSimulator]
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


@pytest.fixture
def simulator(start: Start) -> XenSimulator:
    return start(ESTATE)


def made(connector: Connector, *, on: bool = False, **changes: Any) -> UUID:
    identity = uuid4()
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    spec = VmSpec(name="web", provider="xen-pool", resources=resources, **changes)
    connector.create_vm(spec, identity)
    if on:
        connector.power(identity, PowerAction.ON)
    return identity


def disks_of(raw: Any, identity: UUID) -> list[tuple[str, str, bool]]:
    """Of each disk of the machine's name: its storage, the number that it has, and whether it boots."""
    found = []
    for vdi in raw.VDI.get_by_name_label(f"tierwise {identity} disk 0"):
        storage = raw.SR.get_name_label(raw.VDI.get_SR(vdi))
        for vbd in raw.VDI.get_VBDs(vdi) or [None]:
            number = raw.VBD.get_userdevice(vbd) if vbd else "loose"
            found.append((storage, number, bool(vbd) and raw.VBD.get_bootable(vbd)))
    return found


IN_FAST = [("fast", "0", True)]
IN_SHARED = [("shared", "0", True)]


@STATES
def test_the_machine_is_as_before_and_has_its_one_disk_there(
    connector: Connector, simulator: XenSimulator, raw: Any, *, on: bool
) -> None:
    empty = simulator.counts(THINGS)
    identity = made(connector, on=on)
    before, counts = connector.get_vm(identity), simulator.counts(THINGS)
    assert connector.storage_migrate(identity, "fast", nothing) == before
    assert disks_of(raw, identity) == IN_FAST
    (shared,) = raw.SR.get_by_name_label("shared")
    assert connector.storage_migrate(identity, raw.SR.get_uuid(shared), nothing) == before
    assert disks_of(raw, identity) == IN_SHARED
    assert simulator.counts(THINGS) == counts
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == empty


@STATES
def test_the_content_goes_along(connector: Connector, tmp_path: Path, *, on: bool) -> None:
    identity = made(connector)
    source = image(tmp_path, {0: MIB, 512 * MIB: MIB})
    (disk,) = connector.details(identity).disks
    carry_in(connector, identity, disk.key, source)
    if on:
        connector.power(identity, PowerAction.ON)
    connector.storage_migrate(identity, "fast", nothing)
    connector.power(identity, PowerAction.OFF)
    (disk,) = connector.details(identity).disks
    carry_out(connector, identity, disk.key, tmp_path / "out")
    assert same(tmp_path / "out", source)


OFF_STEPS = (
    ("Async.VDI.copy", 0),
    ("VDI.get_uuid", 0),
    ("VDI.add_to_other_config", 0),
    ("VDI.add_to_other_config", 1),
    ("VBD.destroy", 0),
    ("VBD.create", 0),
    ("VDI.remove_from_other_config", 0),
    ("VDI.destroy", 0),
)


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize(("method", "skip"), OFF_STEPS)
def test_a_move_that_is_cut_off_anywhere_is_finished_by_the_next(
    method: str, skip: int, after: bool, connector: Connector, simulator: XenSimulator, raw: Any
) -> None:
    identity = made(connector)
    before, counts = connector.get_vm(identity), simulator.counts(THINGS)
    simulator.rules(Rule(method=method, action="reset", after=after, skip=skip, times=1))
    with pytest.raises(Unreachable):
        connector.storage_migrate(identity, "fast", nothing)
    simulator.rules()
    assert connector.storage_migrate(identity, "fast", nothing) == before
    assert disks_of(raw, identity) == IN_FAST
    (disk,) = raw.VDI.get_by_name_label(f"tierwise {identity} disk 0")
    assert raw.VDI.get_other_config(disk).keys() == {"tierwise.identity", "tierwise.empty"}
    left = simulator.counts(THINGS)
    # A task whose answer was lost is nobody's to remove; xapi forgets it by itself.
    assert {name: left[name] - counts[name] for name in THINGS} == {
        "VM": 0,
        "VDI": 0,
        "VBD": 0,
        "task": int(method.startswith("Async") and after),
    }


def test_the_copy_of_an_earlier_try_is_never_taken_for_the_disk(
    connector: Connector, simulator: XenSimulator, tmp_path: Path
) -> None:
    identity = made(connector)
    # The first worker dies with a whole copy, which then is out of date.
    simulator.rules(Rule(method="VBD.destroy", action="reset", times=1))
    with pytest.raises(Unreachable):
        connector.storage_migrate(identity, "fast", nothing)
    source = image(tmp_path, {0: MIB})
    (disk,) = connector.details(identity).disks
    carry_in(connector, identity, disk.key, source)
    # The second one dies when the machine has no disk at all.
    simulator.rules(Rule(method="VBD.create", action="reset", times=1))
    with pytest.raises(Unreachable):
        connector.storage_migrate(identity, "fast", nothing)
    assert connector.details(identity).disks == ()
    simulator.rules()
    connector.storage_migrate(identity, "fast", nothing)
    (disk,) = connector.details(identity).disks
    carry_out(connector, identity, disk.key, tmp_path / "out")
    assert same(tmp_path / "out", source)


def test_a_copy_that_somebody_else_made_stays(connector: Connector, raw: Any) -> None:
    identity = made(connector)
    (disk,) = raw.VDI.get_by_name_label(f"tierwise {identity} disk 0")
    (fast,) = raw.SR.get_by_name_label("fast")
    raw.VDI.copy(disk, fast)
    connector.storage_migrate(identity, "fast", nothing)
    assert sorted(disks_of(raw, identity)) == [("fast", "0", True), ("fast", "loose", False)]


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
def test_a_mirror_whose_answer_is_lost_is_settled_by_the_next(
    after: bool, connector: Connector, simulator: XenSimulator, raw: Any
) -> None:
    identity = made(connector, on=True)
    before = connector.get_vm(identity)
    simulator.rules(Rule(method="Async.VDI.pool_migrate", action="reset", after=after, times=1))
    with pytest.raises(Unreachable):
        connector.storage_migrate(identity, "fast", nothing)
    assert connector.storage_migrate(identity, "fast", nothing) == before
    assert disks_of(raw, identity) == IN_FAST


def test_a_copy_that_cannot_be_connected_gives_the_place_back(
    connector: Connector, simulator: XenSimulator, raw: Any
) -> None:
    identity = made(connector)
    counts = simulator.counts(THINGS)
    simulator.rules(Rule(method="VBD.create", action="fail", code="INTERNAL_ERROR", times=1))
    with pytest.raises(Refused):
        connector.storage_migrate(identity, "fast", nothing)
    assert disks_of(raw, identity) == IN_SHARED
    assert simulator.counts(THINGS) == counts


def test_a_machine_that_ran_while_it_was_copied_keeps_its_disk(
    start: Start, look: Callable[[XenSimulator], Any]
) -> None:
    simulator = start(ESTATE.model_copy(update={"content_ms": 1500}))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        identity = made(connector)
        counts = simulator.counts(THINGS)
        with look(simulator) as raw:
            (ref,) = raw.VM.get_by_name_label("web")

            def run_it(_done: int) -> None:
                if str(raw.VM_metrics.get_start_time(raw.VM.get_metrics(ref))) == NEVER:
                    raw.VM.start(ref, False, False)
                    raw.VM.hard_shutdown(ref)

            with pytest.raises(Conflict, match="was started"):
                connector.storage_migrate(identity, "fast", run_it)
            assert disks_of(raw, identity) == IN_SHARED
        assert simulator.counts(THINGS) == counts


@STATES
def test_a_move_may_take_longer_than_one_timeout_while_it_comes_further(
    start: Start, look: Callable[[XenSimulator], Any], *, on: bool
) -> None:
    simulator = start(ESTATE.model_copy(update={"content_ms": 2500}))
    with registry.connect(simulator.endpoint(timeout_s=1), simulator.password) as connector:
        identity = made(connector, on=on)
        told: list[int] = []
        connector.storage_migrate(identity, "fast", told.append)
        assert told == sorted(told)
        assert [done for done in told if 0 < done < 1 << 30]
        assert told[-1] == 1 << 30
        with look(simulator) as raw:
            assert disks_of(raw, identity) == IN_FAST


@STATES
def test_a_move_that_comes_no_further_is_called_off(
    start: Start, look: Callable[[XenSimulator], Any], *, on: bool
) -> None:
    simulator = start(ESTATE.model_copy(update={"content_ms": NEVER_MS}))
    with registry.connect(simulator.endpoint(timeout_s=2), simulator.password) as connector:
        identity = made(connector, on=on)
        before, counts = connector.get_vm(identity), simulator.counts(THINGS)
        with pytest.raises(DeadlineExceeded):
            connector.storage_migrate(identity, "fast", nothing)
        assert connector.get_vm(identity) == before
        with look(simulator) as raw:
            assert disks_of(raw, identity) == IN_SHARED
        assert simulator.counts(THINGS) == counts


@STATES
def test_workers_at_once_leave_one_disk_and_lose_none(
    start: Start, look: Callable[[XenSimulator], Any], *, on: bool
) -> None:
    simulator = start(ESTATE.model_copy(update={"content_ms": 300}))
    with ExitStack() as opened:
        workers = [
            opened.enter_context(registry.connect(simulator.endpoint(timeout_s=10), simulator.password))
            for _ in range(4)
        ]
        raw = opened.enter_context(look(simulator))
        identity = made(workers[0], on=on)
        before, counts = workers[0].get_vm(identity), simulator.counts(THINGS)

        def move(worker: Connector) -> VmView | ConnectorError:
            try:
                return worker.storage_migrate(identity, "fast", nothing)
            except ConnectorError as error:
                return error

        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(move, workers))
        assert before in found
        assert all(one == before or isinstance(one, Conflict) for one in found), found
        workers[0].storage_migrate(identity, "fast", nothing)
        assert disks_of(raw, identity) == IN_FAST
        assert simulator.counts(THINGS) == counts


def test_a_storage_repository_that_is_not_there_twice_or_no_place_for_disks(
    connector: Connector, raw: Any
) -> None:
    identity = made(connector)
    for name in ("slow", "XenServer Tools"):
        with pytest.raises(NotFound, match="the pool's are fast, shared"):
            connector.storage_migrate(identity, name, nothing)
    (fast,) = raw.SR.get_by_name_label("fast")
    raw.SR.set_name_label(fast, "shared")
    with pytest.raises(Refused, match="2 storage repositories"):
        connector.storage_migrate(identity, "shared", nothing)


def test_storage_that_the_machines_host_does_not_see_is_refused(start: Start) -> None:
    simulator = start(Estate(local_sr_mib=8192))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        identity = made(connector, on=True)
        there = connector.get_vm(identity).host
        other = "xen-2" if there == "xen-1" else "xen-1"
        with pytest.raises(Refused, match="does not see"):
            connector.storage_migrate(identity, f"Local storage on {other}", nothing)
        view = connector.storage_migrate(identity, f"Local storage on {there}", nothing)
        assert (view.host, view.power) == (there, PowerState.ON)


def test_with_one_storage_repository_there_is_no_move_and_the_probe_says_so(start: Start) -> None:
    simulator = start(Estate())
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        identity = made(connector)
        before = connector.get_vm(identity)
        (pool,) = connector.probe().pools
        gap = pool.capabilities.gap(Capability.STORAGE_MIGRATE)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert gap.detail == (
            "'xen-pool' has no second storage repository that disks can move to; attach one to its hosts"
        )
        assert connector.storage_migrate(identity, "shared", nothing) == before
        with pytest.raises(Unsupported) as caught:
            connector.storage_migrate(identity, "fast", nothing)
        assert caught.value.gap == gap


@pytest.mark.parametrize(
    ("seen", "can"),
    [
        ("1:a 1:b", True),
        ("1:a 2:b", False),  # each host has its own
        ("1:a 1:iso", False),
        ("1:a 2:a 2:b", True),
        ("1:a 1:-b", False),  # not attached
    ],
)
def test_disks_move_where_a_host_sees_two_storage_repositories(seen: str, *, can: bool) -> None:
    pbds = {}
    for number, (host, sr) in enumerate(one.split(":") for one in seen.split()):
        pbds[str(number)] = {
            "host": host,
            "SR": sr.removeprefix("-"),
            "currently_attached": not sr.startswith("-"),
        }
    assert has_second_sr({"a": {}, "b": {}}, pbds) is can


def test_a_full_storage_repository_is_refused(start: Start) -> None:
    simulator = start(Estate(second_sr_gib=1))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        first, second = made(connector), made(connector, on=True)
        connector.storage_migrate(first, "fast", nothing)
        with pytest.raises(Refused, match="0 MiB free") as caught:
            connector.storage_migrate(second, "fast", nothing)
        assert caught.value.vendor_code == "SR_FULL"


def test_what_ha_promised_is_not_moved_to_where_ha_could_not_keep_it(start: Start) -> None:
    simulator = start(Estate(local_sr_mib=8192, ha=True, second_sr_gib=8))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        kept = made(connector, availability=Availability.RESTART)
        with pytest.raises(Refused, match="not all hosts share"):
            connector.storage_migrate(kept, "Local storage on xen-1", nothing)
        connector.storage_migrate(kept, "fast", nothing)
        other = made(connector, availability=Availability.BEST_EFFORT)
        connector.storage_migrate(other, "Local storage on xen-1", nothing)


def test_a_machine_that_is_suspended_or_has_snapshots_stays(connector: Connector, raw: Any) -> None:
    identity = made(connector, on=True)
    connector.power(identity, PowerAction.SUSPEND)
    with pytest.raises(Conflict, match="suspended"):
        connector.storage_migrate(identity, "fast", nothing)
    connector.power(identity, PowerAction.OFF)
    connector.snapshot(identity, "before")
    with pytest.raises(Conflict, match="snapshots"):
        connector.storage_migrate(identity, "fast", nothing)
    assert IN_SHARED[0] in disks_of(raw, identity)

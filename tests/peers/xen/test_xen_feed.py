"""The change feed and moves within a pool, against what the vendor's binding did and sees."""

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Changes, Connector, PowerAction, PowerState, VmSpec, VmView
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused, Unreachable
from connectors.simulators.xen import Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

Start = Callable[..., XenSimulator]
NAMES = count()


def made(connector: Connector, *, on: bool = False) -> VmView:
    identity = uuid4()
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    spec = VmSpec(name=f"vm-{next(NAMES)}", provider="xen-pool", resources=resources)
    view = connector.create_vm(spec, identity)
    return connector.power(identity, PowerAction.ON) if on else view


def identity(view: VmView) -> UUID:
    assert view.identity is not None
    return view.identity


def pulled(connector: Connector, known: dict[str, VmView], since: str | None) -> Changes:
    """One look at the feed; `known` is kept by it alone."""
    found = connector.changes(since)
    if found.full:
        known.clear()
    known.update({view.native_id: view for view in found.vms})
    for native_id in found.gone:
        del known[native_id]
    return found


def agrees(connector: Connector, known: dict[str, VmView]) -> bool:
    return known == {view.native_id: view for view in connector.list_vms()}


def test_every_kind_of_change_is_told_of_the_machine_that_changed_and_of_no_other(
    connector: Connector, raw: Any
) -> None:
    view, other = made(connector), made(connector)
    ref = raw.VM.get_by_uuid(view.native_id)
    (vbd,) = raw.VM.get_VBDs(ref)
    vdi = raw.VBD.get_VDI(vbd)
    known: dict[str, VmView] = {}
    cursor = pulled(connector, known, None).cursor
    changes: list[tuple[str, Callable[[], Any]]] = [
        ("a name", lambda: raw.VM.set_name_label(ref, "renamed")),
        ("a disk's size", lambda: raw.VDI.resize(vdi, str(2 << 30))),
        ("a disk that is none", lambda: raw.VBD.set_type(vbd, "CD")),
        ("a disk taken out", lambda: raw.VBD.destroy(vbd)),
        ("power", lambda: raw.VM.start(ref, False, False)),
        ("a mark", lambda: raw.VM.remove_from_other_config(ref, "tierwise.annotations")),
    ]
    for what, change in changes:
        change()
        found = pulled(connector, known, cursor)
        cursor = found.cursor
        assert not found.full, what
        assert [one.native_id for one in found.vms] == [view.native_id], what
        assert agrees(connector, known), what
    assert connector.changes(cursor).vms == ()
    assert other.native_id in known


def test_a_machine_that_is_made_a_template_is_gone_and_one_made_of_it_is_there(
    connector: Connector, raw: Any
) -> None:
    view = made(connector)
    ref = raw.VM.get_by_uuid(view.native_id)
    known: dict[str, VmView] = {}
    cursor = pulled(connector, known, None).cursor
    raw.VM.set_is_a_template(ref, True)
    found = pulled(connector, known, cursor)
    assert (found.full, found.gone) == (False, (view.native_id,))
    raw.VM.set_is_a_template(ref, False)
    assert not pulled(connector, known, found.cursor).full
    assert agrees(connector, known)


def test_snapshots_and_templates_that_come_and_go_are_no_news(connector: Connector, raw: Any) -> None:
    view = made(connector)
    known: dict[str, VmView] = {}
    cursor = pulled(connector, known, None).cursor
    for _ in range(2):
        connector.snapshot(identity(view), "one")
        found = pulled(connector, known, cursor)
        (taken,) = raw.VM.get_by_name_label("one")
        raw.VM.destroy(taken)
        found = pulled(connector, known, found.cursor)
        cursor = found.cursor
        assert (found.full, found.gone) == (False, ())
        assert agrees(connector, known)


def test_a_restart_that_forgot_a_deletion_is_noticed(connector: Connector, simulator: XenSimulator) -> None:
    doomed, kept = made(connector), made(connector)
    known: dict[str, VmView] = {}
    cursor = pulled(connector, known, None).cursor
    connector.delete_vm(identity(doomed))
    simulator.restart()
    with pytest.raises(Unreachable):
        connector.list_vms()  # the connection that broke must say so
    found = pulled(connector, known, cursor)
    assert found.full
    assert set(known) == {kept.native_id}


def test_a_restart_that_forgot_nothing_costs_nothing(connector: Connector, simulator: XenSimulator) -> None:
    made(connector)
    cursor = connector.changes().cursor
    simulator.restart()
    with pytest.raises(Unreachable):
        connector.list_vms()
    assert not connector.changes(cursor).full


def test_a_session_that_ended_goes_on_from_its_cursor(
    connector: Connector, simulator: XenSimulator
) -> None:
    cursor = connector.changes().cursor
    simulator.forget_sessions()
    view = made(connector)
    simulator.forget_sessions()
    found = connector.changes(cursor)
    assert (found.full, [one.native_id for one in found.vms]) == (False, [view.native_id])


@pytest.mark.parametrize("code", ["EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"])
def test_a_cursor_that_xapi_does_not_take_any_more_gives_everything(
    code: str, connector: Connector, simulator: XenSimulator
) -> None:
    made(connector)
    cursor = connector.changes().cursor
    simulator.rules(Rule(method="event.from", action="fail", code=code, times=1))
    assert connector.changes(cursor).full


def test_a_pool_that_was_put_back_to_before_the_cursor_gives_everything(connector: Connector) -> None:
    made(connector)
    *known, token = connector.changes().cursor.split(";")
    number, _, rest = token.partition(",")
    later = ";".join([*known, f"{int(number) + 1000:020d},{rest}"])
    assert connector.changes(later).full


def test_a_cursor_of_another_pool_gives_everything(start: Start, connector: Connector) -> None:
    stranger = start()
    with registry.connect(stranger.endpoint(timeout_s=10), stranger.password) as other:
        assert connector.changes(other.changes().cursor).full


def test_a_new_name_of_the_pool_or_of_a_host_gives_everything(connector: Connector, raw: Any) -> None:
    made(connector, on=True)
    cursor = connector.changes().cursor
    (pool,) = raw.pool.get_all()
    raw.pool.set_name_label(pool, "renamed")
    found = connector.changes(cursor)
    assert found.full
    assert {view.provider for view in found.vms} == {"renamed"}
    raw.host.set_name_label(raw.host.get_all()[0], "new")
    assert connector.changes(found.cursor).full


def test_another_connector_goes_on_from_a_cursor_but_starts_anew_at_a_deletion(
    simulator: XenSimulator, connector: Connector
) -> None:
    doomed = made(connector)
    cursor = connector.changes().cursor
    view = made(connector)
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as later:
        found = later.changes(cursor)
        assert (found.full, [one.native_id for one in found.vms]) == (False, [view.native_id])
        connector.delete_vm(identity(doomed))
        assert later.changes(found.cursor).full


def test_many_changes_at_once_are_read_together(
    connector: Connector, raw: Any, simulator: XenSimulator
) -> None:
    (template,) = raw.VM.get_by_name_label("Other install media")
    known: dict[str, VmView] = {}
    cursor = pulled(connector, known, None).cursor
    for number in range(60):
        raw.VM.provision(raw.VM.clone(template, f"clone-{number}"))
    simulator.rules()
    assert len(pulled(connector, known, cursor).vms) == 60
    assert simulator.calls().get("VM.get_record", 0) == 0
    assert agrees(connector, known)


def test_in_a_large_pool_not_all_machines_are_read_for_a_few_that_changed(start: Start, look: Any) -> None:
    simulator = start(Estate(machines=4000, sr_gib=8000))
    with (
        registry.connect(simulator.endpoint(timeout_s=60), simulator.password) as connector,
        look(simulator) as raw,
    ):
        found = connector.changes()
        chosen = [view.native_id for view in found.vms[:60]]
        for one in chosen:
            raw.VM.set_name_label(raw.VM.get_by_uuid(one), f"renamed {one}")
        simulator.rules()
        news = connector.changes(found.cursor)
        assert {view.native_id: view.name for view in news.vms} == {one: f"renamed {one}" for one in chosen}
        assert simulator.calls().get("VM.get_all_records", 0) == 0


def test_a_feed_that_is_late_ends_at_the_deadline(simulator: XenSimulator) -> None:
    with registry.connect(simulator.endpoint(timeout_s=1), simulator.password) as connector:
        cursor = connector.changes().cursor
        simulator.rules(Rule(method="event.from", action="delay", delay_ms=3000, times=1))
        with pytest.raises(DeadlineExceeded):
            connector.changes(cursor)
        assert not connector.changes(cursor).full


def test_hosts_have_the_sockets_that_the_binding_reads_and_no_cores_as_xapi_tells_threads(
    connector: Connector, raw: Any
) -> None:
    told = {one["name_label"]: one["cpu_info"] for one in raw.host.get_all_records().values()}
    found = {one.name: one for one in connector.probe().pools[0].hosts}
    assert {name: str(one.sockets) for name, one in found.items()} == {
        name: info["socket_count"] for name, info in told.items()
    }
    assert {one.cores for one in found.values()} == {0}


# --- moves ---


def hosts(connector: Connector) -> set[str]:
    return {host.name for host in connector.probe().pools[0].hosts}


def elsewhere(connector: Connector, view: VmView) -> str:
    return (hosts(connector) - {view.host}).pop()


def test_a_move_leaves_no_task_and_the_machine_where_the_binding_sees_it(
    connector: Connector, simulator: XenSimulator, raw: Any
) -> None:
    view = made(connector, on=True)
    there = elsewhere(connector, view)
    moved = connector.migrate(identity(view), there)
    assert (moved.host, moved.power) == (there, PowerState.ON)
    resident = raw.VM.get_resident_on(raw.VM.get_by_uuid(view.native_id))
    assert raw.host.get_name_label(resident) == there
    assert connector.migrate(identity(view), there) == moved
    assert simulator.calls()["Async.VM.pool_migrate"] == 1, "it is there already"
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_machine_that_is_off_starts_where_it_was_moved_to(connector: Connector) -> None:
    for there in sorted(hosts(connector)):
        view = made(connector)
        moved = connector.migrate(identity(view), there)
        assert (moved.power, moved.host) == (PowerState.OFF, None)
        assert connector.power(identity(view), PowerAction.ON).host == there


def test_a_host_that_does_not_see_the_storage_refuses_and_says_what_would_help(
    start: Start,
) -> None:
    simulator = start(Estate(local_sr_mib=4096))
    endpoint = simulator.endpoint(timeout_s=10, options={"sr": "Local storage on xen-2"})
    with registry.connect(endpoint, simulator.password) as connector:
        for on in (True, False):
            view = made(connector, on=on)
            with pytest.raises(Refused) as caught:
                connector.migrate(identity(view), "xen-1")
            assert caught.value.vendor_code == "VM_REQUIRES_SR"
            assert "share" in caught.value.hint
            assert connector.get_vm(identity(view)) == view
    assert simulator.counts(["task"]) == {"task": 0}


def test_a_host_in_maintenance_or_without_memory_refuses(start: Start, look: Any) -> None:
    simulator = start(Estate(host_memory_mib=2048, dom0_memory_mib=512))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        first, second = (
            connector.power(identity(connector.resize(identity(view), size)), PowerAction.ON)
            for view, size in (
                (made(connector), Resources(vcpu=1, memory_mib=1000, disk_gib=1)),
                (made(connector), Resources(vcpu=1, memory_mib=1000, disk_gib=1)),
            )
        )
        assert second.host is not None
        with pytest.raises(Refused) as caught:
            connector.migrate(identity(first), second.host)
        assert caught.value.vendor_code == "HOST_NOT_ENOUGH_FREE_MEMORY"
        connector.power(identity(second), PowerAction.OFF)
        with look(simulator) as raw:
            (host,) = raw.host.get_by_name_label(second.host)
            raw.host.disable(host)
        with pytest.raises(Refused) as caught:
            connector.migrate(identity(first), second.host)
        assert caught.value.vendor_code == "HOST_DISABLED"
        assert connector.get_vm(identity(first)).host == first.host


def test_a_host_that_is_not_there_is_named_with_those_that_are(connector: Connector) -> None:
    view = made(connector, on=True)
    with pytest.raises(NotFound) as caught:
        connector.migrate(identity(view), "xen-9")
    assert "xen-1, xen-2" in caught.value.hint


def test_a_machine_that_somebody_paused_is_not_moved(connector: Connector, raw: Any) -> None:
    view = made(connector, on=True)
    raw.VM.pause(raw.VM.get_by_uuid(view.native_id))
    with pytest.raises(Conflict):
        connector.migrate(identity(view), elsewhere(connector, view))


def test_a_move_whose_answer_was_lost_is_repeated_without_harm(
    connector: Connector, simulator: XenSimulator
) -> None:
    view = made(connector, on=True)
    there = elsewhere(connector, view)
    simulator.rules(Rule(method="Async.VM.pool_migrate", action="reset", after=True, times=1))
    with pytest.raises(Unreachable):
        connector.migrate(identity(view), there)
    assert connector.migrate(identity(view), there).host == there


def test_a_move_that_takes_too_long_is_cancelled(start: Start) -> None:
    simulator = start(task_delay_s=3)
    with registry.connect(simulator.endpoint(timeout_s=8), simulator.password) as patient:
        view = made(patient, on=True)
    with registry.connect(simulator.endpoint(timeout_s=1), simulator.password) as connector:
        with pytest.raises(DeadlineExceeded):
            connector.migrate(identity(view), elsewhere(connector, view))
        assert simulator.calls()["task.cancel"] == 1
        assert simulator.counts(["task"]) == {"task": 0}
        assert connector.get_vm(identity(view)).host == view.host

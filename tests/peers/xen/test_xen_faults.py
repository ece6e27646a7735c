"""What the driver does when the pool, the network or another worker goes wrong, read back by the vendor's binding."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, NewDisk, PowerAction, PowerState, VmSpec
from connectors.drivers.xen import marks
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable
from connectors.simulators import certificates
from connectors.simulators.certificates import make_certificate
from connectors.simulators.xen import READER, Estate, Rule, XenSimulator
from tierwise.testing.wire import Fault, Wire

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

SLACK_S = 0.5
"""A deadline is kept within 10 %; this much more is a busy machine's."""

THINGS = ("VM", "VM_metrics", "VDI", "VBD", "VIF", "task")

STEPS = (
    "VM.create",
    "VM.get_all_records",
    "VDI.create",
    "VBD.create",
    "VM.add_to_other_config",
    "VM.get_record",
)
"""Calls of a create, in its order; each can be the last before the worker dies."""

NEEDED = (
    Capability.DELETE, Capability.POWER_ON, Capability.POWER_OFF, Capability.SHUTDOWN, Capability.SUSPEND,
    Capability.RESIZE_COLD, Capability.ADD_DISK, Capability.DISK_HOTPLUG, Capability.GROW_DISK, Capability.REMOVE_DISK,
    Capability.REMOVE_DISK_HOT, Capability.SNAPSHOT, Capability.REVERT, Capability.DELETE_SNAPSHOT,
    Capability.LIVE_MIGRATE, Capability.TAGS,
)  # fmt: skip
"""What a user who may only read may not do."""

Start = Callable[..., XenSimulator]
Look = Callable[[XenSimulator], Any]


def test_a_wrong_password_is_refused_with_xapis_code(simulator: XenSimulator) -> None:
    with pytest.raises(Refused) as caught:
        registry.connect(simulator.endpoint(), SecretStr("not-it")).open()
    assert caught.value.vendor_code == "SESSION_AUTHENTICATION_FAILED"
    assert simulator.counts(["session"]) == {"session": 0}


def test_a_user_who_may_only_read_lists_and_is_refused_the_rest(
    simulator: XenSimulator, spec: VmSpec
) -> None:
    endpoint = simulator.endpoint().model_copy(update={"username": READER})
    with registry.connect(endpoint, simulator.password) as connector:
        assert connector.list_vms() == []
        with pytest.raises(Refused) as caught:
            connector.create_vm(spec, uuid4())
        (pool,) = connector.probe().pools
    gap = pool.capabilities.gap(Capability.CREATE)
    assert gap is not None
    assert "may not call VM.create, VDI.create, VBD.create; give it the role" in str(gap)
    assert {c for c in NEEDED if pool.capabilities.has(c)} == set()
    assert pool.capabilities.has(Capability.METRICS_CPU)
    assert pool.capabilities.has(Capability.WATCH)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        assert "may not call" not in str(connector.probe().pools[0].capabilities)
    assert caught.value.vendor_code == "RBAC_PERMISSION_DENIED"
    assert "role" in caught.value.hint


def test_a_whole_life_leaves_no_session_no_task_and_no_disk(simulator: XenSimulator, spec: VmSpec) -> None:
    before = simulator.counts(THINGS)
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        connector.create_vm(spec, identity)
        connector.power(identity, PowerAction.ON)
        connector.snapshot(identity, "one")
        connector.power(identity, PowerAction.SUSPEND)
        connector.power(identity, PowerAction.OFF)
        connector.revert(identity, "one")
        connector.resize(identity, Resources(vcpu=4, memory_mib=1024, disk_gib=5))
        connector.delete_vm(identity)
    assert simulator.counts(THINGS) == before
    assert simulator.counts(["session"]) == {"session": 0}


def test_a_session_that_ended_is_opened_anew_without_the_caller_noticing(
    simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.forget_sessions()
    assert connector.power(identity, PowerAction.ON).power is PowerState.ON
    simulator.forget_sessions()
    assert connector.create_vm(spec, identity).identity == identity
    assert simulator.counts(["session"]) == {"session": 1}


@pytest.mark.parametrize("action", ["reset", "http", "garbage"])
def test_a_task_whose_removal_is_not_answered_is_removed_all_the_same(
    action: str, simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule.model_validate({"method": "task.destroy", "action": action, "times": 1}))
    assert connector.power(identity, PowerAction.ON).power is PowerState.ON
    assert simulator.counts(["task"]) == {"task": 0}


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize("method", STEPS)
def test_a_create_that_is_cut_off_anywhere_is_repeated_without_harm(
    method: str, after: bool, simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    empty = simulator.counts(THINGS)
    identity = uuid4()
    simulator.rules(Rule(method=method, action="reset", after=after, times=1))
    with pytest.raises(Unreachable):
        connector.create_vm(spec, identity)
    simulator.rules()
    view = connector.create_vm(spec, identity)
    assert (view.identity, view.resources) == (identity, spec.resources)
    once = simulator.counts(THINGS)
    added = {name: once[name] - empty[name] for name in THINGS}
    assert added == {"VM": 1, "VM_metrics": 1, "VDI": 1, "VBD": 1, "VIF": 0, "task": 0}
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == empty
    connector.close()
    assert simulator.counts(["session"]) == {"session": 0}


@pytest.mark.parametrize("method", ["VM.get_all_records", "Async.VM.hard_shutdown", "event.from"])
@pytest.mark.parametrize("action", ["reset", "http", "garbage"])
def test_an_answer_that_is_lost_leaves_neither_login_nor_task(
    method: str, action: str, simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    connector.power(identity, PowerAction.ON)
    simulator.rules(Rule.model_validate({"method": method, "action": action, "times": 1}))
    with pytest.raises(Unreachable):
        connector.delete_vm(identity)
    connector.close()
    assert simulator.counts(["session", "task"]) == {"session": 0, "task": 0}


def test_a_login_that_fails_after_it_was_answered_is_ended(simulator: XenSimulator) -> None:
    simulator.rules(Rule(method="pool.get_all_records", action="reset", times=1))
    with pytest.raises(Unreachable):
        registry.connect(simulator.endpoint(), simulator.password).open()
    assert simulator.counts(["session"]) == {"session": 0}


def test_a_session_whose_connection_was_closed_meanwhile_is_ended_over_another(
    simulator: XenSimulator,
) -> None:
    host, _, port = simulator.address.partition(":")
    with Wire(host, int(port)) as wire:
        over = simulator.endpoint().model_copy(update={"address": f"http://{host}:{wire.port}"})
        with registry.connect(over, simulator.password) as connector:
            assert connector.list_vms() == []
            wire.set(Fault.NONE)  # which resets the connection that is kept
    assert simulator.counts(["session"]) == {"session": 0}


def test_a_connection_that_was_closed_meanwhile_is_not_told_as_a_matter_of_tls(
    start: Start, tmp_path: Path
) -> None:
    if reason := certificates.missing():
        pytest.skip(reason)
    made = make_certificate(tmp_path, "127.0.0.1")
    simulator = start(certificate=made.certificate, key=made.key)
    host, _, port = simulator.address.partition(":")
    with Wire(host, int(port)) as wire:
        endpoint = simulator.endpoint(ca_file=made.authority)
        over = endpoint.model_copy(update={"address": f"https://{host}:{wire.port}"})
        with registry.connect(over, simulator.password) as connector:
            wire.set(Fault.NONE)  # which resets the connection that is kept
            with pytest.raises(Unreachable, match=r"closed the connection .*; repeat the call"):
                connector.list_vms()
            assert connector.list_vms() == []


@pytest.mark.parametrize(
    ("method", "code", "kind"),
    [
        ("VM.create", "LICENCE_RESTRICTION", Refused),
        ("VDI.create", "SR_FULL", Refused),
        ("VDI.create", "SR_BACKEND_FAILURE_44", Refused),
        ("VBD.create", "OPERATION_NOT_ALLOWED", Conflict),
    ],
)
def test_a_create_that_is_refused_half_way_leaves_nothing(
    method: str,
    code: str,
    kind: type[ConnectorError],
    simulator: XenSimulator,
    connector: Connector,
    spec: VmSpec,
) -> None:
    before = simulator.counts(THINGS)
    simulator.rules(Rule(method=method, action="fail", code=code, parameters=("because",)))
    with pytest.raises(kind) as caught:
        connector.create_vm(spec, uuid4())
    assert (caught.value.vendor_code, "because" in caught.value.why) == (code, True)
    assert simulator.counts(THINGS) == before


def test_a_delete_that_is_cut_off_after_the_machine_is_finished_by_the_next(
    simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    before = simulator.counts(THINGS)
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule(method="VDI.destroy", action="reset", times=1))
    with pytest.raises(Unreachable):
        connector.delete_vm(identity)
    assert simulator.counts(THINGS) != before
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == before


@pytest.mark.parametrize("skip", [1, 2])
@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_a_snapshot_that_goes_during_a_delete_leaves_neither_machine_nor_disk(
    simulator: XenSimulator, connector: Connector, spec: VmSpec, on: bool, skip: int
) -> None:
    before = simulator.counts(THINGS)
    identity = uuid4()
    connector.create_vm(spec, identity)
    for name in ("first", "second"):
        connector.snapshot(identity, name)
    if on:
        connector.power(identity, PowerAction.ON)
    # The first record that is read is the machine's.
    gone = Rule(method="VM.get_record", action="fail", code="HANDLE_INVALID", parameters=("VM", "x"))
    simulator.rules(gone.model_copy(update={"times": 1, "skip": skip}))
    connector.delete_vm(identity)
    simulator.rules()
    assert [view.identity for view in connector.list_vms()] == []
    assert simulator.counts(THINGS) == before


def twin(raw: Any, identity: str, *, state: str = "") -> str:
    """A machine that another worker made and left, with nothing but its marks."""
    (template,) = raw.VM.get_by_name_label("Other install media")
    ref = str(raw.VM.clone(template, "twin"))
    raw.VM.provision(ref)
    raw.VM.add_to_other_config(ref, marks.IDENTITY, identity)
    if state:
        raw.VM.add_to_other_config(ref, marks.STATE, state)
    return ref


def test_a_disk_that_goes_while_it_is_looked_at_does_not_end_the_machine(
    simulator: XenSimulator, connector: Connector, spec: VmSpec
) -> None:
    """Another worker removes the disk that it made in vain; the machine is not removed for that."""
    before = simulator.counts(THINGS)
    identity = uuid4()
    simulator.rules(Rule(method="VDI.create", action="reset", after=True, times=1))
    with pytest.raises(Unreachable):
        connector.create_vm(spec, identity)
    made = connector.get_vm(identity).native_id
    gone = {"action": "fail", "code": "HANDLE_INVALID", "parameters": ("VDI", "gone"), "times": 1}
    simulator.rules(Rule(method="VDI.get_record", **gone))
    view = connector.create_vm(spec, identity)
    assert (view.native_id, view.resources) == (made, spec.resources)
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == before


@pytest.mark.parametrize("method", [*STEPS, "VM.get_other_config", "VM.destroy", "VDI.get_record"])
def test_six_workers_make_one_machine_whichever_call_is_slow(
    method: str, simulator: XenSimulator, spec: VmSpec
) -> None:
    before = simulator.counts(THINGS)
    with ExitStack() as opened:
        workers = [
            opened.enter_context(registry.connect(simulator.endpoint(), simulator.password))
            for _ in range(6)
        ]
        for skip in range(4):
            identity, start = uuid4(), Barrier(len(workers))
            simulator.rules(Rule(method=method, action="delay", delay_ms=40, skip=skip, times=2))

            def create(worker: Connector, identity: UUID = identity, start: Barrier = start) -> str:
                start.wait()
                return worker.create_vm(spec, identity).native_id

            with ThreadPoolExecutor(len(workers)) as threads:
                made = set(threads.map(create, workers))
            once = simulator.counts(THINGS)
            added = {name: once[name] - before[name] for name in THINGS}
            assert len(made) == 1
            assert added == {"VM": 1, "VM_metrics": 1, "VDI": 1, "VBD": 1, "VIF": 0, "task": 0}
            workers[0].delete_vm(identity)
            assert simulator.counts(THINGS) == before


def test_of_machines_that_nobody_chose_one_is_chosen_and_completed(
    connector: Connector, spec: VmSpec, raw: Any
) -> None:
    identity = uuid4()
    uuids = sorted(raw.VM.get_uuid(twin(raw, str(identity))) for _ in range(3))
    view = connector.create_vm(spec, identity)
    assert view.native_id == uuids[0]
    assert view.resources.disk_gib == spec.resources.disk_gib
    assert [v.native_id for v in connector.list_vms()] == [uuids[0]]


def test_a_chosen_machine_stays_chosen_whatever_comes_later(
    connector: Connector, spec: VmSpec, raw: Any
) -> None:
    """Repeated until a newcomer had a lower uuid, which alone would have won."""
    lower = False
    while not lower:
        identity = uuid4()
        chosen = connector.create_vm(spec, identity).native_id
        lower = raw.VM.get_uuid(twin(raw, str(identity))) < chosen
        assert connector.get_vm(identity).native_id == chosen
        assert connector.create_vm(spec, identity).native_id == chosen
        connector.delete_vm(identity)
    assert connector.list_vms() == []


def test_a_copy_that_somebody_made_is_not_taken_for_the_machine_and_outlives_it(
    simulator: XenSimulator, connector: Connector, spec: VmSpec, raw: Any
) -> None:
    """Copied until one has a lower uuid, by which it would have been the machine."""
    identity = uuid4()
    made = connector.create_vm(spec, identity).native_id
    connector.add_disk(identity, NewDisk(name="data", size_gib=1))
    connector.snapshot(identity, "one")
    (snapshot,) = raw.VM.get_by_name_label("one")
    ref, copies = raw.VM.get_by_uuid(made), [raw.VM.clone(snapshot, "of it")]
    raw.VM.set_is_a_template(copies[0], False)
    while not any(raw.VM.get_uuid(copy) < made for copy in copies[1:]):
        copies.append(raw.VM.clone(ref, "copy"))
    with registry.connect(simulator.endpoint(), simulator.password) as other:
        for one in (connector, other):
            assert [vm.native_id for vm in one.list_vms() if vm.identity] == [made]
            assert [vm.native_id for vm in one.changes().vms if vm.identity] == [made]
            assert one.get_vm(identity).native_id == made
            assert one.create_vm(spec, identity).native_id == made
        other.delete_vm(identity)
        assert {vm.native_id for vm in other.list_vms()} == {raw.VM.get_uuid(copy) for copy in copies}
        assert other.create_vm(spec, identity).native_id != made
        other.delete_vm(identity)
    for copy in copies:
        assert [raw.VDI.get_uuid(raw.VBD.get_VDI(vbd)) for vbd in raw.VM.get_VBDs(copy)]
    assert simulator.counts(["VDI"]) == {"VDI": 2 * len(copies)}
    assert snapshot not in raw.VM.get_all()


def test_a_voided_machine_is_nobodys(connector: Connector, spec: VmSpec, raw: Any) -> None:
    identity = uuid4()
    voided = raw.VM.get_uuid(twin(raw, str(identity), state=marks.VOID))
    assert [view.identity for view in connector.list_vms()] == [None]
    assert connector.create_vm(spec, identity).native_id != voided
    assert [view.identity for view in connector.list_vms()] == [identity]


def test_a_snapshot_of_a_machine_is_never_taken_for_it(
    connector: Connector, spec: VmSpec, raw: Any
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    connector.snapshot(identity, "one")
    assert len(raw.VM.get_by_name_label("one")) == 1
    assert [view.identity for view in connector.list_vms()] == [identity]


def test_a_slave_leads_to_its_master(start: Start, spec: VmSpec) -> None:
    simulator = start(host="127.0.0.2", slaves=["127.0.0.3"])
    endpoint = simulator.endpoint()
    slave = endpoint.model_copy(update={"address": endpoint.address.replace("127.0.0.2", "127.0.0.3")})
    with registry.connect(slave, simulator.password) as connector:
        assert connector.create_vm(spec, uuid4()).name == "web"


def test_when_the_master_dies_a_surviving_member_is_found(start: Start, spec: VmSpec) -> None:
    simulator = start(host="127.0.0.2", slaves=["127.0.0.3", "127.0.0.4"])
    identity = uuid4()
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        connector.create_vm(spec, identity)
        simulator.promote()
        with suppress(Unreachable):  # the connection that broke must say so
            connector.get_vm(identity)
        assert connector.get_vm(identity).identity == identity


def test_a_member_of_another_pool_is_not_taken_for_a_survivor(start: Start, spec: VmSpec) -> None:
    simulator = start(host="127.0.0.2")
    port = int(simulator.address.partition(":")[2])
    endpoint = simulator.endpoint(timeout_s=10, options={"members": "127.0.0.3"})
    with registry.connect(endpoint, simulator.password) as connector:
        connector.list_vms()
        simulator.stop()
        stranger = XenSimulator(host="127.0.0.3", port=port)
        stranger.password = simulator.password
        stranger._settings["password"] = simulator.password.get_secret_value()
        with stranger:
            with suppress(Unreachable):  # the connection that broke must say so
                connector.list_vms()
            with pytest.raises(Unreachable, match="another pool"):
                connector.list_vms()


def test_a_guest_that_ignores_a_shutdown_leaves_no_task_behind(start: Start, spec: VmSpec) -> None:
    simulator = start(Estate(guests_obey_shutdown=False))
    identity = uuid4()
    with registry.connect(simulator.endpoint(timeout_s=2), simulator.password) as connector:
        connector.create_vm(spec, identity)
        connector.power(identity, PowerAction.ON)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            connector.power(identity, PowerAction.SHUTDOWN)
        assert time.monotonic() - began <= 2 * 1.1 + SLACK_S
        assert simulator.counts(["task"]) == {"task": 0}
        assert connector.power(identity, PowerAction.OFF).power is PowerState.OFF


def test_a_guest_without_tools_is_a_conflict_that_says_what_to_do(start: Start, spec: VmSpec) -> None:
    simulator = start(Estate(guest_tools=False))
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        connector.create_vm(spec, identity)
        connector.power(identity, PowerAction.ON)
        with pytest.raises(Conflict) as caught:
            connector.power(identity, PowerAction.SHUTDOWN)
        assert caught.value.vendor_code == "VM_LACKS_FEATURE"
        assert "power_off" in caught.value.hint
        assert simulator.counts(["task"]) == {"task": 0}


def test_a_late_answer_ends_at_the_deadline_and_the_next_call_works(simulator: XenSimulator) -> None:
    with registry.connect(simulator.endpoint(timeout_s=1), simulator.password) as connector:
        simulator.rules(Rule(method="VM.get_all_records", action="delay", delay_ms=3000, times=1))
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="no answer within 1 s"):
            connector.list_vms()
        assert time.monotonic() - began <= 1.1 + SLACK_S
        assert connector.list_vms() == []


@pytest.mark.parametrize("action", ["http", "garbage", "reset"])
def test_an_answer_that_cannot_be_read_is_unreachable(
    action: Any, simulator: XenSimulator, connector: Connector
) -> None:
    simulator.rules(Rule(method="host.get_all_records", action=action, times=1))
    with pytest.raises(Unreachable) as caught:
        connector.probe()
    assert caught.value.vendor_code
    assert connector.probe().pools


def test_an_operation_that_somebody_blocked_is_a_conflict(
    simulator: XenSimulator, connector: Connector, spec: VmSpec, raw: Any
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    blocked = Rule(
        method="Async.VM.start", action="fail", code="OPERATION_BLOCKED", parameters=("vm", "mine")
    )
    simulator.rules(blocked)
    with pytest.raises(Conflict) as caught:
        connector.power(identity, PowerAction.ON)
    assert caught.value.vendor_code == "OPERATION_BLOCKED"


def test_a_pool_without_room_in_memory_refuses_to_start(start: Start) -> None:
    simulator = start(Estate(hosts=2, host_memory_mib=4096))
    size = Resources(vcpu=1, memory_mib=2800, disk_gib=1)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        for number in range(3):
            spec = VmSpec(name=f"vm-{number}", provider="xen-pool", resources=size)
            identity = uuid4()
            connector.create_vm(spec, identity)
            if number < 2:
                connector.power(identity, PowerAction.ON)
        with pytest.raises(Refused) as caught:
            connector.power(identity, PowerAction.ON)
        assert caught.value.vendor_code == "NO_HOSTS_AVAILABLE"


def test_new_machines_take_the_templates_settings(connector: Connector, spec: VmSpec, raw: Any) -> None:
    identity = uuid4()
    view = connector.create_vm(spec, identity)
    made = raw.VM.get_record(raw.VM.get_by_uuid(view.native_id))
    (template,) = raw.VM.get_by_name_label("Other install media")
    model = raw.VM.get_record(template)
    for field in ("platform", "HVM_boot_policy", "HVM_boot_params", "domain_type"):
        assert made[field] == model[field]
    assert "default_template" not in made["other_config"]

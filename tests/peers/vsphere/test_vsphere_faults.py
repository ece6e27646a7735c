"""What the driver does when vCenter, the network or another worker goes wrong, read back by another client."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.vsphere.faults import of_fault
from connectors.errors import Conflict, DeadlineExceeded, NotFound, Refused, Unreachable
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tierwise.testing.wire import Fault, Wire

pytestmark = pytest.mark.counterpart("vcsim")

SLACK_S = 0.5
"""A deadline is kept within 10 %; this much more is a busy machine's."""

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with registry.connect(simulator.endpoint(), simulator.password) as opened:
        yield opened


def test_a_wrong_password_is_refused_and_leaves_no_session(simulator: VsphereSimulator, look: Look) -> None:
    with pytest.raises(Refused) as caught:
        registry.connect(simulator.endpoint(), SecretStr("not-it")).open()
    assert caught.value.vendor_code == "InvalidLogin"
    with look(simulator) as raw:
        assert raw.sessions() == 0


def test_a_session_that_was_ended_is_opened_anew_without_the_caller_noticing(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    with look(simulator) as raw:
        for call in (connector.list_vms, lambda: connector.get_vm(identity), connector.probe):
            raw.end_other_sessions()
            assert call()
        assert raw.sessions() == 1


def test_an_inventory_of_an_ended_session_is_never_taken_for_an_empty_one(
    simulator: VsphereSimulator, connector: Connector, look: Look
) -> None:
    # The simulator answers RetrievePropertiesEx without a session, with nothing but missing properties.
    before = connector.list_vms()
    assert before
    simulator.rules(Rule(method="CreateContainerView", action="delay", delay_ms=1, times=1))
    with look(simulator) as raw:
        raw.end_other_sessions()
    assert connector.list_vms() == before


def test_a_session_that_ends_idle_is_opened_anew(start: Start) -> None:
    simulator = start(session_idle_s=0.2)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        simulator.rules(Rule(method="CreateContainerView", action="delay", delay_ms=600, times=1))
        assert connector.probe().pools
        assert simulator.calls()["Login"] >= 1


def test_a_server_that_forgets_every_session_is_refused_and_not_asked_for_ever(
    simulator: VsphereSimulator, connector: Connector
) -> None:
    simulator.rules(Rule(method="CreateContainerView", action="fault", fault="NotAuthenticated"))
    with pytest.raises(Refused) as caught:
        connector.list_vms()
    assert caught.value.vendor_code == "NotAuthenticated"
    assert simulator.calls()["Login"] == 1


@pytest.mark.parametrize("after", [False, True], ids=["before-it-took-effect", "after-it-took-effect"])
def test_a_connection_that_dies_in_a_create_leaves_one_machine_after_the_repeat(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec, after: bool
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method="CreateVM_Task", action="reset", after=after, times=1))
    view = connector.create_vm(spec, identity)
    with look(simulator) as raw:
        assert [vm._moId for vm in raw.of(identity)] == [view.native_id]
        assert len(raw.machines()) == 2
        assert raw.sessions() == 1
    assert simulator.calls()["CreateVM_Task"] == (1 if after else 2)


def test_a_server_that_closes_each_connection_is_unreachable_and_the_call_may_be_repeated(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method="CreateVM_Task", action="reset", times=2))
    with pytest.raises(Unreachable) as caught:
        connector.create_vm(spec, identity)
    assert caught.value.retriable
    view = connector.create_vm(spec, identity)
    with look(simulator) as raw:
        assert [vm._moId for vm in raw.of(identity)] == [view.native_id]
        assert len(raw.machines()) == 2


def test_a_machine_made_elsewhere_meanwhile_is_adopted_on_duplicate_name(
    start: Start, look: Look, spec: VmSpec
) -> None:
    simulator = start(task_delay_s=0.3)
    identity = uuid4()
    first = registry.connect(simulator.endpoint(timeout_s=0.15), simulator.password)
    with first, pytest.raises(DeadlineExceeded):
        first.create_vm(spec, identity)
    with registry.connect(simulator.endpoint(), simulator.password) as second:
        # The first worker's task still runs: nothing is to be seen of it yet.
        view = second.create_vm(spec, identity)
        with look(simulator) as raw:
            assert [vm._moId for vm in raw.of(identity)] == [view.native_id]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("InsufficientResourcesFault", Refused),
        ("NoDiskSpace", Refused),
        ("NoPermission", Refused),
        ("DuplicateName", Conflict),
        ("TaskInProgress", Conflict),
        ("InvalidState", Conflict),
        ("HostNotConnected", Unreachable),
    ],
)
@pytest.mark.parametrize("action", ["fault", "task_error"])
def test_a_fault_of_a_create_is_named_and_leaves_nothing(
    simulator: VsphereSimulator,
    connector: Connector,
    look: Look,
    spec: VmSpec,
    action: str,
    fault: str,
    kind: type[Exception],
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method="CreateVM_Task", action=action, fault=fault, message="said the server"))
    with pytest.raises(kind) as caught:
        connector.create_vm(spec, identity)
    assert caught.value.vendor_code == fault
    with look(simulator) as raw:
        assert len(raw.machines()) == 1


def test_a_missing_privilege_is_named_however_vcenter_tells_it() -> None:
    vim = pytest.importorskip("pyVmomi").vim
    power, disk = "VirtualMachine.Interact.PowerOff", "VirtualMachine.Config.AddNewDisk"
    missing = vim.fault.NoPermission.EntityPrivileges(
        entity=vim.VirtualMachine("vm-1"), privilegeIds=[power, disk]
    )
    for told, named in (
        ({"privilegeId": power}, f"({power})"),
        ({"missingPrivileges": [missing]}, f"({power}, {disk})"),
        ({"privilegeId": power, "missingPrivileges": [missing]}, f"({power}, {disk})"),
        ({}, "may not do this [NoPermission]"),
    ):
        error = of_fault("vcenter", "power_off", vim.fault.NoPermission(**told))
        assert isinstance(error, Refused)
        assert named in str(error)


def test_a_create_that_fails_half_way_is_undone(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    simulator.rules(
        Rule(method="CreateVM_Task", action="task_error", fault="NoDiskSpace", after=True, times=1)
    )
    with pytest.raises(Refused):
        connector.create_vm(spec, uuid4())
    with look(simulator) as raw:
        assert len(raw.machines()) == 1


def test_undoing_a_failed_create_spares_the_machine_of_another_attempt(
    start: Start, look: Look, spec: VmSpec
) -> None:
    simulator = start(task_delay_s=1.5)
    identity = uuid4()
    slow = registry.connect(simulator.endpoint(timeout_s=0.3), simulator.password)
    # Open before the first attempt begins: on a busy machine a login takes a while.
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        with slow, pytest.raises(DeadlineExceeded):
            slow.create_vm(spec, identity)
        # The first attempt's task still runs; the second one fails when the first's machine is there.
        failing = Rule(method="CreateVM_Task", action="task_error", fault="NoDiskSpace", delay_ms=2000)
        simulator.rules(failing)
        with pytest.raises(Refused):
            connector.create_vm(spec, identity)
        view = connector.get_vm(identity)
        with look(simulator) as raw:
            assert [vm._moId for vm in raw.of(identity)] == [view.native_id]


def test_a_call_without_an_answer_ends_at_the_deadline(simulator: VsphereSimulator) -> None:
    endpoint = simulator.endpoint(timeout_s=1.0)
    with registry.connect(endpoint, simulator.password) as connector:
        for method in ("RetrievePropertiesEx", "CreateContainerView"):
            simulator.rules(Rule(method=method, action="delay", delay_ms=5_000))
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded, match="no answer within 1 s"):
                connector.list_vms()
            took_s = time.monotonic() - started
            assert 0.99 <= took_s <= 1.1 + SLACK_S, (
                f"{method}: the deadline is 1 s, and this took {took_s} s"
            )


def test_a_task_that_takes_too_long_ends_at_the_deadline_and_is_adopted_later(
    start: Start, look: Look, spec: VmSpec
) -> None:
    simulator = start(task_delay_s=1.2)
    identity = uuid4()
    with registry.connect(simulator.endpoint(timeout_s=1.0), simulator.password) as connector:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            connector.create_vm(spec, identity)
        assert 0.99 <= time.monotonic() - started <= 1.1 + SLACK_S
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        view = connector.create_vm(spec, identity)
        with look(simulator) as raw:
            assert [vm._moId for vm in raw.of(identity)] == [view.native_id]


@pytest.mark.parametrize("status", [503, 404])
def test_an_http_error_is_unreachable_and_the_next_call_works(
    simulator: VsphereSimulator, connector: Connector, status: int
) -> None:
    simulator.rules(Rule(method="CreateContainerView", action="http", status=status, times=1))
    with pytest.raises(Unreachable) as caught:
        connector.list_vms()
    assert str(status) in str(caught.value)
    assert connector.list_vms()


def test_a_machine_that_asks_a_question_is_a_conflict_with_its_words(start: Start, spec: VmSpec) -> None:
    simulator = start(task_delay_s=0.5)
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        view = connector.create_vm(spec, identity)
        simulator.set_question(view.native_id, "There is no more space for virtual disk web.vmdk. Retry?")
        with pytest.raises(Conflict, match=r"no more space for virtual disk web\.vmdk"):
            connector.power(identity, PowerAction.ON)


def test_a_shutdown_without_guest_tools_is_a_conflict_that_says_what_to_do(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    connector.power(identity, PowerAction.ON)
    simulator.rules(Rule(method="ShutdownGuest", action="fault", fault="ToolsUnavailable"))
    with pytest.raises(Conflict, match="VMware Tools"):
        connector.power(identity, PowerAction.SHUTDOWN)


def test_a_power_state_that_another_worker_reached_first_is_no_error(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    for action, fault in (("task_error", "InvalidPowerState"), ("fault", "InvalidPowerState")):
        simulator.rules(Rule(method="PowerOnVM_Task", action=action, fault=fault, after=True, times=1))
        assert connector.power(identity, PowerAction.ON).power is PowerState.ON
        assert connector.power(identity, PowerAction.OFF).power is PowerState.OFF


def test_a_refused_power_state_is_a_conflict(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule(method="PowerOnVM_Task", action="fault", fault="InvalidPowerState"))
    with pytest.raises(Conflict) as caught:
        connector.power(identity, PowerAction.ON)
    assert caught.value.vendor_code == "InvalidPowerState"


def test_a_stale_reference_is_resolved_anew(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule(method="PowerOnVM_Task", action="fault", fault="ManagedObjectNotFound", times=1))
    assert connector.power(identity, PowerAction.ON).power is PowerState.ON


def test_a_machine_deleted_by_hand_meanwhile_is_deleted(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule(method="Destroy_Task", action="fault", fault="ManagedObjectNotFound", after=True))
    connector.delete_vm(identity)
    with look(simulator) as raw:
        assert raw.of(identity) == []


def test_sessions_views_and_collectors_are_given_back(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    for _ in range(3):
        simulator.rules(Rule(method="PowerOffVM_Task", action="fault", fault="InvalidState", times=1))
        with registry.connect(simulator.endpoint(), simulator.password) as connector:
            connector.probe()
            connector.create_vm(spec, identity)
            connector.power(identity, PowerAction.ON)
            with pytest.raises(Conflict):
                connector.power(identity, PowerAction.OFF)
            connector.delete_vm(identity)
            calls = simulator.calls()
            assert calls["CreateContainerView"] == calls["DestroyView"]
            assert calls["CreatePropertyCollector"] == calls["DestroyPropertyCollector"]
    with look(simulator) as raw:
        assert raw.sessions() == 0


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.GARBLE, Fault.FREEZE])
def test_a_wire_that_broke_leaves_no_session_once_it_is_whole(
    simulator: VsphereSimulator, look: Look, fault: Fault
) -> None:
    host, _, port = simulator.address.partition(":")
    with Wire(host, int(port)) as wire:
        endpoint = simulator.endpoint(timeout_s=2)
        over = endpoint.model_copy(update={"address": f"http://{wire.host_name}:{wire.port}"})
        with (
            registry.connect(over, simulator.password) as connector,
            wire.failing(fault),
            pytest.raises((Unreachable, DeadlineExceeded)),
        ):
            connector.list_vms()
        with registry.connect(over, simulator.password) as connector:
            assert connector.list_vms()
            wire.set(Fault.NONE)  # which resets the connection that is kept
    with look(simulator) as raw:
        assert raw.sessions() == 0


def test_a_hot_resize_is_refused_where_hot_add_is_off(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec
) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    identity = uuid4()
    connector.create_vm(spec, identity)
    with look(simulator) as raw:
        off = vim.vm.ConfigSpec(cpuHotAddEnabled=False)
        WaitForTask(raw.of(identity)[0].ReconfigVM_Task(off))
    before = connector.power(identity, PowerAction.ON)
    with pytest.raises(Conflict, match="vCPU hot add"):
        connector.resize(identity, spec.resources + Resources(vcpu=2))
    assert connector.get_vm(identity) == before


def test_odd_memory_is_refused_before_vcenter_is_asked_to_create(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    odd = spec.model_copy(update={"resources": Resources(vcpu=1, memory_mib=513)})
    with pytest.raises(Refused, match="steps of 4 MiB"):
        connector.create_vm(odd, uuid4())
    assert "CreateVM_Task" not in simulator.calls()


def test_a_machine_larger_than_any_host_is_refused_with_the_largest(start: Start, spec: VmSpec) -> None:
    simulator = start(Estate(host_threads=8, host_memory_mib=16 * 1024))
    large = spec.model_copy(update={"resources": Resources(vcpu=16, memory_mib=1024)})
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        with pytest.raises(Refused, match="8 vCPU and 16384 MiB"):
            connector.create_vm(large, uuid4())
        assert connector.list_vms() == []


def test_unknown_options_are_refused_with_the_ones_there_are(simulator: VsphereSimulator) -> None:
    endpoint = simulator.endpoint(options={"data_store": "fast"})
    with pytest.raises(Refused, match="datastore"):
        registry.connect(endpoint, simulator.password).open()


@pytest.mark.parametrize("option", ["datacenter", "folder", "datastore", "resource_pool", "network"])
def test_an_option_that_names_nothing_is_not_found_and_named(
    simulator: VsphereSimulator, spec: VmSpec, option: str
) -> None:
    endpoint = simulator.endpoint(options={option: "nowhere"})
    with (
        registry.connect(endpoint, simulator.password) as connector,
        pytest.raises(NotFound, match="nowhere"),
    ):
        connector.create_vm(spec, uuid4())

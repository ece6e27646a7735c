"""Moves between hosts, read back by pyvmomi; and what keeps a machine where it is."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from connectors import registry
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unsupported
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def running(connector: Connector, spec: VmSpec) -> tuple[UUID, str]:
    """A machine that runs, and a host that it is not on."""
    identity = uuid4()
    connector.create_vm(spec, identity)
    view = connector.power(identity, PowerAction.ON)
    hosts = next(pool.hosts for pool in connector.probe().pools if pool.provider == view.provider)
    return identity, next(host.name for host in hosts if host.name != view.host)


def test_a_machine_is_where_the_vendors_client_sees_it(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], look: Look
) -> None:
    identity, there = running
    connector.migrate(identity, there)
    with look(simulator) as raw:
        (machine,) = raw.of(identity)
        assert machine.runtime.host.name == there
        assert machine.runtime.powerState == "poweredOn"
    assert simulator.calls()["RelocateVM_Task"] == 1
    connector.migrate(identity, there)
    assert simulator.calls()["RelocateVM_Task"] == 1, "it is there already"


@pytest.mark.parametrize("state", [PowerState.OFF, PowerState.SUSPENDED])
def test_a_machine_that_does_not_run_moves_too(
    connector: Connector, running: tuple[UUID, str], state: PowerState
) -> None:
    identity, there = running
    connector.power(identity, PowerAction.OFF if state is PowerState.OFF else PowerAction.SUSPEND)
    moved = connector.migrate(identity, there)
    assert (moved.host, moved.power) == (there, state)


def test_a_host_that_cannot_take_it_is_refused_before_vcenter_is_asked(
    simulator: VsphereSimulator, connector: Connector, running: tuple[UUID, str], look: Look
) -> None:
    from pyVim.task import WaitForTask

    identity, there = running
    with look(simulator) as raw:
        cluster = next(c for c in raw.clusters() if c.name == "DC0_C0")
        host = next(h for h in cluster.host if h.name == there)
        for machine in host.vm:
            WaitForTask(machine.PowerOff())
        WaitForTask(host.EnterMaintenanceMode_Task(timeout=0))
        with pytest.raises(Refused, match="maintenance"):
            connector.migrate(identity, there)
        WaitForTask(host.ExitMaintenanceMode_Task(timeout=0))
        simulator.set_host_connection(host._moId, "notResponding")
        with pytest.raises(Refused, match="not connected"):
            connector.migrate(identity, there)
    assert "RelocateVM_Task" not in simulator.calls()


def test_a_host_without_the_machines_datastore_is_refused(
    simulator: VsphereSimulator, connector: Connector, look: Look, spec: VmSpec, tmp_path: Any
) -> None:
    identity = uuid4()
    with look(simulator) as raw:
        host = next(c for c in raw.clusters() if c.name == "DC0_C0").host[0]
        host.configManager.datastoreSystem.CreateLocalDatastore(name="mine", path=str(tmp_path))
        here = host.name
    view = connector.create_vm(spec, identity)
    if view.host != here:
        connector.migrate(identity, here)
    connector.delete_vm(identity)
    only_here = simulator.endpoint(options={"datastore": "mine"})
    with registry.connect(only_here, simulator.password) as other:
        view = other.create_vm(spec, identity)
        hosts = next(pool.hosts for pool in other.probe().pools if pool.provider == view.provider)
        elsewhere = next(one.name for one in hosts if one.name != here)
        with pytest.raises(Refused, match="datastores"):
            other.migrate(identity, elsewhere)


def test_a_host_of_another_cluster_is_not_found(start: Start, spec: VmSpec) -> None:
    simulator = start(Estate(clusters=2))
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        connector.create_vm(spec, identity)
        with pytest.raises(NotFound, match="DC0_C1_H0"):
            connector.migrate(identity, "DC0_C1_H0")


def test_between_hosts_that_stand_alone_there_is_no_move_and_the_probe_says_so(
    start: Start, spec: VmSpec
) -> None:
    simulator = start(Estate(clusters=0, standalone_hosts=2))
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        pool, other = connector.probe().pools
        view = connector.create_vm(spec.model_copy(update={"provider": pool.provider}), identity)
        assert connector.migrate(identity, pool.provider) == view
        with pytest.raises(Unsupported) as caught:
            connector.migrate(identity, other.provider)
    assert caught.value.gap == pool.capabilities.gap(Capability.LIVE_MIGRATE)


def test_in_a_cluster_of_one_host_there_is_no_move_and_the_probe_says_so(
    start: Start, spec: VmSpec
) -> None:
    simulator = start(Estate(hosts=1))
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        (pool,) = connector.probe().pools
        view = connector.create_vm(spec, identity)
        assert connector.migrate(identity, view.host) == view
        with pytest.raises(Unsupported, match="has one host only") as caught:
            connector.migrate(identity, "DC0_C0_H1")
    assert caught.value.gap == pool.capabilities.gap(Capability.LIVE_MIGRATE)


@pytest.mark.parametrize("action", ["fault", "task_error"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("CannotMoveVmWithDeltaDisk", Refused),
        ("CpuIncompatible", Refused),
        ("InsufficientResourcesFault", Refused),
        ("NoPermission", Refused),
        ("TaskInProgress", Conflict),
    ],
)
def test_what_vcenter_says_against_a_move_is_named_and_the_machine_stays(
    simulator: VsphereSimulator,
    connector: Connector,
    running: tuple[UUID, str],
    action: str,
    fault: str,
    kind: type[ConnectorError],
) -> None:
    identity, there = running
    before = connector.get_vm(identity)
    simulator.rules(Rule(method="RelocateVM_Task", action=action, fault=fault, message="said the server"))
    with pytest.raises(kind) as caught:
        connector.migrate(identity, there)
    assert caught.value.vendor_code == fault
    assert connector.get_vm(identity) == before


@pytest.mark.parametrize(
    "rule",
    [
        Rule(method="RelocateVM_Task", action="fault", fault="NotAuthenticated", times=1),
        Rule(method="RelocateVM_Task", action="fault", fault="ManagedObjectNotFound", times=1),
        Rule(method="RelocateVM_Task", action="reset", times=1),
        Rule(method="RelocateVM_Task", action="reset", after=True, times=1),
    ],
    ids=lambda rule: f"{rule.action}-{rule.fault}-{rule.after}",
)
def test_a_move_whose_session_or_connection_was_lost_is_made_once(
    simulator: VsphereSimulator,
    connector: Connector,
    running: tuple[UUID, str],
    look: Look,
    rule: Rule,
) -> None:
    identity, there = running
    simulator.rules(rule)
    assert connector.migrate(identity, there).host == there
    calls = simulator.calls()
    assert calls["RelocateVM_Task"] == (1 if rule.after else 2)
    with look(simulator) as raw:
        assert raw.sessions() == 1


def test_a_move_that_takes_too_long_ends_at_the_deadline_and_is_found_done_later(
    start: Start, spec: VmSpec
) -> None:
    simulator = start(task_delay_s=1.4)
    identity = uuid4()
    patient = registry.connect(simulator.endpoint(timeout_s=10), simulator.password)
    hasty = registry.connect(simulator.endpoint(timeout_s=1.0), simulator.password)
    with patient, hasty:
        view = patient.create_vm(spec, identity)
        there = next(f"DC0_C0_H{n}" for n in range(3) if f"DC0_C0_H{n}" != view.host)
        with pytest.raises(DeadlineExceeded):
            hasty.migrate(identity, there)
        assert patient.migrate(identity, there).host == there
    calls = simulator.calls()
    assert calls["CreatePropertyCollector"] == calls["DestroyPropertyCollector"]


def test_a_machine_that_asks_a_question_does_not_block_the_move_for_ever(
    start: Start, spec: VmSpec
) -> None:
    simulator = start(task_delay_s=0.5)
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        view = connector.create_vm(spec, identity)
        there = next(f"DC0_C0_H{n}" for n in range(3) if f"DC0_C0_H{n}" != view.host)
        simulator.set_question(view.native_id, "The CD-ROM is connected. Disconnect and go on?")
        with pytest.raises(Conflict, match="CD-ROM is connected"):
            connector.migrate(identity, there)

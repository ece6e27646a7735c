"""The change feed when another client changes things, and when sessions, collectors and networks fail."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from connectors import registry
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.errors import DeadlineExceeded, NotFound, Unreachable
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tierwise.testing.promises.feeds import Follower

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def follower(connector: Connector) -> Follower:
    found = Follower(connector)
    found.pull()
    return found


def wait(task: Any) -> None:
    from pyVim.task import WaitForTask

    WaitForTask(task)


def test_what_another_client_does_is_told(
    simulator: VsphereSimulator, follower: Follower, look: Look
) -> None:
    from pyVmomi import vim

    with look(simulator) as raw:
        (machine,) = raw.machines()
        cluster = next(c for c in raw.clusters() if c.name == "DC0_C0")
        here = machine.runtime.host
        other = next(h for h in cluster.host if h.name != here.name)
        steps: list[Callable[[], object]] = [
            lambda: wait(machine.Rename_Task("renamed")),
            lambda: wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="by hand"))),
            lambda: wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(host=other))),
            lambda: wait(machine.PowerOffVM_Task()),
            lambda: wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=3, memoryMB=64))),
            lambda: wait(cluster.Rename_Task("other")),
            lambda: wait(machine.CreateSnapshot_Task("one", "", memory=False, quiesce=False)),
            lambda: wait(machine.snapshot.currentSnapshot.RemoveSnapshot_Task(removeChildren=True)),
            machine.MarkAsTemplate,
            lambda: machine.MarkAsVirtualMachine(pool=cluster.resourcePool, host=here),
            lambda: wait(machine.Destroy_Task()),
        ]
        for number, step in enumerate(steps):
            step()
            assert follower.pull_until(follower.agrees), f"step {number}"
    assert follower.known == {}
    assert follower.fulls == 1


def test_much_news_comes_in_parts_and_is_told_whole(start: Start) -> None:
    simulator = start(Estate(clusters=3, vms=7, standalone_hosts=2), page_size=4)
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        found = connector.changes()
        assert simulator.calls()["WaitForUpdatesEx"] > 5
        assert found.full
        assert sorted(found.vms, key=lambda v: (v.name, v.native_id)) == connector.list_vms()
        assert connector.changes(found.cursor).vms == ()


def test_only_what_changed_is_told_and_only_once(
    connector: Connector, follower: Follower, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    view = connector.power(identity, PowerAction.ON)
    found = connector.changes(follower.cursor)
    assert found.vms == (view,)
    connector.delete_vm(identity)
    after = connector.changes(found.cursor)
    assert (after.vms, after.gone, after.full) == ((), (view.native_id,), False)
    again = connector.changes(after.cursor)
    assert (again.vms, again.gone, again.full) == ((), (), False)


def test_a_cursor_that_was_answered_already_gives_the_whole_inventory(
    connector: Connector, follower: Follower
) -> None:
    old = follower.cursor
    follower.pull()
    assert connector.changes(old).full


@pytest.mark.parametrize(
    "rule",
    [
        Rule(method="WaitForUpdatesEx", action="fault", fault="InvalidCollectorVersion", times=1),
        Rule(method="WaitForUpdatesEx", action="fault", fault="ManagedObjectNotFound", times=1),
        Rule(method="WaitForUpdatesEx", action="fault", fault="NotAuthenticated", times=1),
        Rule(method="WaitForUpdatesEx", action="reset", times=1),
        Rule(method="WaitForUpdatesEx", action="reset", after=True, times=1),
    ],
    ids=lambda rule: f"{rule.action}-{rule.fault}-{rule.after}",
)
def test_a_feed_that_was_lost_starts_anew_and_misses_nothing(
    simulator: VsphereSimulator, connector: Connector, follower: Follower, spec: VmSpec, rule: Rule
) -> None:
    connector.create_vm(spec, uuid4())
    simulator.rules(rule)
    follower.pull()
    assert follower.fulls == 2
    assert follower.agrees()


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (Rule(method="WaitForUpdatesEx", action="http", status=503, times=1), Unreachable),
        (
            Rule(method="WaitForUpdatesEx", action="delay", delay_ms=3000, after=True, times=1),
            DeadlineExceeded,
        ),
    ],
    ids=["http", "late"],
)
def test_an_answer_that_is_lost_on_its_way_is_made_up_for(
    simulator: VsphereSimulator, spec: VmSpec, rule: Rule, kind: type[Exception]
) -> None:
    with registry.connect(simulator.endpoint(timeout_s=2), simulator.password) as connector:
        follower = Follower(connector)
        follower.pull()
        connector.create_vm(spec, uuid4())
        simulator.rules(rule)
        with pytest.raises(kind):
            follower.pull()
        follower.pull()
        assert follower.agrees()


def test_a_session_that_was_ended_gives_the_whole_inventory(
    simulator: VsphereSimulator, follower: Follower, look: Look
) -> None:
    with look(simulator) as raw:
        raw.end_other_sessions()
        follower.pull()
        assert (follower.fulls, raw.sessions()) == (2, 1)
    assert follower.agrees()


@pytest.mark.parametrize("method", ["CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx"])
def test_views_and_collectors_of_feeds_are_given_back(
    simulator: VsphereSimulator, look: Look, method: str
) -> None:
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        simulator.rules(Rule(method=method, action="http", status=503, times=1))
        with pytest.raises(Unreachable):
            connector.changes()
        for _ in range(3):
            connector.changes("unknown")
    calls = simulator.calls()
    assert calls["CreateContainerView"] == calls["DestroyView"]
    failed = int(method == "CreatePropertyCollector")
    assert calls["CreatePropertyCollector"] - failed == calls["DestroyPropertyCollector"]
    with look(simulator) as raw:
        assert raw.sessions() == 0


def test_an_endpoint_limited_to_a_datacenter_tells_of_no_other(start: Start, look: Look) -> None:
    simulator = start(Estate(datacenters=2, vms=1))
    endpoint = simulator.endpoint(options={"datacenter": "DC1"})
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        follower = Follower(connector)
        follower.pull()
        assert {view.name for view in follower.known.values()} == {"DC1_C0_RP0_VM0"}
        for machine in raw.machines():
            wait(machine.PowerOffVM_Task())
        assert follower.pull_until(follower.agrees)
        assert len(follower.known) == 1
        wrong = simulator.endpoint(options={"datacenter": "DC9"})
        with registry.connect(wrong, simulator.password) as other, pytest.raises(NotFound):
            other.changes()


def test_a_storage_pod_is_no_obstacle(
    simulator: VsphereSimulator, connector: Connector, look: Look
) -> None:
    with look(simulator) as raw:
        raw.content.rootFolder.childEntity[0].datastoreFolder.CreateStoragePod("pod")
    before = connector.list_vms()
    assert before
    assert connector.changes().vms == tuple(before)

"""Snapshots of machines of VMware's API simulator that are deleted, read back by bare pyvmomi."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tierwise.testing.promises.base import snapshot_names

pytestmark = pytest.mark.counterpart("vcsim")

Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def machine(connector: Connector, spec: VmSpec) -> UUID:
    identity = uuid4()
    small = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    connector.create_vm(spec.model_copy(update={"resources": small}), identity)
    return identity


def tree(raw: Any, machine: UUID) -> list[Any]:
    """Name and children of each snapshot that has no parent."""
    (vm,) = raw.of(machine)

    def below(nodes: list[Any]) -> list[Any]:
        return [(node.name, below(node.childSnapshotList)) for node in nodes]

    return below(vm.snapshot.rootSnapshotList)


def files(raw: Any, machine: UUID) -> set[str]:
    """What is in the folder that the simulator keeps the machine in."""
    (vm,) = raw.of(machine)
    folder = Path(vm.datastore[0].info.url) / vm.config.files.vmPathName.partition("] ")[2]
    return {file.name for file in folder.parent.iterdir()}


@pytest.mark.parametrize("delay_s", [0, 0.02], ids=["at-once", "later"])
def test_pyvmomi_takes_reverts_and_removes_snapshots_by_its_own_means(
    start: Callable[..., VsphereSimulator], look: Look, delay_s: float
) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    with look(start(Estate(vms=1), task_delay_s=delay_s)) as raw:
        (vm,) = raw.machines()
        assert vm.snapshot is None
        WaitForTask(vm.CreateSnapshot_Task("one", "", memory=False, quiesce=False))
        WaitForTask(vm.PowerOffVM_Task())
        for vcpu in (2, 4):
            WaitForTask(vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=vcpu)))
        WaitForTask(vm.RevertToCurrentSnapshot_Task())
        assert vm.config.hardware.numCPU == 1
        task = vm.snapshot.currentSnapshot.RemoveSnapshot_Task(removeChildren=False)
        WaitForTask(task)
        assert (task.info.entity, vm.snapshot) == (vm, None)


@pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ("one", [("two", [("three", [])])]),
        ("two", [("one", [("three", [])])]),
        ("three", [("one", [("two", [])])]),
    ],
)
def test_the_children_of_a_deleted_snapshot_are_its_parents(
    connector: Connector,
    simulator: VsphereSimulator,
    look: Look,
    machine: UUID,
    gone: str,
    left: list[Any],
    *,
    on: bool,
) -> None:
    if on:
        connector.power(machine, PowerAction.ON)
    with look(simulator) as raw:
        before = files(raw, machine)
    for name in ("one", "two", "three"):
        connector.snapshot(machine, name)
    connector.delete_snapshot(machine, gone)
    with look(simulator) as raw:
        assert tree(raw, machine) == left
        assert len(files(raw, machine) - before) == 2
    for name in ("one", "two", "three"):
        connector.delete_snapshot(machine, name)
    assert snapshot_names(connector, machine) == []
    with look(simulator) as raw:
        assert files(raw, machine) == before
    assert connector.add_disk(machine, NewDisk(name="data", size_gib=1)).resources.disk_gib == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_call_that_was_cut_off_is_repeated_and_deletes_one_snapshot(
    connector: Connector, simulator: VsphereSimulator, machine: UUID, *, after: bool
) -> None:
    for name in ("one", "two"):
        connector.snapshot(machine, name)
    simulator.rules(Rule(method="RemoveSnapshot_Task", action="reset", after=after, times=1))
    with suppress(ConnectorError):
        connector.delete_snapshot(machine, "one")
    simulator.rules()
    connector.delete_snapshot(machine, "one")
    assert snapshot_names(connector, machine) == ["two"]


def test_times_parents_and_the_current_snapshot_are_vcenters(
    connector: Connector, simulator: VsphereSimulator, look: Look, machine: UUID
) -> None:
    assert connector.list_snapshots(machine) == []
    for name in ("one", "two"):
        connector.snapshot(machine, name)
    connector.revert(machine, "one")
    connector.snapshot(machine, "three")
    told = {one.name: (one.taken_at, one.parent, one.current) for one in connector.list_snapshots(machine)}
    with look(simulator) as raw:
        info = raw.of(machine)[0].snapshot
        (one,) = info.rootSnapshotList
        two, three = one.childSnapshotList
        assert info.currentSnapshot == three.snapshot
        assert told == {
            "one": (one.createTime, "", False),
            "two": (two.createTime, "one", False),
            "three": (three.createTime, "one", True),
        }
    assert {at.utcoffset() for at, _, _ in told.values()} == {timedelta(0)}


def test_a_deletion_that_comes_no_further_is_told_and_goes_on(
    start: Callable[..., VsphereSimulator], spec: VmSpec
) -> None:
    simulator, identity = start(task_delay_s=2.5), uuid4()
    hasty = registry.connect(simulator.endpoint(timeout_s=2), simulator.password)
    with registry.connect(simulator.endpoint(timeout_s=20), simulator.password) as patient:
        patient.create_vm(spec, identity)
        patient.snapshot(identity, "one")
        with hasty, pytest.raises(DeadlineExceeded):
            hasty.delete_snapshot(identity, "one")
        patient.delete_snapshot(identity, "one")
        assert snapshot_names(patient, identity) == []
    assert "CancelTask" not in simulator.calls()


def test_of_two_snapshots_of_one_name_none_is_deleted(
    connector: Connector, simulator: VsphereSimulator, look: Look, machine: UUID
) -> None:
    connector.snapshot(machine, "one")
    with look(simulator) as raw:
        (vm,) = raw.of(machine)
        vm.CreateSnapshot_Task(name="one", description="", memory=False, quiesce=False)
        with pytest.raises(Conflict, match=r"has 2 snapshots 'one'.*rename or delete the others"):
            connector.delete_snapshot(machine, "one")
        assert tree(raw, machine) == [("one", [("one", [])])]

"""Checkpoints of machines of a simulated Hyper-V host that are deleted, and what its disks' files are then."""

from contextlib import suppress
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import NewDisk, PowerAction, VmSpec
from connectors.drivers.hyperv.connector import HypervConnector
from connectors.drivers.hyperv.dispatcher import Command
from connectors.errors import Conflict, ConnectorError
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start
from tierwise.testing.promises.base import snapshot_names

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(name="web-1", provider="HV-SIM-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1))
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


@STATES
def test_deleted_checkpoints_leave_the_disks_that_the_machine_was_made_with(
    simulator: HypervSimulator, connect: Connect, *, on: bool
) -> None:
    connector = connect(simulator)
    connector.create_vm(SPEC, IDENTITY)
    connector.add_disk(IDENTITY, NewDisk(name="data", size_gib=1))
    if on:
        connector.power(IDENTITY, PowerAction.ON)
    before, details = sorted(simulator.disks()), connector.details(IDENTITY)
    for name in ("one", "two", "three"):
        connector.snapshot(IDENTITY, name)
    assert len(simulator.disks()) == 8
    for name in ("two", "one", "three"):
        connector.delete_snapshot(IDENTITY, name)
    assert (sorted(simulator.disks()), connector.details(IDENTITY)) == (before, details)


def test_times_parents_and_the_current_checkpoint_are_the_hosts(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    connector.create_vm(SPEC, IDENTITY)
    for name in ("one", "two"):
        connector.snapshot(IDENTITY, name)
    connector.revert(IDENTITY, "one")
    connector.snapshot(IDENTITY, "three")
    told = connector.list_snapshots(IDENTITY)
    assert {one.name: f"{one.taken_at:%Y-%m-%dT%H:%M:%S.%f}0Z" for one in told} == simulator.checkpoints()
    assert [one.name for one in told] == ["one", "two", "three"]
    assert [(one.parent, one.current) for one in told] == [("", False), ("one", False), ("one", True)]


def test_a_file_on_which_two_stand_is_merged_when_one_is_gone(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    connector.create_vm(SPEC, IDENTITY)
    before = simulator.disks()
    connector.snapshot(IDENTITY, "one")
    connector.snapshot(IDENTITY, "two")
    connector.revert(IDENTITY, "one")
    connector.delete_snapshot(IDENTITY, "one")
    assert snapshot_names(connector, IDENTITY) == ["two"]
    with pytest.raises(Conflict, match="checkpoints"):
        connector.grow_disk(IDENTITY, connector.details(IDENTITY).disks[0].key, 2)
    connector.delete_snapshot(IDENTITY, "two")
    assert simulator.disks() == before
    assert (
        connector.grow_disk(IDENTITY, connector.details(IDENTITY).disks[0].key, 2).resources.disk_gib == 2
    )


def test_merging_that_takes_longer_than_the_call_goes_on_and_is_told_by_what_needs_whole_disks(
    start: Start, connect: Connect
) -> None:
    simulator = start(Estate(merge_ms=3000))
    connector = connect(simulator, timeout_s=2)
    connector.create_vm(SPEC, IDENTITY)
    connector.snapshot(IDENTITY, "one")
    connector.delete_snapshot(IDENTITY, "one")
    assert snapshot_names(connector, IDENTITY) == []
    with pytest.raises(Conflict, match="where there are none any more, repeat when their disks are merged"):
        connector.add_disk(IDENTITY, NewDisk(name="data", size_gib=1))
    connector.snapshot(IDENTITY, "two")
    with connect(simulator, timeout_s=20) as patient:
        patient.delete_snapshot(IDENTITY, "two")
        assert patient.add_disk(IDENTITY, NewDisk(name="data", size_gib=1)).resources.disk_gib == 2
    assert len(simulator.disks()) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_call_that_was_cut_off_is_repeated_and_deletes_one_checkpoint(
    simulator: HypervSimulator, connect: Connect, *, after: bool
) -> None:
    connector = connect(simulator)
    connector.create_vm(SPEC, IDENTITY)
    before = simulator.disks()
    for name in ("one", "two"):
        connector.snapshot(IDENTITY, name)
    simulator.rules(Rule(method="Remove-VMSnapshot", action="reset", after=after, times=1))
    with suppress(ConnectorError):
        connector.delete_snapshot(IDENTITY, "one")
    simulator.rules()
    connector.delete_snapshot(IDENTITY, "one")
    assert snapshot_names(connector, IDENTITY) == ["two"]
    connector.delete_snapshot(IDENTITY, "two")
    assert simulator.disks() == before


def test_of_two_checkpoints_of_one_name_none_is_deleted(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    connector.create_vm(SPEC, IDENTITY)
    connector.snapshot(IDENTITY, "one")
    assert isinstance(connector, HypervConnector)
    session = connector._session
    assert session is not None
    session.run(
        [
            Command("Hyper-V\\Get-VM"),
            Command("Hyper-V\\Checkpoint-VM", {"SnapshotName": "one"}, {"VM": "0"}),
        ]
    )
    with pytest.raises(Conflict, match=r"has 2 snapshots 'one'.*rename or delete the others"):
        connector.delete_snapshot(IDENTITY, "one")
    assert snapshot_names(connector, IDENTITY) == ["one", "one"]

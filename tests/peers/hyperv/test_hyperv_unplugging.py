"""Disks that are taken out of machines of a simulated Hyper-V host, read back at the simulator."""

from contextlib import suppress
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, Disk, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError
from connectors.simulators.hyperv import HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(name="web-1", provider="HV-SIM-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1))
DATA = NewDisk(name="data", size_gib=2)
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def made(connector: Connector, *, on: bool = False) -> Disk:
    """The disk that a new machine was given."""
    connector.create_vm(SPEC, IDENTITY)
    if on:
        connector.power(IDENTITY, PowerAction.ON)
    connector.add_disk(IDENTITY, DATA)
    return connector.details(IDENTITY).disks[1]


@STATES
@pytest.mark.parametrize("generation", [1, 2])
def test_a_removed_disk_leaves_the_host_with_its_file_and_the_others_stay_where_they_are(
    simulator: HypervSimulator, connect: Connect, generation: int, *, on: bool
) -> None:
    connector = connect(simulator, generation=generation)
    disk = made(connector, on=on)
    (own,) = (path for path in simulator.disks() if "added-" not in path)
    connector.add_disk(IDENTITY, NewDisk(name="logs", size_gib=1))
    first, _, logs = connector.details(IDENTITY).disks
    assert connector.remove_disk(IDENTITY, disk).resources.disk_gib == 2
    folder = own.rpartition("\\")[0]
    assert sorted(simulator.disks()) == sorted([own, f"{folder}\\added-logs.vhdx"])
    assert connector.details(IDENTITY).disks == (first, logs)
    connector.add_disk(IDENTITY, NewDisk(name="next", size_gib=1))
    assert {d.name: d.key for d in connector.details(IDENTITY).disks[1:]} == {
        "next": disk.key,
        "logs": logs.key,
    }


@STATES
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cmdlet", ["Remove-VMHardDiskDrive", "Remove-Item"])
def test_a_call_that_was_cut_off_is_repeated_and_removes_the_disk_and_its_file(
    simulator: HypervSimulator, connect: Connect, cmdlet: str, *, on: bool, after: bool
) -> None:
    connector = connect(simulator)
    disk = made(connector, on=on)
    simulator.rules(Rule(method=cmdlet, action="reset", after=after, times=1))
    with suppress(ConnectorError):
        connector.remove_disk(IDENTITY, disk)
    simulator.rules()
    assert connector.remove_disk(IDENTITY, disk).resources.disk_gib == 1
    assert [found.name for found in connector.details(IDENTITY).disks] == [""]
    assert len(simulator.disks()) == 1


def test_a_file_that_windows_still_holds_is_removed_when_it_lets_go(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    disk = made(connector, on=True)
    held = Rule(
        method="Remove-Item", action="error", error_id="RemoveFileSystemItemIOError,Remove-Item", times=2
    )
    simulator.rules(held)
    connector.remove_disk(IDENTITY, disk)
    assert simulator.calls()["Remove-Item"] == 3
    assert len(simulator.disks()) == 1


def test_a_file_of_another_size_that_no_machine_has_stays(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    disk = made(connector)
    simulator.rules(Rule(method="Remove-Item", action="error", error_id="OperationFailed"))
    with pytest.raises(ConnectorError):
        connector.remove_disk(IDENTITY, disk)
    simulator.rules()
    connector.remove_disk(IDENTITY, disk.model_copy(update={"size_bytes": 1 << 30}))
    assert len(simulator.disks()) == 2
    connector.remove_disk(IDENTITY, disk)
    assert len(simulator.disks()) == 1


def test_a_machine_with_a_checkpoint_keeps_both_files_of_its_disk(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    made(connector)
    connector.snapshot(IDENTITY, "before")
    before = simulator.disks()
    with pytest.raises(Conflict, match="checkpoints"):
        connector.remove_disk(IDENTITY, connector.details(IDENTITY).disks[1])
    assert simulator.disks() == before

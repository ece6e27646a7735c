"""Disks that are added to machines of a simulated Hyper-V host and grow, read back at the simulator."""

from contextlib import suppress
from uuid import UUID

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, NewDisk, PowerAction, VmSpec
from connectors.drivers.hyperv import marks
from connectors.errors import Conflict, ConnectorError, Refused
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
SPEC = VmSpec(name="web-1", provider="HV-SIM-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1))
DATA = NewDisk(name="data", size_gib=2)
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def made(connector: Connector, *, on: bool = False) -> UUID:
    connector.create_vm(SPEC, IDENTITY)
    if on:
        connector.power(IDENTITY, PowerAction.ON)
    return IDENTITY


@STATES
def test_an_added_disk_is_a_vhdx_beside_the_machines_own_and_on_scsi(
    simulator: HypervSimulator, connect: Connect, *, on: bool
) -> None:
    connector = connect(simulator)
    made(connector, on=on)
    (own,) = simulator.disks()
    connector.add_disk(IDENTITY, DATA)
    folder = own.rpartition("\\")[0]
    assert sorted(simulator.disks()) == sorted([own, f"{folder}\\added-data.vhdx"])
    assert [(d.key, d.name) for d in connector.details(IDENTITY).disks] == [
        ("SCSI 0:0", ""),
        ("SCSI 0:1", "data"),
    ]
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_of_a_machine_of_generation_1_that_runs_disks_on_scsi_grow_and_that_on_ide_does_not(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator, generation=1)
    made(connector, on=True)
    connector.add_disk(IDENTITY, DATA)
    first, added = connector.details(IDENTITY).disks
    assert (first.key, added.key) == ("IDE 0:0", "SCSI 0:0")
    assert connector.grow_disk(IDENTITY, added.key, 3).resources.disk_gib == 4
    with pytest.raises(Conflict) as caught:
        connector.grow_disk(IDENTITY, first.key, 2)
    assert "IDE" in str(caught.value)
    connector.power(IDENTITY, PowerAction.OFF)
    assert connector.grow_disk(IDENTITY, first.key, 2).resources.disk_gib == 5


@STATES
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cmdlet", ["New-VHD", "Add-VMHardDiskDrive"])
def test_a_call_that_was_cut_off_is_repeated_and_adds_the_disk_once(
    simulator: HypervSimulator, connect: Connect, cmdlet: str, *, on: bool, after: bool
) -> None:
    connector = connect(simulator)
    made(connector, on=on)
    simulator.rules(Rule(method=cmdlet, action="reset", after=after, times=1))
    with suppress(ConnectorError):
        connector.add_disk(IDENTITY, DATA)
    simulator.rules()
    assert connector.add_disk(IDENTITY, DATA).resources.disk_gib == 3
    assert [disk.name for disk in connector.details(IDENTITY).disks] == ["", "data"]
    assert len(simulator.disks()) == 2


def test_a_disk_that_cannot_be_plugged_in_is_removed_again(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    made(connector)
    before = simulator.disks()
    simulator.rules(Rule(method="Add-VMHardDiskDrive", action="error", error_id="OperationFailed"))
    with pytest.raises(Refused):
        connector.add_disk(IDENTITY, DATA)
    simulator.rules()
    assert simulator.disks() == before


def test_a_disk_that_the_host_has_no_room_for_is_refused(start: Start, connect: Connect) -> None:
    simulator = start(Estate(volumes={"D:\\": 64}, folder="D:\\Machines"))
    connector = connect(simulator)
    made(connector)
    before = simulator.disks()
    with pytest.raises(Refused):
        connector.add_disk(IDENTITY, NewDisk(name="huge", size_gib=64))
    assert simulator.disks() == before


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("added-data.vhdx", "data"),
        ("added-data_1F6E5A52-0B8D-4E2B-8A54-4B1D6F0A9B77.avhdx", "data"),
        ("disk.vhdx", ""),
        ("disk-0a1b2c3d.vhdx", ""),
        ("added-data.iso", ""),
    ],
)
def test_a_disk_is_known_by_its_file_also_with_a_checkpoint(file: str, label: str) -> None:
    folder = f"C:\\VMs\\{marks.folder_name(IDENTITY, '0a1b2c3d')}\\disks"
    assert marks.disk_label(f"{folder}\\{file}") == label
    assert marks.disk_label(f"C:\\VMs\\somebody\\disks\\{file}") == ""

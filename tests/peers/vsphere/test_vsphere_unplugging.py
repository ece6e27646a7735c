"""Disks that are taken out of machines of VMware's API simulator, read back by bare pyvmomi and from its datastores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, Disk, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError
from connectors.simulators.vsphere import Rule, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

DATA = NewDisk(name="data", size_gib=2)
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])

Look = Callable[[VsphereSimulator], Any]


@pytest.fixture
def machine(connector: Connector, spec: VmSpec) -> UUID:
    identity = uuid4()
    small = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    connector.create_vm(spec.model_copy(update={"resources": small}), identity)
    return identity


def given(connector: Connector, machine: UUID, *, on: bool = False) -> Disk:
    """The disk that the machine is given."""
    if on:
        connector.power(machine, PowerAction.ON)
    connector.add_disk(machine, DATA)
    return connector.details(machine).disks[1]


def devices(raw: Any, machine: UUID) -> list[Any]:
    (vm,) = raw.of(machine)
    return [device for device in vm.config.hardware.device if hasattr(device, "capacityInKB")]


def labels(raw: Any, machine: UUID) -> list[str]:
    """The settings that name added disks; the simulator appends one that is set anew, so the last one counts."""
    (vm,) = raw.of(machine)
    settings = {one.key: one.value for one in vm.config.extraConfig}
    return [key for key, value in settings.items() if key.startswith("tierwise.disk.") and value]


def file_of(raw: Any, device: Any) -> Path:
    """The file of a disk in the folder that the simulator keeps its datastore in."""
    store = device.backing.datastore
    return Path(store.info.url) / device.backing.fileName.partition("] ")[2]


@STATES
def test_a_removed_disk_leaves_the_machine_its_settings_and_the_datastore(
    connector: Connector, simulator: VsphereSimulator, look: Look, machine: UUID, *, on: bool
) -> None:
    disk = given(connector, machine, on=on)
    connector.add_disk(machine, NewDisk(name="logs", size_gib=1))
    with look(simulator) as raw:
        files = {str(device.key): file_of(raw, device) for device in devices(raw, machine)}
        assert all(file.exists() for file in files.values())
        assert connector.remove_disk(machine, disk).resources.disk_gib == 2
        gone = files.pop(disk.key)
        assert [str(device.key) for device in devices(raw, machine)] == list(files)
        assert labels(raw, machine) == ["tierwise.disk.logs"]
        assert not gone.exists()
        assert all(file.exists() for file in files.values())


def test_a_disk_of_another_folder_in_the_place_of_a_removed_one_stays(
    connector: Connector, simulator: VsphereSimulator, look: Look, machine: UUID, spec: VmSpec
) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    disk = given(connector, machine)
    other = uuid4()
    connector.create_vm(spec.model_copy(update={"name": "other"}), other)
    with look(simulator) as raw:
        (ours,) = (device for device in devices(raw, machine) if str(device.key) == disk.key)
        (theirs,) = devices(raw, other)
        file = file_of(raw, theirs)
        kind = vim.vm.device.VirtualDeviceSpec
        placed = vim.vm.device.VirtualDisk(
            key=-1,
            controllerKey=ours.controllerKey,
            unitNumber=ours.unitNumber,
            capacityInKB=ours.capacityInKB,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                fileName=theirs.backing.fileName, diskMode="persistent"
            ),
        )
        (vm,) = raw.of(machine)
        WaitForTask(
            vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[kind(operation="remove", device=ours)]))
        )
        WaitForTask(
            vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[kind(operation="add", device=placed)]))
        )
        (now,) = (one for one in connector.details(machine).disks if one.name == disk.name)
        with pytest.raises(Conflict, match="own folder"):
            connector.remove_disk(machine, now)
        assert file.exists()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_call_whose_connection_broke_is_repeated_and_removes_the_disk_once(
    connector: Connector, simulator: VsphereSimulator, machine: UUID, *, after: bool
) -> None:
    disk = given(connector, machine)
    connector.add_disk(machine, NewDisk(name="logs", size_gib=2))
    simulator.rules(Rule(method="ReconfigVM_Task", action="reset", after=after, times=1))
    try:
        connector.remove_disk(machine, disk)
    except ConnectorError:
        connector.remove_disk(machine, disk)
    assert [one.name for one in connector.details(machine).disks] == ["", "logs"]

"""What vCenter's reference says it refuses, asked of the simulator by bare pyvmomi: it refuses too, and changes nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.contract import Connector
from connectors.errors import Refused
from connectors.simulators.vsphere import Estate, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


@pytest.fixture(params=[0, 0.05], ids=["at once", "delayed"])
def raw(start: Start, look: Look, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A cluster of three hosts with one machine that runs, and a host alone with another."""
    estate = Estate(vms=1, standalone_hosts=1)
    with look(start(estate, task_delay_s=request.param)) as found:
        yield found


@pytest.fixture
def machine(raw: Any) -> Any:
    """The cluster's machine, which runs."""
    return next(one for one in raw.machines() if "_C0_" in one.name)


def wait(task: Any) -> Any:
    from pyVim.task import WaitForTask

    WaitForTask(task)
    return task.info.result


def refused(task: Callable[[], Any], fault: str) -> None:
    """The call ends in this fault, thrown at once or by its task."""
    from pyVmomi import vmodl

    with pytest.raises(vmodl.MethodFault) as caught:
        wait(task())
    assert type(caught.value).__name__.rpartition(".")[2] == fault


def sized(machine: Any) -> tuple[int, int]:
    return machine.config.hardware.numCPU, machine.config.hardware.memoryMB


def config(**values: Any) -> Any:
    from pyVmomi import vim

    return vim.vm.ConfigSpec(**values)


def test_hardware_is_upgraded_while_off_and_once(raw: Any, machine: Any) -> None:
    newest = machine.config.version
    refused(machine.UpgradeVM_Task, "InvalidPowerState")
    wait(machine.PowerOff())
    refused(machine.UpgradeVM_Task, "AlreadyUpgraded")
    wait(machine.ReconfigVM_Task(config(version="vmx-10")))
    refused(lambda: machine.UpgradeVM_Task("vmx-99"), "InvalidState")
    refused(lambda: machine.UpgradeVM_Task("newest"), "InvalidState")
    refused(lambda: machine.UpgradeVM_Task("vmx-11"), "NotSupported")
    assert machine.config.version == "vmx-10"
    wait(machine.UpgradeVM_Task())
    assert machine.config.version == newest


def test_a_running_machine_grows_only_where_hot_add_is_on(raw: Any, machine: Any) -> None:
    vcpu, memory = sized(machine)
    more = {"numCPUs": vcpu + 1, "memoryMB": memory + 512}
    refused(lambda: machine.ReconfigVM_Task(config(numCPUs=vcpu + 1)), "CpuHotPlugNotSupported")
    refused(lambda: machine.ReconfigVM_Task(config(memoryMB=memory + 512)), "MemoryHotPlugNotSupported")
    refused(lambda: machine.ReconfigVM_Task(config(cpuHotAddEnabled=True)), "InvalidPowerState")
    refused(lambda: machine.ReconfigVM_Task(config(guestId="other3xLinux64Guest")), "InvalidPowerState")
    wait(machine.SuspendVM_Task())
    refused(lambda: machine.ReconfigVM_Task(config(**more)), "InvalidPowerState")
    wait(machine.PowerOff())
    assert sized(machine) == (vcpu, memory)
    wait(machine.ReconfigVM_Task(config(cpuHotAddEnabled=True, memoryHotAddEnabled=True)))
    wait(machine.PowerOn())
    wait(machine.ReconfigVM_Task(config(**more)))
    assert sized(machine) == (vcpu + 1, memory + 512)
    refused(lambda: machine.ReconfigVM_Task(config(numCPUs=vcpu)), "CpuHotPlugNotSupported")
    refused(lambda: machine.ReconfigVM_Task(config(memoryMB=memory)), "MemoryHotPlugNotSupported")
    wait(machine.ReconfigVM_Task(config(annotation="noted", **more)))
    assert machine.config.annotation == "noted", "what stays as it is needs no hot add"


def test_only_what_runs_is_suspended_shut_down_or_reset(raw: Any, machine: Any) -> None:
    wait(machine.SuspendVM_Task())
    for call in (machine.SuspendVM_Task, machine.ResetVM_Task):
        refused(call, "InvalidPowerState")
    refused(machine.ShutdownGuest, "InvalidPowerState")
    assert machine.runtime.powerState == "suspended"
    wait(machine.PowerOff())
    for call in (machine.SuspendVM_Task, machine.ResetVM_Task):
        refused(call, "InvalidPowerState")
    assert machine.runtime.powerState == "poweredOff"


def test_a_configuration_that_somebody_changed_meanwhile_is_not_changed(raw: Any, machine: Any) -> None:
    refused(
        lambda: machine.ReconfigVM_Task(config(annotation="late", changeVersion="1")), "ConcurrentAccess"
    )
    assert not machine.config.annotation


def test_a_name_that_is_taken_is_given_to_nobody(raw: Any, machine: Any) -> None:
    other = next(one for one in raw.machines() if one != machine)
    refused(lambda: machine.Rename_Task(other.name), "DuplicateName")
    refused(lambda: machine.ReconfigVM_Task(config(name=other.name)), "DuplicateName")
    before = machine.name
    wait(machine.ReconfigVM_Task(config(name=before)))
    wait(machine.Rename_Task(before + "-2"))
    assert machine.name == before + "-2"


def test_a_folder_takes_no_second_of_a_name(raw: Any, machine: Any) -> None:
    other = next(one for one in raw.machines() if one != machine)
    folder = machine.parent.CreateFolder("sub")
    wait(folder.MoveIntoFolder_Task([other]))
    name = machine.name
    wait(machine.Rename_Task(other.name))
    refused(lambda: folder.MoveIntoFolder_Task([machine]), "DuplicateName")
    assert (machine.parent, folder.childEntity) == (folder.parent, [other])
    wait(machine.Rename_Task(name))
    wait(folder.MoveIntoFolder_Task([machine]))
    assert set(folder.childEntity) == {machine, other}


def test_a_template_becomes_a_machine_where_its_host_is(raw: Any, machine: Any) -> None:
    alone = next(c for c in raw.clusters() if c != host_of(machine).parent)
    pool = machine.resourcePool
    wait(machine.PowerOff())
    machine.MarkAsTemplate()
    refused(lambda: machine.MarkAsVirtualMachine(alone.resourcePool), "NotSupported")
    refused(lambda: machine.MarkAsVirtualMachine(pool, alone.host[0]), "InvalidArgument")
    assert machine.config.template
    machine.MarkAsVirtualMachine(pool)
    assert not machine.config.template


def test_a_disk_never_shrinks_and_does_not_grow_under_a_snapshot(raw: Any, machine: Any) -> None:
    from pyVmomi import vim

    disk = next(d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk))
    size = disk.capacityInKB

    def resized(to: int) -> Any:
        disk.capacityInKB, disk.capacityInBytes = to, to * 1024
        change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=disk)
        return machine.ReconfigVM_Task(config(deviceChange=[change]))

    def now() -> int:
        return next(d for d in machine.config.hardware.device if d.key == disk.key).capacityInKB

    refused(lambda: resized(size // 2), "InvalidDeviceOperation")
    wait(machine.CreateSnapshot_Task("s", "", memory=False, quiesce=False))
    refused(lambda: resized(size * 2), "InvalidDeviceOperation")
    assert now() == size
    wait(machine.RemoveAllSnapshots_Task())
    wait(resized(size * 2))
    assert now() == size * 2


def test_all_snapshots_go_and_all_disks_stay(
    start: Start, look: Look, tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulator = start(Estate(vms=1))
    with look(simulator) as raw:
        (machine,) = raw.machines()
        for name in ("one", "two"):
            wait(machine.CreateSnapshot_Task(name, "", memory=False, quiesce=False))
        files = {path.name for path in simulator.files.rglob("*") if path.suffix in {".vmdk", ".vmsn"}}
        disks = {name for name in files if name.endswith(".vmdk")}
        assert len(files - disks) == 2
        assert disks
        first = machine.snapshot.rootSnapshotList[0].snapshot
        refused(lambda: first.RemoveSnapshot_Task(removeChildren=True), "NotSupported")
        assert {p.name for p in simulator.files.rglob("*.vmsn")} == files - disks
        wait(machine.RemoveAllSnapshots_Task())
        left = {path.name for path in simulator.files.rglob("*") if path.suffix in {".vmdk", ".vmsn"}}
        assert left == disks


def host_of(machine: Any) -> Any:
    return machine.runtime.host


def others(machine: Any) -> list[Any]:
    return [host for host in host_of(machine).parent.host if host != host_of(machine)]


def await_state(task: Any, state: str) -> None:
    import time

    for _ in range(500):
        if task.info.state == state:
            return
        time.sleep(0.02)
    pytest.fail(f"the task is {task.info.state}, not {state}")


def test_a_host_is_in_maintenance_when_nothing_runs_there(raw: Any, machine: Any) -> None:
    host = host_of(machine)
    entering = host.EnterMaintenanceMode_Task(timeout=0)
    await_state(entering, "running")
    assert not host.runtime.inMaintenanceMode
    refused(lambda: host.EnterMaintenanceMode_Task(timeout=0), "InvalidState")
    refused(machine.ResetVM_Task, "InvalidState")
    refused(lambda: host.EnterMaintenanceMode_Task(timeout=1, evacuatePoweredOffVms=True), "NotSupported")
    assert entering.info.state == "running"
    wait(machine.PowerOff())
    await_state(entering, "success")
    assert host.runtime.inMaintenanceMode
    refused(lambda: host.EnterMaintenanceMode_Task(timeout=0), "InvalidState")
    for call in (machine.PowerOn, machine.UpgradeVM_Task):
        refused(call, "InvalidState")
    wait(host.ExitMaintenanceMode_Task(timeout=0))
    refused(lambda: host.ExitMaintenanceMode_Task(timeout=0), "InvalidState")
    wait(machine.PowerOn())


def test_a_host_that_does_not_get_empty_stays(raw: Any, machine: Any) -> None:
    host = host_of(machine)
    refused(lambda: host.EnterMaintenanceMode_Task(timeout=1), "Timedout")
    entering = host.EnterMaintenanceMode_Task(timeout=0)
    await_state(entering, "running")
    entering.CancelTask()
    await_state(entering, "error")
    refused(entering.CancelTask, "InvalidState")
    assert not host.runtime.inMaintenanceMode
    wait(machine.ResetVM_Task())


def test_a_task_that_cannot_be_cancelled_goes_on(start: Start, look: Look) -> None:
    with look(start(Estate(vms=1), task_delay_s=0.5)) as raw:
        (machine,) = raw.machines()
        ending = machine.PowerOff()
        refused(ending.CancelTask, "NotSupported")
        wait(ending)
        assert machine.runtime.powerState == "poweredOff"


def test_a_machine_that_moves_on_frees_its_host(raw: Any, machine: Any) -> None:
    from pyVmomi import vim

    host, there = host_of(machine), others(machine)[0]
    entering = host.EnterMaintenanceMode_Task(timeout=0)
    await_state(entering, "running")
    wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(host=there)))
    await_state(entering, "success")
    refused(lambda: machine.RelocateVM_Task(vim.vm.RelocateSpec(host=host)), "InvalidState")
    assert host_of(machine) == there


def test_what_drs_would_do_by_itself_is_not_supported(start: Start, look: Look) -> None:
    with look(start(Estate(vms=1, drs_behavior="fullyAutomated"))) as raw:
        (machine,) = raw.machines()
        refused(lambda: host_of(machine).EnterMaintenanceMode_Task(timeout=1), "NotSupported")
        assert not host_of(machine).runtime.inMaintenanceMode


def test_new_machines_go_to_hosts_that_take_them(raw: Any, machine: Any) -> None:
    from pyVmomi import vim

    cluster = host_of(machine).parent
    folder = machine.parent
    for host in others(machine):
        wait(host.EnterMaintenanceMode_Task(timeout=0))

    def create(name: str, **where: Any) -> Any:
        files = vim.vm.FileInfo(vmPathName="[LocalDS_0]")
        spec = config(name=name, guestId="otherGuest", numCPUs=1, memoryMB=32, files=files)
        return folder.CreateVM_Task(config=spec, pool=cluster.resourcePool, **where)

    for number in range(6):
        assert host_of(wait(create(f"new-{number}"))) == host_of(machine)
    refused(lambda: create("there", host=others(machine)[0]), "InvalidState")
    alone = next(c for c in raw.clusters() if c != cluster).host[0]
    refused(lambda: create("astray", host=alone), "InvalidArgument")
    refused(lambda: machine.RelocateVM_Task(vim.vm.RelocateSpec(host=alone)), "InvalidArgument")
    wait(machine.PowerOff())
    wait(host_of(machine).EnterMaintenanceMode_Task(timeout=0))
    refused(lambda: create("nowhere"), "NoActiveHostInCluster")
    where = vim.vm.RelocateSpec(pool=cluster.resourcePool)
    refused(
        lambda: machine.CloneVM_Task(folder, "clone", vim.vm.CloneSpec(location=where)),
        "NoActiveHostInCluster",
    )
    assert {one.name for one in raw.machines()} >= {f"new-{number}" for number in range(6)}
    assert not {one.name for one in raw.machines()} & {"there", "astray", "nowhere", "clone"}


def test_a_clone_that_is_to_run_runs(raw: Any, machine: Any) -> None:
    from pyVmomi import vim

    where = vim.vm.RelocateSpec(pool=machine.resourcePool)
    made = wait(
        machine.CloneVM_Task(machine.parent, "clone", vim.vm.CloneSpec(location=where, powerOn=True))
    )
    assert made.runtime.powerState == "poweredOn"


@pytest.mark.parametrize(
    ("state", "fault"), [("disconnected", "HostNotConnected"), ("notResponding", "HostNotReachable")]
)
def test_machines_of_a_host_out_of_reach_stay_as_they_are(
    simulator: VsphereSimulator, look: Look, state: str, fault: str
) -> None:
    with look(simulator) as raw:
        (machine,) = raw.machines()
        simulator.set_host_connection(host_of(machine)._moId, state)
        for call in (machine.PowerOff, machine.SuspendVM_Task, machine.Destroy_Task):
            refused(call, fault)
        assert machine.runtime.powerState == "poweredOn"


def test_what_the_simulator_only_pretends_is_not_supported(raw: Any, machine: Any) -> None:
    datacenter = raw.content.rootFolder.childEntity[0]
    refused(lambda: datacenter.PowerOnMultiVM_Task([machine]), "NotSupported")
    refused(machine.parent.Destroy_Task, "NotSupported")
    refused(others(machine)[0].Destroy_Task, "InvalidState")
    wait(machine.PowerOff())
    machine.MarkAsTemplate()
    refused(machine.PowerOn, "NotSupported")
    assert machine in raw.machines()


def test_a_card_for_a_network_that_is_not_there_ends_the_task_and_not_the_simulator(
    raw: Any, machine: Any
) -> None:
    from pyVmomi import vim

    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="nowhere")
    card = vim.vm.device.VirtualVmxnet3(key=-1, backing=backing)
    change = vim.vm.device.VirtualDeviceSpec(operation="add", device=card)
    refused(lambda: machine.ReconfigVM_Task(config(deviceChange=[change])), "InvalidDeviceBacking")
    files = vim.vm.FileInfo(vmPathName="[LocalDS_0]")
    made = config(name="new", guestId="otherGuest", files=files, deviceChange=[change])
    refused(lambda: machine.parent.CreateVM_Task(made, machine.resourcePool), "InvalidDeviceBacking")
    port = vim.dvs.PortConnection(switchUuid="none", portgroupKey="none")
    card.backing = vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    with pytest.raises(Exception, match=r"NotSupported|not support|Invalid|NotFound"):
        wait(machine.ReconfigVM_Task(config(deviceChange=[change])))
    assert {one.name for one in raw.machines()} >= {machine.name}
    assert "new" not in {one.name for one in raw.machines()}


def test_the_driver_tells_it_in_the_vendors_words(
    simulator: VsphereSimulator, connector: Connector, look: Look
) -> None:
    """Nothing of the cluster takes a machine: the driver finds that out itself, or tells what vCenter says."""
    from uuid import uuid4

    from catalog.resources import Resources
    from connectors.contract import VmSpec

    with look(simulator) as raw:
        (machine,) = raw.machines()
        wait(machine.PowerOff())
        for host in host_of(machine).parent.host:
            wait(host.EnterMaintenanceMode_Task(timeout=0))
        spec = VmSpec(
            name="web", provider="DC0_C0", resources=Resources(vcpu=1, memory_mib=512, disk_gib=1)
        )
        with pytest.raises(Refused):
            connector.create_vm(spec, uuid4())

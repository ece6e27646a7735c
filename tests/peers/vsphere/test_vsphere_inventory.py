"""What the driver reports is what another client reads, object by object."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from connectors import registry
from connectors.contract import PowerAction, PowerState, VmSpec
from connectors.drivers.vsphere import VsphereConnector
from connectors.simulators.vsphere import Estate, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


def wait(task: Any) -> None:
    from pyVim.task import WaitForTask

    WaitForTask(task)


def test_the_inventory_is_what_another_client_reads(start: Start, look: Look) -> None:
    estate = Estate(datacenters=2, clusters=2, hosts=2, vms=3, standalone_hosts=1, datastores=2)
    simulator = start(estate, page_size=7)
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        snapshot, views = connector.probe(), connector.list_vms()
        read = {
            vm._moId: (vm.name, vm.runtime.host.name, vm.config.hardware.numCPU) for vm in raw.machines()
        }
        assert {v.native_id: (v.name, v.host, v.resources.vcpu) for v in views} == read
        for cluster in raw.clusters():
            (pool,) = [p for p in snapshot.pools if p.provider == cluster.name]
            assert {h.name for h in pool.hosts} == {h.name for h in cluster.host}
            assert {h.name: (h.sockets, h.cores) for h in pool.hosts} == {
                h.name: (h.summary.hardware.numCpuPkgs, h.summary.hardware.numCpuCores)
                for h in cluster.host
            }
            assert pool.total.vcpu == sum(h.summary.hardware.numCpuThreads for h in cluster.host)
            assert pool.total.memory_mib == sum(h.summary.hardware.memorySize for h in cluster.host) >> 20
            assert pool.total.disk_gib == sum(d.summary.capacity for d in cluster.datastore) >> 30
            on = [vm for h in cluster.host for vm in h.vm if vm.runtime.powerState == "poweredOn"]
            assert pool.used.vcpu == sum(vm.config.hardware.numCPU for vm in on)
            assert pool.used.memory_mib == sum(vm.config.hardware.memoryMB for vm in on)


def test_an_inventory_takes_as_many_calls_however_many_objects(
    start: Start,
) -> None:
    simulator = start(Estate(clusters=3, hosts=5, vms=20))
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        simulator.rules()
        assert isinstance(connector, VsphereConnector)
        _, views = connector.inventory()
        assert len(views) == 60
        calls = simulator.calls()
    judged = {name: calls.pop(name) for name in list(calls) if name.startswith("Pbm")}
    # All at once, then the resource pools, and the machine folders of the datacenters.
    collected = {"CreateContainerView": 2, "RetrievePropertiesEx": 3, "DestroyView": 2}
    assert calls == {**collected, "HasPrivilegeOnEntities": 1}
    # Four storage policies come with a vCenter, each judged once for all clusters.
    assert judged == {
        "PbmRetrieveServiceContent": 1,
        "PbmQueryProfile": 1,
        "PbmRetrieveContent": 1,
        "PbmQueryMatchingHub": 4,
    }


def test_what_was_made_is_what_was_ordered_in_another_clients_eyes(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        connector.create_vm(spec.model_copy(update={"annotations": {"tenant": "payroll"}}), identity)
        (made,) = raw.of(identity)
        assert (made.name, made.runtime.powerState) == ("web", "poweredOff")
        assert (made.config.hardware.numCPU, made.config.hardware.memoryMB) == (2, 512)
        assert made.config.uuid == str(identity)
        assert made.config.managedBy.extensionKey == "io.tierwise"
        assert {o.key: o.value for o in made.config.extraConfig}["tierwise.identity"] == str(identity)
        assert "payroll" in made.config.annotation
        assert (made.config.cpuHotAddEnabled, made.config.memoryHotAddEnabled) == (True, True)
        sizes = [d.capacityInKB for d in made.config.hardware.device if hasattr(d, "capacityInKB")]
        assert sizes == [3 * 1024 * 1024]
        assert not [d for d in made.config.hardware.device if hasattr(d, "macAddress")]
        connector.resize(identity, Resources(vcpu=4, memory_mib=1024, disk_gib=9))
        sizes = [d.capacityInKB for d in made.config.hardware.device if hasattr(d, "capacityInKB")]
        assert sizes == [9 * 1024 * 1024]


def test_a_disk_grown_by_hand_is_seen_by_the_list(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVmomi import vim

    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        connector.create_vm(spec, identity)
        assert connector.list_vms()[-1].resources.disk_gib == 3
        (made,) = raw.of(identity)
        (disk,) = [d for d in made.config.hardware.device if hasattr(d, "capacityInKB")]
        disk.capacityInKB, disk.capacityInBytes = 8 << 20, 8 << 30
        change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=disk)
        wait(made.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))
        assert {v.resources.disk_gib for v in connector.list_vms() if v.identity == identity} == {8}


@pytest.mark.parametrize("option", ["DVPG", "VM Network"])
def test_a_network_card_is_made_on_the_network_of_the_option(
    start: Start, look: Look, spec: VmSpec, option: str
) -> None:
    simulator = start()
    name = "DC0_DVPG0" if option == "DVPG" else option
    endpoint = simulator.endpoint(options={"network": name})
    identity = uuid4()
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        connector.create_vm(spec, identity)
        (made,) = raw.of(identity)
        assert [network.name for network in made.network] == [name]


def test_a_machine_goes_to_the_folder_and_pool_of_the_options(
    start: Start, look: Look, spec: VmSpec
) -> None:
    simulator = start()
    endpoint = simulator.endpoint(
        options={"folder": "tiers/gold", "resource_pool": "paid", "datastore": "LocalDS_0"}
    )
    identity = uuid4()
    with look(simulator) as raw:
        from pyVmomi import vim

        root = raw.content.rootFolder.childEntity[0].vmFolder
        root.CreateFolder("tiers").CreateFolder("gold")
        shares = vim.ResourceAllocationInfo(
            reservation=0,
            limit=-1,
            expandableReservation=True,
            shares=vim.SharesInfo(shares=4000, level="normal"),
        )
        allocation = vim.ResourceConfigSpec(cpuAllocation=shares, memoryAllocation=shares)
        raw.clusters()[0].resourcePool.CreateResourcePool("paid", allocation)
        with registry.connect(endpoint, simulator.password) as connector:
            view = connector.create_vm(spec, identity)
        found = vim.VirtualMachine(view.native_id, raw.content.rootFolder._stub)
        assert (found.parent.name, found.resourcePool.name) == ("gold", "paid")


def test_clusters_of_one_name_carry_their_datacenter(start: Start, look: Look, spec: VmSpec) -> None:
    simulator = start(Estate(datacenters=2))
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        for cluster in raw.clusters():
            wait(cluster.Rename_Task("prod"))
        assert [p.provider for p in connector.probe().pools] == ["DC0/prod", "DC1/prod"]
        view = connector.create_vm(spec.model_copy(update={"provider": "DC1/prod"}), uuid4())
        assert view.provider == "DC1/prod"
    endpoint = simulator.endpoint(options={"datacenter": "DC1"})
    with registry.connect(endpoint, simulator.password) as connector:
        assert [p.provider for p in connector.probe().pools] == ["prod"]
        assert connector.get_vm(view.identity).provider == "prod"


def test_a_host_in_maintenance_or_out_of_reach_leaves_the_total(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        whole = connector.probe().pools[0].total
        first, second, third = raw.clusters()[0].host
        for machine in first.vm:
            wait(machine.PowerOff())
        wait(first.EnterMaintenanceMode_Task(0))
        simulator.set_host_connection(second._moId, "notResponding")
        pool = connector.probe().pools[0]
        assert {h.name for h in pool.hosts if h.usable} == {third.name}
        assert pool.total.vcpu * 3 == whole.vcpu
        assert pool.total.disk_gib == whole.disk_gib


def test_ha_and_drs_that_are_off_are_not_configured_and_say_where(start: Start) -> None:
    estate = Estate(clusters=2, standalone_hosts=1, without_ha=("DC0_C0",), without_drs=("DC0_C1",))
    simulator = start(estate)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        found = {p.provider: p.capabilities for p in connector.probe().pools}
    assert found["DC0_C0"].has(Capability.DRS)
    assert found["DC0_C1"].has(Capability.HA_RESTART)
    for provider, capability in (
        ("DC0_C0", Capability.HA_RESTART),
        ("DC0_C1", Capability.DRS),
        ("DC0_H0", Capability.HA_RESTART),
        ("DC0_H0", Capability.DRS),
    ):
        gap = found[provider].gap(capability)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert provider in gap.detail


def test_ha_and_drs_that_somebody_switches_are_told_by_the_next_look(start: Start, look: Look) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    simulator = start()

    def told() -> list[bool]:
        (pool,) = connector.probe().pools
        return [pool.capabilities.has(one) for one in (Capability.HA_RESTART, Capability.DRS)]

    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        assert told() == [True, True]
        (cluster,) = raw.clusters()
        for ha, drs in ((False, True), (True, False)):
            spec = vim.cluster.ConfigSpecEx(
                dasConfig=vim.cluster.DasConfigInfo(enabled=ha),
                drsConfig=vim.cluster.DrsConfigInfo(enabled=drs),
            )
            WaitForTask(cluster.ReconfigureComputeResource_Task(spec, modify=True))
            assert told() == [ha, drs]


def test_without_drs_the_driver_chooses_a_host_itself(start: Start, spec: VmSpec) -> None:
    simulator = start(Estate(without_drs=("DC0_C0",)))
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        view = connector.create_vm(spec, uuid4())
        assert view.host is not None
        assert connector.power(view.identity, PowerAction.ON).power is PowerState.ON


def test_a_copy_that_somebody_made_is_never_taken_for_ours(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVmomi import vim

    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        view = connector.create_vm(spec, identity)
        (made,) = raw.of(identity)
        copy = vim.vm.ConfigSpec(
            name="copy",
            annotation=made.config.annotation,
            managedBy=made.config.managedBy,
            extraConfig=made.config.extraConfig,
            files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
            guestId="otherGuest64",
        )
        pool = raw.clusters()[0].resourcePool
        wait(raw.content.rootFolder.childEntity[0].vmFolder.CreateVM_Task(copy, pool))
        assert {v.name: v.identity for v in connector.list_vms()}["copy"] is None
        connector.delete_vm(identity)
        connector.delete_vm(identity)
        assert "copy" in {vm.name for vm in raw.machines()}
        assert view.native_id not in {vm._moId for vm in raw.machines()}


def test_a_machine_whose_instance_uuid_vcenter_changed_is_still_found(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVmomi import vim

    identity = uuid4()
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        view = connector.create_vm(spec, identity)
        wait(raw.of(identity)[0].ReconfigVM_Task(vim.vm.ConfigSpec(instanceUuid=str(uuid4()))))
        assert connector.get_vm(identity) == view
        assert connector.create_vm(spec, identity) == view


def test_a_foreign_machine_is_not_found_by_its_instance_uuid_and_not_deleted(
    simulator: VsphereSimulator, look: Look
) -> None:
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        (foreign,) = raw.machines()
        connector.delete_vm(UUID(foreign.config.instanceUuid))
        assert [vm.name for vm in raw.machines()] == [foreign.name]


def test_a_template_is_not_a_machine(simulator: VsphereSimulator, look: Look) -> None:
    with registry.connect(simulator.endpoint(), simulator.password) as connector, look(simulator) as raw:
        (machine,) = raw.machines()
        wait(machine.PowerOffVM_Task())
        machine.MarkAsTemplate()
        assert connector.list_vms() == []
        assert connector.probe().pools[0].used == Resources()

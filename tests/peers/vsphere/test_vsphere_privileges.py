"""What a user may not do at vCenter is a gap, and nothing else is: privileges are taken away, and all is tried."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.resources import Resources
from connectors.contract import Connector, DiskFormat, NewDisk, PowerAction, VmSpec
from connectors.drivers.vsphere.privileges import NEEDED, On
from connectors.errors import ConnectorError, Refused
from connectors.simulators import vsphere
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tests.peers.vsphere.conftest import connected, raw_client
from tests.peers.vsphere.test_vsphere_templates import TEMPLATE, make_template
from tierwise.testing.promises.disks import written_disk

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Attempt = Callable[[], object]

PRIVILEGES = sorted({privilege for needs in NEEDED.values() for privilege, _ in needs})
OPTIONS = {"network": "VM Network", "templates": {"DEBIAN_12": TEMPLATE}, "custom_attributes": True}


@pytest.fixture
def simulator(start: Start) -> VsphereSimulator:
    running = start(Estate(hosts=2, datastores=2))
    with raw_client(running) as raw:
        make_template(running, raw)
    return running


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with connected(simulator, **OPTIONS) as opened:
        yield opened


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "in.vmdk"
    written_disk(path, DiskFormat.VMDK, 1 << 30, seed=3)
    return path


def store_of(simulator: VsphereSimulator, identity: UUID) -> str:
    with raw_client(simulator) as raw:
        (machine,) = raw.of(identity)
        return str(machine.datastore[0].name)


def tell(_done: float) -> None:
    """Nobody listens."""


class Tries:
    """One way to use each capability: what is made ready first, and what is then tried."""

    def __init__(
        self, simulator: VsphereSimulator, connector: Connector, spec: VmSpec, image: Path
    ) -> None:
        self.simulator = simulator
        self.connector = connector
        size = Resources(vcpu=1, memory_mib=64, disk_gib=1)
        self.spec = spec.model_copy(update={"resources": size, "annotations": {}, "traits": frozenset()})
        self.image = image

    def machine(self, *, on: bool = False, disk: bool = False, snapshot: bool = False) -> UUID:
        identity = uuid4()
        named = self.spec.model_copy(update={"name": f"m-{identity.hex[:8]}"})
        self.connector.create_vm(named, identity)
        if disk:
            self.connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        if snapshot:
            self.connector.snapshot(identity, "before")
        if on:
            self.connector.power(identity, PowerAction.ON)
        return identity

    def of(self, capability: Capability) -> Attempt:
        """Make ready now, and give what is to be tried."""
        ready: Callable[..., Attempt] = getattr(self, capability.value.removesuffix("_hot"))
        return ready(on=True) if capability.value.endswith("_hot") else ready()

    def named(self, **changes: Any) -> VmSpec:
        return self.spec.model_copy(update={"name": f"n-{uuid4().hex[:8]}", **changes})

    def create(self) -> Attempt:
        spec = self.named()
        return lambda: self.connector.create_vm(spec, uuid4())

    def template(self) -> Attempt:
        spec = self.named(traits=frozenset({"CUSTOM_TEMPLATE_DEBIAN_12"}))
        return lambda: self.connector.create_vm(spec, uuid4())

    def delete(self) -> Attempt:
        identity = self.machine(on=True)
        return lambda: self.connector.delete_vm(identity)

    def power_on(self) -> Attempt:
        identity = self.machine()
        return lambda: self.connector.power(identity, PowerAction.ON)

    def power_off(self) -> Attempt:
        return self.power(PowerAction.OFF)

    def shutdown(self) -> Attempt:
        return self.power(PowerAction.SHUTDOWN)

    def suspend(self) -> Attempt:
        return self.power(PowerAction.SUSPEND)

    def power(self, action: PowerAction) -> Attempt:
        identity = self.machine(on=True)
        return lambda: self.connector.power(identity, action)

    def resize(self, *, on: bool = False) -> Attempt:
        identity = self.machine(on=on)
        return lambda: self.connector.resize(identity, Resources(vcpu=2, memory_mib=128, disk_gib=1))

    resize_cold = resize

    def resize_memory(self, *, on: bool) -> Attempt:
        identity = self.machine(on=on)
        return lambda: self.connector.resize(identity, Resources(vcpu=1, memory_mib=128, disk_gib=1))

    def snapshot(self) -> Attempt:
        identity = self.machine()
        return lambda: self.connector.snapshot(identity, "one")

    def revert(self) -> Attempt:
        identity = self.machine(snapshot=True)
        return lambda: self.connector.revert(identity, "before")

    def delete_snapshot(self) -> Attempt:
        identity = self.machine(snapshot=True)
        return lambda: self.connector.delete_snapshot(identity, "before")

    def live_migrate(self) -> Attempt:
        identity = self.machine(on=True)
        now = self.connector.get_vm(identity).host
        other = next(one.name for one in self.connector.probe().pools[0].hosts if one.name != now)
        return lambda: self.connector.migrate(identity, other)

    def storage_migrate(self) -> Attempt:
        identity = self.machine(on=True)
        other = {"LocalDS_0": "LocalDS_1", "LocalDS_1": "LocalDS_0"}[store_of(self.simulator, identity)]
        return lambda: self.connector.storage_migrate(identity, other, tell)

    def add_disk(self, *, on: bool = False) -> Attempt:
        identity = self.machine(on=on)
        return lambda: self.connector.add_disk(identity, NewDisk(name="data", size_gib=1))

    def disk_hotplug(self) -> Attempt:
        return self.add_disk(on=True)

    def grow_disk(self, *, on: bool = False) -> Attempt:
        identity = self.machine(on=on)
        return lambda: self.connector.grow_disk(identity, self.first(identity), 2)

    def remove_disk(self, *, on: bool = False) -> Attempt:
        identity = self.machine(on=on, disk=True)
        data = next(one for one in self.connector.details(identity).disks if one.name == "data")
        return lambda: self.connector.remove_disk(identity, data)

    def tags(self) -> Attempt:
        identity = self.machine()
        self.connector.tag(identity, {"tierwise.order": "a"})  # the attribute is there
        return lambda: self.connector.tag(identity, {"tierwise.order": "b"})

    def export_disk_vmdk(self) -> Attempt:
        identity, to = self.machine(), io.BytesIO()
        return lambda: self.connector.export_disk(identity, self.first(identity), DiskFormat.VMDK, to, tell)

    def import_disk_vmdk(self) -> Attempt:
        identity = self.machine()

        def bring_in() -> None:
            with self.image.open("rb") as file:
                self.connector.import_disk(identity, self.first(identity), DiskFormat.VMDK, file, tell)

        return bring_in

    def first(self, identity: UUID) -> str:
        return self.connector.details(identity).disks[0].key


def gaps_of(connector: Connector) -> dict[Capability, str]:
    """What the pool lacks by the user's privileges."""
    (pool,) = connector.probe().pools
    return {
        capability: gap.detail
        for capability, gap in pool.capabilities.gaps.items()
        if "the endpoint's user lacks" in gap.detail
    }


def test_a_user_who_may_do_all_has_no_gap_by_it(connector: Connector) -> None:
    assert gaps_of(connector) == {}


@pytest.mark.parametrize("capability", NEEDED)
def test_what_is_a_gap_is_refused_and_what_is_none_is_done(
    capability: Capability, simulator: VsphereSimulator, connector: Connector, spec: VmSpec, image: Path
) -> None:
    tries = Tries(simulator, connector, spec, image)
    needed = {privilege for privilege, _ in NEEDED[capability]}
    attempt = tries.of(capability)
    simulator.deny(*(one for one in PRIVILEGES if one not in needed))
    assert capability not in gaps_of(connector)
    attempt()
    for privilege in needed:
        simulator.deny()
        attempt = tries.of(capability)
        simulator.deny(privilege)
        told = gaps_of(connector)[capability]
        assert privilege in told
        with pytest.raises(Refused) as caught:
            attempt()
        assert caught.value.vendor_code == "NoPermission"


def test_a_gap_of_privileges_can_be_put_right_and_says_how(
    simulator: VsphereSimulator, connector: Connector
) -> None:
    simulator.deny("VirtualMachine.State.CreateSnapshot")
    (pool,) = connector.probe().pools
    gap = pool.capabilities.gaps[Capability.SNAPSHOT]
    assert gap.reason is GapReason.NOT_CONFIGURED
    assert gap.detail == (
        "the endpoint's user lacks VirtualMachine.State.CreateSnapshot on the machine folder: add that to its role in vCenter"
    )
    simulator.deny()
    assert gaps_of(connector) == {}


def test_a_simulator_can_start_for_a_user_who_lacks_privileges(start: Start) -> None:
    lacking = start(Estate(without_privileges=("VirtualMachine.Interact.PowerOn", "VApp.Export@DC0")))
    with connected(lacking) as opened:
        assert set(gaps_of(opened)) == {Capability.POWER_ON, Capability.EXPORT_DISK_VMDK}
    with pytest.raises(RuntimeError, match=r"there is no privilege 'No\.Such'"):
        start(Estate(without_privileges=("No.Such",)))
    with pytest.raises(ValueError, match=r"there is no privilege 'No\.Such'"):
        lacking.deny("No.Such")


def test_where_all_machines_are_made_of_a_template_its_privileges_are_those_of_creating(
    simulator: VsphereSimulator, spec: VmSpec
) -> None:
    small = spec.model_copy(update={"resources": Resources(vcpu=4, memory_mib=1024, disk_gib=1)})
    with connected(simulator, template=TEMPLATE) as opened:
        simulator.deny("VirtualMachine.Inventory.Create")
        assert gaps_of(opened) == {}
        opened.create_vm(small, uuid4())
        simulator.deny("VirtualMachine.Provisioning.DeployTemplate")
        assert Capability.CREATE in gaps_of(opened)
        with pytest.raises(Refused, match="DeployTemplate"):
            opened.create_vm(small.model_copy(update={"name": "another"}), uuid4())


def test_a_machine_folder_is_asked_by_the_option_and_no_other(simulator: VsphereSimulator) -> None:
    with raw_client(simulator) as raw:
        top = raw.content.rootFolder.childEntity[0].vmFolder
        top.CreateFolder("ours")
        top.CreateFolder("theirs")
    simulator.deny("VirtualMachine.Interact.PowerOn@theirs")
    with connected(simulator, folder="ours") as ours, connected(simulator, folder="theirs") as theirs:
        assert gaps_of(ours) == {}
        assert set(gaps_of(theirs)) == {Capability.POWER_ON}


def test_machines_go_to_a_datastore_on_which_the_user_may_take_space(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    for store, other in (("LocalDS_0", "LocalDS_1"), ("LocalDS_1", "LocalDS_0")):
        simulator.deny(f"Datastore.AllocateSpace@{store}")
        assert gaps_of(connector) == {}
        identity = uuid4()
        connector.create_vm(
            spec.model_copy(update={"name": f"on-{other.lower().replace('_', '-')}"}), identity
        )
        assert store_of(simulator, identity) == other
    simulator.deny("Datastore.AllocateSpace")
    with pytest.raises(Refused, match=r"Datastore\.AllocateSpace"):
        connector.create_vm(spec.model_copy(update={"name": "nowhere"}), uuid4())


def test_a_refusal_names_the_privilege_and_leaves_nothing(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    simulator.deny("Resource.AssignVMToPool")
    before = len(connector.list_vms())
    with pytest.raises(ConnectorError) as caught:
        connector.create_vm(spec, uuid4())
    assert "Resource.AssignVMToPool" in str(caught.value)
    assert len(connector.list_vms()) == before


@pytest.mark.parametrize(
    ("fault", "told"), [("NotSupported", ""), ("NoPermission", "the user's privileges cannot be read: ")]
)
def test_a_vcenter_that_does_not_tell_makes_no_gap(
    fault: str, told: str, simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    simulator.rules(Rule(method="HasPrivilegeOnEntities", action="fault", fault=fault))
    assert gaps_of(connector) == {}
    note = connector.probe().note
    assert told in note
    assert bool(told) == ("privileges" in note)
    identity = uuid4()
    connector.create_vm(spec, identity)
    assert connector.get_vm(identity).identity == identity


def test_a_session_that_is_not_there_has_no_privilege(simulator: VsphereSimulator) -> None:
    with raw_client(simulator) as raw:
        (told,) = raw.content.authorizationManager.HasPrivilegeOnEntities(
            entity=[raw.content.rootFolder], sessionId="of-nobody", privId=["System.Read"]
        )
        assert [one.isGranted for one in told.privAvailability] == [False]
        own = raw.content.sessionManager.currentSession.key
        (told,) = raw.content.authorizationManager.HasPrivilegeOnEntities(
            entity=[raw.content.rootFolder], sessionId=own, privId=["System.Read"]
        )
        assert [one.isGranted for one in told.privAvailability] == [True]


def test_the_simulator_asks_for_the_privileges_that_pyvmomi_knows_of_each_method() -> None:
    """VMware's own type information names the one privilege of a method, and those of its arguments."""
    import pyVmomi

    home = Path(pyVmomi.__file__).parent
    known = (home / "_typeinfo_vim.py").read_text() + (home / "_typeinfo_core.py").read_text()
    source = (vsphere.SOURCE / "privileges.go").read_text()
    table = re.search(r"var always = map\[string\]string\{(.*?)\n\}", source, re.DOTALL)
    assert table is not None
    pairs = re.findall(r'"(\w+)":\s+"([\w.]+)"', table[1])
    assert len(pairs) > 10
    for method, privilege in pairs:
        (found,) = set(
            re.findall(rf'"{method}", "vim\.version\.\w+", \(.*?\), \(0, [^)]*\), "([\w.]+)"', known)
        )
        assert (method, found) == (method, privilege)


def test_the_driver_page_lists_the_privileges() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/driver-vsphere.md").read_text()
    table = page.partition("\n## Privileges\n")[2].partition("\n## ")[0]
    listed: dict[str, set[tuple[str, int]]] = {}
    for row in re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE):
        cells = row[1].split("|")
        listed[row[0]] = {
            (name, at) for at, cell in enumerate(cells) for name in re.findall(r"`([\w.]+)`", cell)
        }
    column = {On.FOLDER: 0, On.ATTRIBUTES: 0, On.POOL: 1, On.STORE: 2, On.NETWORK: 3}
    assert listed == {
        capability.value: {(name, column[on]) for name, on in needs} for capability, needs in NEEDED.items()
    }

"""Storage policies as traits, and at new machines and disks, compared with what bare pyvmomi reads of the policy service."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import DiskFormat, NewDisk, PoolSnapshot, VmSpec
from connectors.errors import ConnectorError, NotFound, Refused
from connectors.simulators.certificates import Certificate
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tests.peers.vsphere.conftest import connected, must_be_refused_before_anything_is_made, requiring
from tierwise.testing.promises.disks import written_disk

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]

GOLD, SILVER = "CUSTOM_STORAGE_POLICY_GOLD_TIER_", "CUSTOM_STORAGE_POLICY_SILVER"
ENCRYPTED = "CUSTOM_STORAGE_POLICY_VM_ENCRYPTION_POLICY"
ESTATE = Estate(
    datastores=3,
    storage_policies=("gold tier!@LocalDS_0", "silver@LocalDS_1", "silver@LocalDS_2", "bronze@"),
)


@pytest.fixture
def simulator(start: Start) -> VsphereSimulator:
    return start(ESTATE)


def pool(simulator: VsphereSimulator, **options: str) -> PoolSnapshot:
    with connected(simulator, **options) as connector:
        return connector.probe().pools[0]


def policy_traits(found: PoolSnapshot) -> set[str]:
    return {trait for trait in found.traits if trait.startswith("CUSTOM_STORAGE_POLICY_")}


class Policies:
    """The policy service as bare pyvmomi sees it, in the session of the second client."""

    def __init__(self, raw: Any) -> None:
        from pyVmomi import SoapStubAdapter, pbm

        login = raw.content.rootFolder._stub
        session = login.GetSessionId()
        stub = SoapStubAdapter(
            host=login.host.partition(":")[0],
            port=-login.port,
            version="pbm.version.version1",
            path="/pbm/sdk",
            poolSize=0,
            requestContext={"vcSessionCookie": session},
        )
        stub.cookie = login.cookie
        self._pbm = pbm
        self._content = pbm.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        self.names = dict(self._all())

    def _all(self) -> Iterator[tuple[str, str]]:
        manager = self._content.profileManager
        kind = self._pbm.profile.ResourceType(resourceType="STORAGE")
        for profile in manager.RetrieveContent(manager.QueryProfile(kind, "REQUIREMENT")):
            yield profile.profileId.uniqueId, profile.name

    def satisfied(self) -> set[str]:
        """The names of the policies that some datastore satisfies."""
        solver = self._content.placementSolver
        wanted = {name: self._pbm.profile.ProfileId(uniqueId=key) for key, name in self.names.items()}
        return {name for name, profile in wanted.items() if solver.QueryMatchingHub(None, profile)}

    def of(self, machine: Any) -> tuple[list[str], list[list[str]]]:
        """The names of the policies of a machine's own folder, and of each of its disks."""
        disks = [device.key for device in machine.config.hardware.device if hasattr(device, "capacityInKB")]
        home = self._names_of("virtualMachine", machine._moId)
        return home, [self._names_of("virtualDiskId", f"{machine._moId}:{key}") for key in disks]

    def _names_of(self, kind: str, key: str) -> list[str]:
        entity = self._pbm.ServerObjectRef(objectType=kind, key=key)
        found = self._content.profileManager.QueryAssociatedProfile(entity)
        return [self.names[profile.uniqueId] for profile in found or ()]


def stores_of(machine: Any) -> set[str]:
    disks = [device for device in machine.config.hardware.device if hasattr(device, "capacityInKB")]
    names = [machine.config.files.vmPathName, *(disk.backing.fileName for disk in disks)]
    return {name[1:].partition("]")[0] for name in names}


def test_policies_that_some_datastore_satisfies_are_traits(simulator: VsphereSimulator, look: Look) -> None:
    with look(simulator) as raw:
        assert Policies(raw).satisfied() == {"gold tier!", "silver", "VM Encryption Policy"}
    # The name as OpenStack has it: capitals, and one underscore for what stands between letters and digits.
    assert policy_traits(pool(simulator)) == {GOLD, SILVER, ENCRYPTED}
    assert policy_traits(pool(simulator, datastore="LocalDS_1")) == {SILVER, ENCRYPTED}


@pytest.mark.parametrize(
    ("kind", "name"), [("vsan", "VSAN_DEFAULT_STORAGE_POLICY"), ("VVOL", "VVOL_NO_REQUIREMENTS_POLICY")]
)
def test_the_vendors_own_policies_are_traits_too(start: Start, kind: str, name: str) -> None:
    simulator = start(Estate(datastore_types=(kind,)))
    assert policy_traits(pool(simulator)) == {f"CUSTOM_STORAGE_POLICY_{name}", ENCRYPTED}


def test_one_login_serves_both_services_and_machines_are_listed_without_policies(
    simulator: VsphereSimulator, look: Look
) -> None:
    with connected(simulator) as connector:
        connector.list_vms()
        assert "PbmRetrieveServiceContent" not in simulator.calls()
        traits = connector.probe().pools[0].traits
        assert simulator.calls()["Login"] == 1
        with look(simulator) as raw:
            assert raw.sessions() == 1
            raw.end_other_sessions()
        assert connector.probe().pools[0].traits == traits


def test_policies_are_read_over_verified_tls(start: Start, certificate: Certificate, spec: VmSpec) -> None:
    simulator = start(
        ESTATE, listen="127.0.0.2:0", certificate=certificate.certificate, key=certificate.key
    )
    endpoint = simulator.endpoint(ca_file=certificate.authority)
    with registry.connect(endpoint, simulator.password) as connector:
        snapshot = connector.probe()
        assert snapshot.secure
        assert SILVER in snapshot.pools[0].traits
        assert connector.create_vm(requiring(spec, SILVER), uuid4()).provider == spec.provider


@pytest.mark.parametrize("store", ["LocalDS_0", "LocalDS_1", "LocalDS_2"])
def test_a_machine_whose_order_requires_a_policy_has_it_on_a_datastore_that_satisfies_it(
    start: Start, look: Look, spec: VmSpec, store: str
) -> None:
    simulator = start(Estate(datastores=3, storage_policies=(f"fast@{store}",)))
    identity, plain = uuid4(), uuid4()
    with connected(simulator) as connector:
        connector.create_vm(requiring(spec, "CUSTOM_STORAGE_POLICY_FAST", "HW_SOMETHING"), identity)
        connector.create_vm(spec.model_copy(update={"name": "plain"}), plain)
    with look(simulator) as raw:
        policies, (machine,), (other,) = Policies(raw), raw.of(identity), raw.of(plain)
        assert stores_of(machine) == {store}
        assert policies.of(machine) == (["fast"], [["fast"]])
        assert policies.of(other) == ([], [[]])


def test_the_option_is_for_machines_whose_order_requires_no_policy(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    plain, ordered = uuid4(), uuid4()
    with connected(simulator, storage_policy="gold tier!") as connector:
        connector.create_vm(spec, plain)
        connector.create_vm(requiring(spec.model_copy(update={"name": "other"}), SILVER), ordered)
    with look(simulator) as raw:
        policies, (first,), (second,) = Policies(raw), raw.of(plain), raw.of(ordered)
        assert policies.of(first) == (["gold tier!"], [["gold tier!"]])
        assert stores_of(first) == {"LocalDS_0"}
        assert policies.of(second) == (["silver"], [["silver"]])
        assert stores_of(second) <= {"LocalDS_1", "LocalDS_2"}


def test_a_clone_and_all_its_disks_have_the_policy_and_the_template_keeps_its_own(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    model, identity = uuid4(), uuid4()
    with connected(simulator, datastore="LocalDS_0") as connector:
        connector.create_vm(spec.model_copy(update={"name": "model"}), model)
        connector.add_disk(model, NewDisk(name="data", size_gib=1))
    with look(simulator) as raw:
        raw.of(model)[0].MarkAsTemplate()
    size = Resources(vcpu=2, memory_mib=512, disk_gib=6)
    with connected(simulator, template="model") as connector:
        wanted = spec.model_copy(update={"resources": size, "traits": frozenset({SILVER})})
        assert connector.create_vm(wanted, identity).resources == size
    with look(simulator) as raw:
        policies, (made,) = Policies(raw), raw.of(identity)
        assert policies.of(made) == (["silver"], [["silver"], ["silver"]])
        assert stores_of(made) <= {"LocalDS_1", "LocalDS_2"}
        (template,) = raw.of(model)
        assert policies.of(template) == ([], [[], []])
    assert simulator.calls().get("ReconfigVM_Task", 0) == 1, "a moment without the policy"


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_disks_that_are_added_or_replaced_keep_to_the_policy(
    simulator: VsphereSimulator, look: Look, spec: VmSpec, tmp_path: Path
) -> None:
    identity, image = uuid4(), tmp_path / "in.vmdk"
    size = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    written_disk(image, DiskFormat.VMDK, 1 << 30, seed=1)
    with connected(simulator) as connector, image.open("rb") as file:
        connector.create_vm(
            spec.model_copy(update={"resources": size, "traits": frozenset({SILVER})}), identity
        )
        connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        key = connector.details(identity).disks[0].key
        # The file that is brought in is made for another machine, and takes the place of this disk's.
        connector.import_disk(identity, key, DiskFormat.VMDK, file, lambda _done: None)
    with look(simulator) as raw:
        assert Policies(raw).of(raw.of(identity)[0]) == (["silver"], [["silver"], ["silver"]])


def nothing(_done: int) -> None:
    pass


def test_a_machine_moves_to_datastores_that_satisfy_its_policies_and_keeps_them(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity, plain = uuid4(), uuid4()
    with connected(simulator) as connector:
        connector.create_vm(requiring(spec, SILVER), identity)
        connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        connector.create_vm(spec.model_copy(update={"name": "plain"}), plain)
        for store in ("LocalDS_1", "LocalDS_2", "LocalDS_1"):
            connector.storage_migrate(identity, store, nothing)
            with look(simulator) as raw:
                (machine,) = raw.of(identity)
                assert stores_of(machine) == {store}
                assert Policies(raw).of(machine) == (["silver"], [["silver"], ["silver"]])
        with pytest.raises(
            Refused, match=r"'silver', which datastore 'LocalDS_0'.*do: LocalDS_1, LocalDS_2;"
        ):
            connector.storage_migrate(identity, "LocalDS_0", nothing)
        connector.storage_migrate(plain, "LocalDS_0", nothing)
        connector.storage_migrate(plain, "LocalDS_1", nothing)
    with look(simulator) as raw:
        assert stores_of(raw.of(identity)[0]) == {"LocalDS_1"}
        assert Policies(raw).of(raw.of(plain)[0]) == ([], [[]])


def test_the_policy_of_one_disk_alone_keeps_the_machine_where_it_is_true(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    identity = uuid4()
    with connected(simulator, datastore="LocalDS_0") as connector:
        connector.create_vm(spec, identity)
        connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        with look(simulator) as raw:
            policies, (machine,) = Policies(raw), raw.of(identity)
            (gold,) = [key for key, name in policies.names.items() if name == "gold tier!"]
            disk = [device for device in machine.config.hardware.device if hasattr(device, "capacityInKB")][
                1
            ]
            profile = [vim.vm.DefinedProfileSpec(profileId=gold)]
            edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=disk, profile=profile)
            WaitForTask(machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[edit])))
            assert policies.of(machine) == ([], [[], ["gold tier!"]])
        with pytest.raises(Refused, match=r"'gold tier!', which datastore 'LocalDS_2' .* do: LocalDS_0;"):
            connector.storage_migrate(identity, "LocalDS_2", nothing)
    assert "RelocateVM_Task" not in simulator.calls()


def test_a_machine_whose_policies_cannot_be_read_is_moved_as_vcenter_judges(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    with connected(simulator) as connector:
        connector.create_vm(requiring(spec, SILVER), identity)
        simulator.rules(Rule(method="PbmQueryAssociatedProfile", action="fault", fault="NoPermission"))
        connector.storage_migrate(identity, "LocalDS_0", nothing)
    with look(simulator) as raw:
        assert stores_of(raw.of(identity)[0]) == {"LocalDS_0"}


@pytest.mark.parametrize(
    ("traits", "options", "kind", "said"),
    [
        ((), {"storage_policy": "golden"}, NotFound, "no storage policy 'golden'.*gold tier!.*option 'sto"),
        ((f"{GOLD}EN",), {}, NotFound, f"no storage policy {GOLD}EN; there are: .*{SILVER}"),
        ((SILVER, GOLD), {}, Refused, f"one storage policy, and its order requires {GOLD} and {SILVER}"),
        ((), {"storage_policy": "bronze"}, Refused, "cluster 'DC0_C0' satisfies storage policy 'bronze'"),
        ((SILVER,), {"datastore": "LocalDS_0"}, Refused, "'silver'; looked at: LocalDS_0; let one satisfy it"),
    ],
    ids=["unknown-name", "unknown-trait", "two-policies", "no-datastore", "other-datastore"],
)  # fmt: skip
def test_a_policy_that_a_machine_cannot_have_is_refused_before_anything_is_made(
    simulator: VsphereSimulator,
    spec: VmSpec,
    traits: tuple[str, ...],
    options: dict[str, str],
    kind: type[ConnectorError],
    said: str,
) -> None:
    must_be_refused_before_anything_is_made(simulator, requiring(spec, *traits), options, kind, said)


def test_of_two_policies_that_give_one_trait_neither_is_meant(
    start: Start, look: Look, spec: VmSpec
) -> None:
    simulator = start(Estate(storage_policies=("Gold-1@LocalDS_0", "gold 1@LocalDS_0")))
    trait, identity = "CUSTOM_STORAGE_POLICY_GOLD_1", uuid4()
    assert policy_traits(pool(simulator)) == {ENCRYPTED}
    with connected(simulator, storage_policy="gold 1") as connector:
        with pytest.raises(Refused, match=f"'Gold-1' and 'gold 1' are both {trait}; rename one"):
            connector.create_vm(requiring(spec, trait), uuid4())
        connector.create_vm(spec, identity)
    with look(simulator) as raw:
        assert Policies(raw).of(raw.of(identity)[0])[0] == ["gold 1"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(method="PbmRetrieveServiceContent", action="http", status=404), "404"),
        (Rule(method="PbmQueryProfile", action="http", status=503), "503"),
        (Rule(method="PbmQueryProfile", action="fault", fault="NoPermission"), "user may not do this"),
    ],
    ids=["an-esxi-host", "service-off", "no-privilege"],
)
def test_without_the_policy_service_a_probe_tells_so_and_only_what_asks_for_a_policy_is_refused(
    simulator: VsphereSimulator, spec: VmSpec, rule: Rule, said: str
) -> None:
    simulator.rules(rule)
    with connected(simulator) as connector:
        snapshot = connector.probe()
        assert (len(snapshot.pools[0].hosts), policy_traits(snapshot.pools[0])) == (3, set())
        assert "storage policies cannot be read: " in snapshot.note
        assert said in snapshot.note
        identity = uuid4()
        connector.create_vm(spec, identity)
        connector.add_disk(identity, NewDisk(name="data", size_gib=1))
        with pytest.raises(Refused, match=said) as caught:
            connector.create_vm(requiring(spec, SILVER), uuid4())
        assert "StorageProfile.View" in caught.value.hint


def test_a_policy_service_that_hangs_takes_no_more_than_half_of_a_probes_time(
    simulator: VsphereSimulator,
) -> None:
    simulator.rules(Rule(method="PbmQueryMatchingHub", action="delay", delay_ms=60_000, skip=6))
    with connected(simulator, timeout_s=6) as connector:
        began = time.monotonic()
        snapshot = connector.probe()
        assert time.monotonic() - began < 6
        assert "storage policies cannot be read: no answer in half of the call's time" in snapshot.note
        # The seventh policy is the one that is not known.
        assert policy_traits(snapshot.pools[0]) == {GOLD, SILVER, ENCRYPTED}


def test_a_policy_that_vcenter_cannot_judge_hides_no_other(simulator: VsphereSimulator) -> None:
    simulator.rules(
        Rule(method="PbmQueryMatchingHub", action="fault", fault="SystemError", skip=2, times=1)
    )
    with connected(simulator) as connector:
        snapshot = connector.probe()
    assert policy_traits(snapshot.pools[0]) == {GOLD, SILVER}
    assert "storage policy 'VM Encryption Policy' cannot be judged" in snapshot.note


def test_a_connection_to_the_policy_service_that_was_closed_is_opened_again(
    simulator: VsphereSimulator,
) -> None:
    simulator.rules(Rule(method="PbmQueryProfile", action="reset", times=1))
    assert SILVER in pool(simulator).traits

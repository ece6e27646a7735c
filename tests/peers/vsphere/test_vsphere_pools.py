"""In which resource pool of a cluster new machines are, and which are traits, read back by pyvmomi."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from connectors.contract import VmSpec
from connectors.errors import ConnectorError, NotFound, Refused
from connectors.simulators.vsphere import Estate, Rule, VsphereSimulator
from tests.peers.vsphere.conftest import connected, must_be_refused_before_anything_is_made, requiring

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]

PREFIX = "CUSTOM_RESOURCE_POOL_"
GOLD, DATABASES = f"{PREFIX}GOLD", f"{PREFIX}DATABASES_1_2"


def size() -> Any:
    from pyVmomi import vim

    free = vim.ResourceAllocationInfo(
        reservation=0, limit=-1, expandableReservation=True, shares=vim.SharesInfo(shares=0, level="normal")
    )
    return vim.ResourceConfigSpec(cpuAllocation=free, memoryAllocation=free)


def make_pools(raw: Any, *paths: str, cluster: int = 0) -> None:
    for path in paths:
        *above, name = path.split("/")
        place = raw.clusters()[cluster].resourcePool
        for one in above:
            (place,) = [pool for pool in place.resourcePool if pool.name == one]
        place.CreateResourcePool(name, size())


@pytest.fixture
def simulator(start: Start, look: Look) -> VsphereSimulator:
    running = start(Estate(clusters=2, vms=1))
    with look(running) as raw:
        make_pools(raw, "gold", "gold/databases 1%2f2")
    return running


def pool_traits(simulator: VsphereSimulator) -> tuple[dict[str, set[str]], str]:
    with connected(simulator) as connector:
        found = connector.probe()
    named = {p.provider: {trait for trait in p.traits if trait.startswith(PREFIX)} for p in found.pools}
    return named, found.note


def home(raw: Any, identity: Any) -> str:
    (machine,) = raw.of(identity)
    return str(machine.resourcePool.name)


@pytest.mark.parametrize("path", ["gold", "gold/databases"])
def test_new_machines_go_to_the_resource_pool_of_the_option(
    start: Start, look: Look, spec: VmSpec, path: str
) -> None:
    simulator = start()
    with look(simulator) as raw:
        make_pools(raw, "gold", "gold/databases")
        with connected(simulator, resource_pool=path) as connector:
            connector.create_vm(spec, identity := uuid4())
        assert home(raw, identity) == path.rpartition("/")[2]


def test_resource_pools_below_the_root_are_traits_of_their_cluster_by_their_own_names(
    simulator: VsphereSimulator,
) -> None:
    named, note = pool_traits(simulator)
    assert named == {"DC0_C0": {GOLD, DATABASES}, "DC0_C1": set()}
    assert "resource pool" not in note


def test_a_machine_is_made_in_the_resource_pool_that_its_order_requires(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    gold, databases, plain = uuid4(), uuid4(), uuid4()
    with connected(simulator) as connector:
        connector.create_vm(requiring(spec, GOLD, "HW_SOMETHING"), gold)
        connector.create_vm(requiring(spec, DATABASES, name="db"), databases)
        connector.create_vm(requiring(spec, name="plain"), plain)
    with look(simulator) as raw:
        assert [home(raw, one) for one in (gold, databases, plain)] == [
            "gold",
            "databases 1%2f2",
            "Resources",
        ]


def test_of_equal_names_in_two_clusters_the_providers_own_is_meant(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    first, second = uuid4(), uuid4()
    with look(simulator) as raw:
        make_pools(raw, "gold", cluster=1)
        with connected(simulator) as connector:
            connector.create_vm(requiring(spec, GOLD), first)
            connector.create_vm(requiring(spec, GOLD, name="other", provider="DC0_C1"), second)
        owners = [raw.of(one)[0].resourcePool.owner.name for one in (first, second)]
    assert owners == ["DC0_C0", "DC0_C1"]
    assert pool_traits(simulator)[0] == {"DC0_C0": {GOLD, DATABASES}, "DC0_C1": {GOLD}}


def test_the_option_is_for_machines_whose_order_requires_no_resource_pool(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    plain, ordered = uuid4(), uuid4()
    with connected(simulator, resource_pool="gold") as connector:
        connector.create_vm(spec, plain)
        connector.create_vm(requiring(spec, DATABASES, name="other"), ordered)
    with look(simulator) as raw:
        assert (home(raw, plain), home(raw, ordered)) == ("gold", "databases 1%2f2")


def test_a_clone_is_made_in_the_resource_pool_that_its_order_requires(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    model, identity, plain = uuid4(), uuid4(), uuid4()
    with connected(simulator) as connector:
        connector.create_vm(spec.model_copy(update={"name": "model"}), model)
    with look(simulator) as raw:
        raw.of(model)[0].MarkAsTemplate()
        with connected(simulator, template="model") as connector:
            connector.create_vm(requiring(spec, DATABASES), identity)
            connector.create_vm(requiring(spec, name="plain"), plain)
        assert simulator.calls()["CloneVM_Task"] == 2
        assert (home(raw, identity), home(raw, plain)) == ("databases 1%2f2", "Resources")


@pytest.mark.parametrize(
    ("traits", "options", "kind", "said"),
    [
        ((), {"resource_pool": "gold/web"}, NotFound, "pool of cluster 'DC0_C0' 'gold/web'.*'resource_pool'"),
        ((f"{GOLD}EN",), {}, NotFound, f"'DC0_C0' has no resource pool {GOLD}EN; .*: {DATABASES}, {GOLD};"),
        ((f"{PREFIX}RESOURCES",), {}, NotFound, f"no resource pool {PREFIX}RESOURCES"),
        ((GOLD, DATABASES), {}, Refused, f"one resource pool, and its order requires {DATABASES} and {GOLD}"),
    ],
    ids=["unknown-path", "unknown-trait", "root-pool", "two-pools"],
)  # fmt: skip
def test_a_resource_pool_that_a_machine_cannot_have_is_refused_before_anything_is_made(
    simulator: VsphereSimulator,
    spec: VmSpec,
    traits: tuple[str, ...],
    options: dict[str, str],
    kind: type[ConnectorError],
    said: str,
) -> None:
    must_be_refused_before_anything_is_made(simulator, requiring(spec, *traits), options, kind, said)


def test_of_two_resource_pools_that_give_one_trait_neither_is_meant_and_the_note_tells(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity, both = uuid4(), "resource pools 'Web-1' and 'gold/web 1' of cluster 'DC0_C0' are both"
    trait = f"{PREFIX}WEB_1"
    with look(simulator) as raw:
        make_pools(raw, "Web-1", "gold/web 1")
        named, note = pool_traits(simulator)
        assert named["DC0_C0"] == {GOLD, DATABASES}
        assert f"{both} {trait}" in note
        with connected(simulator, resource_pool="gold/web 1") as connector:
            with pytest.raises(Refused, match=f"{both} {trait}; rename one"):
                connector.create_vm(requiring(spec, trait), uuid4())
            connector.create_vm(spec, identity)
        assert home(raw, identity) == "web 1"


def test_a_vapp_is_no_resource_pool(simulator: VsphereSimulator, look: Look, spec: VmSpec) -> None:
    from pyVmomi import vim

    with look(simulator) as raw:
        cluster = raw.clusters()[0]
        folder = cluster.parent.parent.vmFolder
        cluster.resourcePool.CreateVApp("shop", size(), vim.vApp.VAppConfigSpec(), folder)
        assert "shop" in {pool.name for pool in cluster.resourcePool.resourcePool}
    assert pool_traits(simulator)[0]["DC0_C0"] == {GOLD, DATABASES}
    with connected(simulator) as connector, pytest.raises(NotFound, match=f"{PREFIX}SHOP"):
        connector.create_vm(requiring(spec, f"{PREFIX}SHOP"), uuid4())


def test_resource_pools_that_cannot_be_read_are_told_and_the_probe_goes_on(
    simulator: VsphereSimulator,
) -> None:
    # The first view is the inventory's.
    simulator.rules(Rule(method="CreateContainerView", action="fault", fault="NoPermission", skip=1))
    named, note = pool_traits(simulator)
    assert named == {"DC0_C0": set(), "DC0_C1": set()}
    assert "resource pools cannot be read: " in note

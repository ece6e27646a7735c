"""A failover cluster as one endpoint, read back at the simulator and not by the driver."""

from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.hyperv import cluster, machines, marks
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op
from connectors.errors import NotFound, Refused, Unreachable, Unsupported
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
ESTATE = Estate(host="HV-A", nodes=("HV-B",), cluster="FRA-HV", memory_mib=16 * 1024)
SPEC = VmSpec(name="web-1", provider="FRA-HV", resources=Resources(vcpu=1, memory_mib=1024, disk_gib=4))


@pytest.fixture
def nodes(start: Start) -> HypervSimulator:
    return start(ESTATE)


@pytest.fixture
def connector(nodes: HypervSimulator, connect: Connect) -> Connector:
    return connect(nodes)


def test_the_nodes_are_one_pool_whose_shared_volume_counts_once(connector: Connector) -> None:
    (pool,) = connector.probe().pools
    assert (pool.provider, [host.name for host in pool.hosts]) == ("FRA-HV", ["HV-A", "HV-B"])
    assert pool.total == Resources(vcpu=64, memory_mib=32 * 1024, disk_gib=10 * 1024)
    assert pool.capabilities.has(Capability.HA_RESTART)
    assert pool.capabilities.has(Capability.LIVE_MIGRATE)
    assert pool.capabilities.has(Capability.DRS)


def test_new_machines_are_roles_and_go_where_the_most_memory_is_free(
    nodes: HypervSimulator, connector: Connector
) -> None:
    made = [connector.create_vm(SPEC.model_copy(update={"name": f"m{n}"}), uuid4()) for n in range(4)]
    assert sorted(len(ids) for ids in nodes.machines().values()) == [2, 2]
    assert nodes.roles() == {f"tierwise-{view.identity}": view.native_id for view in made}
    assert {view.native_id: view.host for view in made} == {
        vm_id: node for node, ids in nodes.machines().items() for vm_id in ids
    }


def test_the_clock_of_each_node_is_told_by_its_name(connector: Connector) -> None:
    assert set(connector.clocks()) == {"HV-A", "HV-B"}


def test_a_deleted_machine_leaves_no_role_no_disk_and_no_machine(
    nodes: HypervSimulator, connector: Connector
) -> None:
    connector.create_vm(SPEC, IDENTITY)
    connector.power(IDENTITY, PowerAction.ON)
    connector.delete_vm(IDENTITY)
    assert (nodes.roles(), nodes.disks(), nodes.machines()) == ({}, [], {"HV-A": [], "HV-B": []})


@pytest.mark.parametrize("action", [None, PowerAction.ON, PowerAction.SUSPEND])
def test_a_machine_moves_in_the_state_it_has(
    nodes: HypervSimulator, connector: Connector, action: PowerAction | None
) -> None:
    view = connector.create_vm(SPEC, IDENTITY)
    for step in {None: [], PowerAction.ON: [action], PowerAction.SUSPEND: [PowerAction.ON, action]}[action]:
        view = connector.power(IDENTITY, step)
    there = "HV-B" if view.host == "HV-A" else "HV-A"
    assert connector.migrate(IDENTITY, there) == view.model_copy(update={"host": there})
    assert nodes.machines()[there] == [view.native_id]


@pytest.mark.parametrize(("start_at", "end_at"), [("HV-A", "HV-B"), ("HV-B", "HV-A")])
def test_a_machine_that_moves_while_nodes_are_listed_is_there_once(
    start_at: str,
    end_at: str,
    connector: Connector,
    nodes: HypervSimulator,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = connector.create_vm(SPEC, IDENTITY)
    connector.migrate(IDENTITY, start_at)
    other, read = connect(nodes), machines._of_host
    moved: list[str] = []

    def read_and_let_it_move(op: Op) -> list[Machine]:
        found = read(op)
        if not moved:
            moved.append(op.node)
            other.migrate(IDENTITY, end_at)
        return found

    monkeypatch.setattr(machines, "_of_host", read_and_let_it_move)
    listed = connector.list_vms()
    assert moved == ["HV-A"], "it moved after the first node was read, and before the second was"
    assert [(one.native_id, one.host) for one in listed] == [(view.native_id, end_at)]


def test_a_node_that_is_down_is_named_with_its_machines_and_nothing_is_made_twice(
    nodes: HypervSimulator, connector: Connector
) -> None:
    # The endpoint's address is HV-A, so the machine is brought to the other.
    connector.create_vm(SPEC, IDENTITY)
    connector.migrate(IDENTITY, "HV-B")
    nodes.set_down("HV-B")
    found, views = connector.inventory()
    assert views == []
    assert f"node 'HV-B' is down; roles that are not listed: tierwise-{IDENTITY}" in found.note
    assert [host.usable for host in found.pools[0].hosts] == [True, False]
    assert found.pools[0].total.vcpu == ESTATE.logical_processors
    for call in (
        lambda: connector.get_vm(IDENTITY),
        lambda: connector.create_vm(SPEC, IDENTITY),
        lambda: connector.delete_vm(IDENTITY),
    ):
        with pytest.raises(Unreachable, match="HV-B"):
            call()
    nodes.set_down()
    assert connector.get_vm(IDENTITY).host == "HV-B"
    assert len(nodes.roles()) == 1


def test_a_machine_does_not_move_to_a_node_that_is_down_full_or_unknown(
    nodes: HypervSimulator, connector: Connector
) -> None:
    connector.create_vm(SPEC, IDENTITY)
    connector.migrate(IDENTITY, "HV-A")
    connector.power(IDENTITY, PowerAction.ON)
    with pytest.raises(NotFound, match="HV-A, HV-B"):
        connector.migrate(IDENTITY, "HV-Z")
    nodes.rules(Rule(method="Move-ClusterVirtualMachineRole", action="error", error_id="OutOfMemory"))
    with pytest.raises(Refused, match="node 'HV-A'"):
        connector.migrate(IDENTITY, "HV-B")
    nodes.rules()
    nodes.set_down("HV-B")
    with pytest.raises(Refused, match="it is down"):
        connector.migrate(IDENTITY, "HV-B")
    assert connector.get_vm(IDENTITY).power is PowerState.ON


def test_a_failed_creation_leaves_no_role_and_no_machine(
    nodes: HypervSimulator, connector: Connector
) -> None:
    # The role is made, and then the notes are not written.
    nodes.rules(Rule(method="Set-VM", action="error", error_id="OperationFailed", skip=1, times=1))
    with pytest.raises(Refused):
        connector.create_vm(SPEC, IDENTITY)
    assert (nodes.roles(), nodes.disks(), nodes.machines()) == ({}, [], {"HV-A": [], "HV-B": []})


def test_all_shells_are_deleted_when_the_connector_closes(
    nodes: HypervSimulator, connector: Connector
) -> None:
    connector.list_vms()
    assert nodes.shells() == 3
    connector.close()
    assert nodes.shells() == 0


def test_machines_are_made_on_shared_volumes_only(nodes: HypervSimulator, connect: Connect) -> None:
    connector = connect(nodes, folder="D:\\Machines")
    gap = connector.probe().pools[0].capabilities.gap(Capability.CREATE)
    assert gap is not None
    assert gap.reason is GapReason.NOT_CONFIGURED
    with pytest.raises(Unsupported, match="ClusterStorage"):
        connector.create_vm(SPEC, IDENTITY)


def _where(node: str, address: str = "https://hv1.fra.example.org:5986", **options: str) -> str:
    endpoint = Endpoint(name="e", driver="hyperv", address=address, options=options)
    return cluster.node_endpoint(endpoint, node).address


def test_a_node_is_in_the_domain_of_the_address_unless_it_is_named() -> None:
    assert _where("HV-2") == "https://HV-2.fra.example.org:5986"
    assert _where("HV-2", "hv1.example.org:444") == "https://HV-2.example.org:444"
    assert _where("HV-2", nodes="hv-2=b.example.org, HV-3=c:1") == "https://b.example.org:5986"
    assert _where("HV-3", nodes="hv-2=b.example.org, HV-3=c:1") == "https://c:1"
    with pytest.raises(Refused, match="option 'nodes'"):
        _where("HV-2", "https://10.0.0.1")
    with pytest.raises(Refused, match="NAME=host"):
        _where("HV-2", nodes="HV-2")


def made_alone(nodes: HypervSimulator, connect: Connect, node: str = "HV-A") -> Connector:
    """A connector to all nodes, one of which has a machine of ours that is no role."""
    folder = f"C:\\ClusterStorage\\Volume1\\tierwise-{IDENTITY}-1a2b3c4d"
    nodes.plant("alone", notes=marks.notes(IDENTITY, {}), path=folder, node=node, disk_bytes=1 << 30)
    return connect(nodes)


def test_in_a_cluster_of_one_node_there_is_no_move_and_the_probe_says_so(
    start: Start, connect: Connect
) -> None:
    simulator = start(ESTATE.model_copy(update={"nodes": ()}))
    folder = "C:\\ClusterStorage\\Volume1"
    connector = connect(simulator, cluster=True, nodes=f"HV-A={simulator.address}", folder=folder)
    (pool,) = connector.probe().pools
    view = connector.create_vm(SPEC, IDENTITY)
    assert connector.migrate(IDENTITY, "HV-A") == view
    with pytest.raises(Unsupported) as caught:
        connector.migrate(IDENTITY, "HV-B")
    gap = pool.capabilities.gap(Capability.LIVE_MIGRATE)
    assert caught.value.gap == gap
    assert gap is not None
    assert gap.reason is GapReason.NOT_CONFIGURED
    assert gap.detail == "failover cluster 'FRA-HV' has one node only; add a second one to it"
    assert pool.capabilities.has(Capability.HA_RESTART)


@pytest.mark.parametrize("action", [None, PowerAction.ON])
def test_a_machine_that_is_no_role_moves_too_and_stays_none(
    nodes: HypervSimulator, connect: Connect, action: PowerAction | None
) -> None:
    connector = made_alone(nodes, connect)
    view = connector.get_vm(IDENTITY) if action is None else connector.power(IDENTITY, action)
    for _ in ("it moves", "it is there"):
        assert connector.migrate(IDENTITY, "HV-B") == view.model_copy(update={"host": "HV-B"})
    assert nodes.machines() == {"HV-A": [], "HV-B": [view.native_id]}
    assert (nodes.roles(), nodes.calls()["Move-VM"]) == ({}, 1)


def test_a_machine_that_is_no_role_and_lies_on_one_node_stays(
    nodes: HypervSimulator, connect: Connect
) -> None:
    folder = f"D:\\Machines\\tierwise-{IDENTITY}-1a2b3c4d"
    nodes.plant("alone", notes=marks.notes(IDENTITY, {}), path=folder, node="HV-A", disk_bytes=1 << 30)
    connector = connect(nodes)
    with pytest.raises(Refused, match="on one node only"):
        connector.migrate(IDENTITY, "HV-B")
    assert "Move-VM" not in nodes.calls()


def test_what_a_host_says_against_a_machine_that_is_no_role_is_told(
    nodes: HypervSimulator, connect: Connect
) -> None:
    connector = made_alone(nodes, connect)
    before = connector.get_vm(IDENTITY)
    words = "no credentials are available in the security package (0x8009030E)"
    nodes.rules(Rule(method="Move-VM", action="error", error_id="OperationFailed", message=words))
    with pytest.raises(Refused, match="0x8009030E"):
        connector.migrate(IDENTITY, "HV-B")
    nodes.rules(Rule(method="Move-VM", action="reset", after=True, times=1))
    with pytest.raises(Unreachable):
        connector.migrate(IDENTITY, "HV-B")
    assert connector.migrate(IDENTITY, "HV-B") == before.model_copy(update={"host": "HV-B"})

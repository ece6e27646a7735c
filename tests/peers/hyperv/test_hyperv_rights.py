"""A host that shows no machines, or refuses to, is never taken for one that has none."""

from typing import NamedTuple
from uuid import UUID

import pytest

from connectors.contract import Connector, PowerAction, VmSpec
from connectors.errors import ConnectorError, NotFound, Refused, Unreachable
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tests.peers.hyperv.conftest import Connect, Start
from tests.peers.hyperv.test_hyperv_cluster import ESTATE, SPEC

pytestmark = pytest.mark.counterpart("hyperv-sim")

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
CALLS = {
    "probe": lambda connector: connector.probe(),
    "list_vms": lambda connector: connector.list_vms(),
    "get_vm": lambda connector: connector.get_vm(IDENTITY),
    "power": lambda connector: connector.power(IDENTITY, PowerAction.ON),
    "delete_vm": lambda connector: connector.delete_vm(IDENTITY),
}


class Says(NamedTuple):
    """An error of a listing as Windows words it, and what it is to be."""

    error_id: str
    category: str
    kind: type[ConnectorError]
    hint: str


SERVICE_DOWN = Says("ObjectNotFound", "ObjectNotFound", Unreachable, "vmms")
WORDS = [
    SERVICE_DOWN,
    Says("AccessDenied", "PermissionDenied", Refused, "Hyper-V Administrators"),
    Says("Unspecified", "PermissionDenied", Refused, "Hyper-V Administrators"),
    Says("CommandNotFoundException", "ObjectNotFound", Refused, "install the role Hyper-V"),
    Says("CouldNotAutoLoadModule", "ObjectNotFound", Refused, "repair the role Hyper-V"),
]


def refused(connector: Connector, call: str, kind: type[ConnectorError], hint: str) -> None:
    with pytest.raises(ConnectorError) as caught:
        CALLS[call](connector)
    assert type(caught.value) is kind
    assert not isinstance(caught.value, NotFound)
    assert hint in str(caught.value)


@pytest.mark.parametrize("says", WORDS, ids=[one.error_id + one.category for one in WORDS])
def test_machines_that_cannot_be_listed_are_not_gone(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec, says: Says
) -> None:
    connector = connect(simulator)
    made = connector.create_vm(spec, IDENTITY)
    for call in CALLS:
        simulator.rules(
            Rule(method="Get-VM", action="error", error_id=says.error_id, category=says.category)
        )
        refused(connector, call, says.kind, says.hint)
    simulator.rules()
    assert connector.get_vm(IDENTITY) == made
    assert len(simulator.disks()) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_user_outside_of_hyper_v_administrators_is_told_the_group(
    start: Start, connect: Connect, call: str
) -> None:
    refused(
        connect(start(Estate(hyperv_administrator=False))),
        call,
        Refused,
        "put it into the host's group Hyper-V Administrators",
    )


def test_what_windows_own_facts_need_is_told_by_itself(
    simulator: HypervSimulator, connect: Connect
) -> None:
    connector = connect(simulator)
    denied = "HRESULT 0x80041003"
    rule = Rule(method="Get-CimInstance", action="error", error_id=denied, category="PermissionDenied")
    simulator.rules(rule)
    refused(connector, "probe", Refused, "WMI namespace")


def test_files_on_a_volume_that_is_away_are_told_and_go_when_it_is_back(
    simulator: HypervSimulator, connect: Connect, spec: VmSpec
) -> None:
    connect(simulator, folder="E:\\Machines").create_vm(spec, IDENTITY)
    connector = connect(simulator)
    away = Rule(method="Remove-Item", action="error", error_id="DriveNotFound", category="ObjectNotFound")
    simulator.rules(away)
    for _ in range(2):
        refused(connector, "delete_vm", Refused, "a volume is not there")
    simulator.rules()
    connector.delete_vm(IDENTITY)
    assert simulator.disks() == []


def test_a_role_that_went_meanwhile_does_not_hide_its_machine(start: Start, connect: Connect) -> None:
    nodes = start(ESTATE)
    connector = connect(nodes)
    made = connector.create_vm(SPEC, IDENTITY)
    gone = Rule(
        method="Remove-ClusterGroup",
        action="error",
        error_id="Remove-ClusterGroup",
        category="ObjectNotFound",
    )
    nodes.rules(gone)
    with pytest.raises(ConnectorError):
        connector.delete_vm(IDENTITY)
    assert connector.get_vm(IDENTITY) == made
    assert len(nodes.disks()) == 1

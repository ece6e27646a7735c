"""Disks that are added to a machine of a XenServer pool and grow, read back by the vendor's binding."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError, Refused, Unsupported
from connectors.simulators.xen import Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

THINGS = ("VM", "VDI", "VBD", "task")
GIB = 2**30
DATA = NewDisk(name="data", size_gib=2)

Start = Callable[..., XenSimulator]
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def made(connector: Connector, *, on: bool = False) -> UUID:
    identity = uuid4()
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    connector.create_vm(VmSpec(name="web", provider="xen-pool", resources=resources), identity)
    if on:
        connector.power(identity, PowerAction.ON)
    return identity


def added(raw: Any, identity: UUID) -> list[dict[str, Any]]:
    """The added disks of the machine called web, each with what connects it."""
    found = []
    for vdi in raw.VDI.get_by_name_label(f"tierwise {identity} added disk"):
        record = raw.VDI.get_record(vdi)
        record["connections"] = [raw.VBD.get_record(vbd) for vbd in record["VBDs"]]
        found.append(record)
    return found


@STATES
def test_an_added_disk_is_the_next_one_of_its_machine_and_plugged_in_while_that_runs(
    connector: Connector, raw: Any, *, on: bool
) -> None:
    identity = made(connector, on=on)
    connector.add_disk(identity, DATA)
    (disk,) = added(raw, identity)
    (connection,) = disk["connections"]
    assert (disk["virtual_size"], disk["type"]) == (str(2 * GIB), "user")
    assert (connection["userdevice"], connection["bootable"]) == ("1", False)
    assert connection["currently_attached"] is on
    assert "tierwise.adding" not in disk["other_config"]


def test_a_guest_without_drivers_gets_no_disk_while_it_runs_and_nothing_is_left_of_it(start: Start) -> None:
    simulator = start(Estate(guest_tools=False))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        identity = made(connector, on=True)
        before = simulator.counts(THINGS)
        with pytest.raises(Conflict) as caught:
            connector.add_disk(identity, DATA)
        assert "VM_MISSING_PV_DRIVERS" in caught.value.vendor_code
        assert "guest tools" in str(caught.value)
        assert simulator.counts(THINGS) == before
        connector.power(identity, PowerAction.OFF)
        assert connector.add_disk(identity, DATA).resources.disk_gib == 3


@STATES
@pytest.mark.parametrize("method", ["VDI.create", "VBD.create", "VDI.remove_from_other_config", "VBD.plug"])
def test_a_disk_whose_answer_was_lost_is_added_once_and_leaves_with_its_machine(
    connector: Connector, simulator: XenSimulator, raw: Any, method: str, *, on: bool
) -> None:
    empty = simulator.counts(THINGS)
    identity = made(connector, on=on)
    simulator.rules(Rule(method=method, action="reset", after=True, times=1))
    with suppress(ConnectorError):
        connector.add_disk(identity, DATA)
    simulator.rules()
    assert connector.add_disk(identity, DATA).resources.disk_gib == 3
    (disk,) = added(raw, identity)
    assert [c["currently_attached"] for c in disk["connections"]] == [on]
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == empty


def test_a_disk_that_was_left_unconnected_goes_with_its_machine(
    connector: Connector, simulator: XenSimulator, raw: Any
) -> None:
    empty = simulator.counts(THINGS)
    identity = made(connector)
    simulator.rules(Rule(method="VDI.create", action="reset", after=True))
    with pytest.raises(ConnectorError):
        connector.add_disk(identity, DATA)
    simulator.rules()
    assert [disk["connections"] for disk in added(raw, identity)] != []
    connector.delete_vm(identity)
    assert simulator.counts(THINGS) == empty


def test_a_disk_that_somebody_disconnected_is_kept_when_another_of_its_name_is_added(
    connector: Connector, raw: Any
) -> None:
    identity = made(connector)
    connector.add_disk(identity, DATA)
    (before,) = added(raw, identity)
    raw.VBD.destroy(before["VBDs"][0])
    connector.add_disk(identity, DATA)
    after = {disk["uuid"]: len(disk["connections"]) for disk in added(raw, identity)}
    assert len(after) == 2
    assert after[before["uuid"]] == 0


def test_a_disk_without_room_is_refused_and_nothing_is_left_of_it(
    connector: Connector, simulator: XenSimulator
) -> None:
    identity = made(connector)
    before = simulator.counts(THINGS)
    with pytest.raises(Refused) as caught:
        connector.add_disk(identity, NewDisk(name="huge", size_gib=60_000))
    assert "GiB free" in str(caught.value)
    assert simulator.counts(THINGS) == before


def test_a_disk_in_use_grows_only_where_its_storage_can(start: Start) -> None:
    for online in (False, True):
        simulator = start(Estate(online_resize=online))
        with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
            identity = made(connector, on=True)
            (disk,) = connector.details(identity).disks
            gap = connector.probe().pools[0].capabilities.gap(Capability.GROW_DISK_HOT)
            assert (gap is None) is online
            if online:
                assert connector.grow_disk(identity, disk.key, 4).resources.disk_gib == 4
            else:
                with pytest.raises(Unsupported) as caught:
                    connector.grow_disk(identity, disk.key, 4)
                assert caught.value.gap == gap


def test_memory_alone_is_added_also_where_storage_grows_no_disk_in_use(start: Start) -> None:
    simulator = start(Estate(online_resize=False))
    endpoint = simulator.endpoint(timeout_s=10, options={"hot_add_factor": 4})
    with registry.connect(endpoint, simulator.password) as connector:
        identity = made(connector, on=True)
        size = connector.get_vm(identity).resources
        report = connector.probe().pools[0].capabilities
        assert report.has(Capability.RESIZE_MEMORY_HOT)
        with pytest.raises(Unsupported) as caught:
            connector.resize(identity, size + Resources(memory_mib=128, disk_gib=1))
        assert caught.value.gap == report.gap(Capability.RESIZE_HOT)
        wanted = size + Resources(memory_mib=128)
        assert connector.resize(identity, wanted).resources == wanted

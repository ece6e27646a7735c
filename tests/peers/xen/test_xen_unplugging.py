"""Disks that are taken out of a machine of a XenServer pool, read back by the vendor's binding."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, Disk, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded
from connectors.simulators.xen import Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

THINGS = ("VM", "VDI", "VBD", "task")
DATA = NewDisk(name="data", size_gib=2)

Start = Callable[..., XenSimulator]
STATES = pytest.mark.parametrize("on", [False, True], ids=["off", "running"])


def made(connector: Connector, *, on: bool = False) -> tuple[UUID, Disk]:
    """A machine, and a disk that it was given."""
    identity = uuid4()
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    connector.create_vm(VmSpec(name="web", provider="xen-pool", resources=resources), identity)
    if on:
        connector.power(identity, PowerAction.ON)
    connector.add_disk(identity, DATA)
    return identity, connector.details(identity).disks[1]


def connect(raw: Any, vm: str, vdi: str) -> None:
    """Let another machine have a disk."""
    device = {
        "VM": vm,
        "VDI": vdi,
        "userdevice": "3",
        "bootable": False,
        "mode": "RW",
        "type": "Disk",
        "empty": False,
    }
    plain = {"unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    raw.VBD.create(device | plain)


@STATES
def test_a_removed_disk_leaves_the_pool_with_what_connected_it(
    connector: Connector, raw: Any, *, on: bool
) -> None:
    identity, disk = made(connector, on=on)
    vdi = raw.VDI.get_by_uuid(disk.key)
    (own,) = raw.VDI.get_by_name_label(f"tierwise {identity} disk 0")
    assert connector.remove_disk(identity, disk).resources.disk_gib == 1
    assert vdi not in raw.VDI.get_all()
    (vm,) = raw.VM.get_by_name_label("web")
    assert [raw.VBD.get_VDI(vbd) for vbd in raw.VM.get_VBDs(vm)] == [own]


@STATES
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", ["VBD.unplug", "VBD.destroy", "VDI.destroy"])
def test_a_call_that_was_cut_off_is_repeated_and_removes_the_disk_whole(
    connector: Connector, simulator: XenSimulator, method: str, *, after: bool, on: bool
) -> None:
    identity, disk = made(connector, on=on)
    there = simulator.counts(THINGS)
    simulator.rules(Rule(method=method, action="reset", after=after, times=1))
    with suppress(ConnectorError):
        connector.remove_disk(identity, disk)
    simulator.rules()
    assert connector.remove_disk(identity, disk).resources.disk_gib == 1
    gone = {"VM": 0, "VDI": 1, "VBD": 1, "task": 0}
    assert simulator.counts(THINGS) == {name: there[name] - gone[name] for name in THINGS}


def test_a_guest_without_drivers_keeps_its_disk_while_it_runs(start: Start) -> None:
    simulator = start(Estate(guest_tools=False))
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        identity, disk = made(connector)
        connector.power(identity, PowerAction.ON)
        before = simulator.counts(THINGS)
        with pytest.raises(Conflict) as caught:
            connector.remove_disk(identity, disk)
        assert "VM_MISSING_PV_DRIVERS" in caught.value.vendor_code
        assert simulator.counts(THINGS) == before
        connector.power(identity, PowerAction.OFF)
        assert connector.remove_disk(identity, disk).resources.disk_gib == 1


@pytest.mark.parametrize(
    ("code", "kind"), [("DEVICE_DETACH_REJECTED", Conflict), ("DEVICE_DETACH_TIMEOUT", DeadlineExceeded)]
)
def test_a_guest_that_does_not_let_go_is_told_and_keeps_its_disk(
    connector: Connector, simulator: XenSimulator, code: str, kind: type[ConnectorError]
) -> None:
    identity, disk = made(connector, on=True)
    simulator.rules(Rule(method="VBD.unplug", action="fail", code=code))
    with pytest.raises(kind, match="did not let go of the disk"):
        connector.remove_disk(identity, disk)
    simulator.rules()
    assert disk in connector.details(identity).disks


def test_a_disk_that_another_machine_has_too_stays(connector: Connector, raw: Any) -> None:
    identity, disk = made(connector)
    vdi = raw.VDI.get_by_uuid(disk.key)
    other = uuid4()
    spec = VmSpec(
        name="other", provider="xen-pool", resources=Resources(vcpu=1, memory_mib=128, disk_gib=1)
    )
    connector.create_vm(spec, other)
    (vm,) = raw.VM.get_by_name_label("other")
    connect(raw, vm, vdi)
    with pytest.raises(Conflict, match="another machine"):
        connector.remove_disk(identity, disk)
    assert len(raw.VDI.get_VBDs(vdi)) == 2


def test_a_disk_that_somebody_disconnected_and_gave_to_another_machine_stays(
    connector: Connector, raw: Any
) -> None:
    identity, disk = made(connector)
    vdi = raw.VDI.get_by_uuid(disk.key)
    raw.VBD.destroy(raw.VDI.get_VBDs(vdi)[0])
    spec = VmSpec(
        name="other", provider="xen-pool", resources=Resources(vcpu=1, memory_mib=128, disk_gib=1)
    )
    connector.create_vm(spec, uuid4())
    (vm,) = raw.VM.get_by_name_label("other")
    connect(raw, vm, vdi)
    assert connector.remove_disk(identity, disk).resources.disk_gib == 1
    assert len(raw.VDI.get_VBDs(vdi)) == 1

"""Snapshots of machines of a XenServer pool that are deleted, read back by the vendor's binding."""

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, NewDisk, PowerAction, VmSpec
from connectors.errors import Conflict, ConnectorError
from connectors.simulators.xen import Rule, XenSimulator
from tests.peers.xen.test_xen_disks import MIB, carry_in, carry_out, image, made, same
from tierwise.testing.promises.base import snapshot_names

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

THINGS = ("VM", "VM_metrics", "VDI", "VBD", "VIF", "task")


@pytest.fixture
def identity(connector: Connector) -> UUID:
    """A machine of two disks that runs."""
    found, _ = made(connector)
    connector.add_disk(found, NewDisk(name="data", size_gib=1))
    connector.power(found, PowerAction.ON)
    return found


def test_a_deleted_snapshot_leaves_the_pool_with_its_disks_and_nothing_else(
    connector: Connector, simulator: XenSimulator, identity: UUID
) -> None:
    there = [simulator.counts(THINGS)]
    for name in ("one", "two"):
        connector.snapshot(identity, name)
        there.append(simulator.counts(THINGS))
    assert there[1]["VDI"] == there[0]["VDI"] + 2
    connector.delete_snapshot(identity, "one")
    assert simulator.counts(THINGS) == there[1]
    connector.delete_snapshot(identity, "two")
    assert simulator.counts(THINGS) == there[0]


def test_times_parents_and_the_current_snapshot_are_xapis(
    connector: Connector, raw: Any, identity: UUID
) -> None:
    for name in ("one", "two"):
        connector.snapshot(identity, name)
    connector.revert(identity, "one")
    connector.snapshot(identity, "three")
    told = {one.name: one for one in connector.list_snapshots(identity)}
    records = {r["name_label"]: r for r in raw.VM.get_all_records().values() if r["is_a_snapshot"]}
    assert {name: one.taken_at.strftime("%Y%m%dT%H:%M:%SZ") for name, one in told.items()} == {
        name: str(record["snapshot_time"]) for name, record in records.items()
    }
    assert {name: one.parent for name, one in told.items()} == {"one": "", "two": "one", "three": "one"}
    assert [one.name for one in told.values() if one.current] == ["three"]
    assert raw.VM.get_name_label(raw.VM.get_parent(raw.VM.get_by_name_label("web")[0])) == "three"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("method", "skip"),
    [("VDI.add_to_other_config", 0), ("VDI.add_to_other_config", 1), ("VM.destroy", 0), ("VDI.destroy", 0), ("VDI.destroy", 1)],
)  # fmt: skip
def test_a_call_that_was_cut_off_is_repeated_and_leaves_no_disk(
    connector: Connector, simulator: XenSimulator, identity: UUID, method: str, skip: int, *, after: bool
) -> None:
    there = simulator.counts(THINGS)
    connector.snapshot(identity, "one")
    simulator.rules(Rule(method=method, action="reset", after=after, times=1, skip=skip))
    with suppress(ConnectorError):
        connector.delete_snapshot(identity, "one")
    simulator.rules()
    connector.delete_snapshot(identity, "one")
    assert simulator.counts(THINGS) == there


def test_a_snapshot_whose_deletion_was_cut_off_before_it_went_is_gone_back_to_with_all_its_disks(
    connector: Connector, simulator: XenSimulator, identity: UUID
) -> None:
    connector.snapshot(identity, "one")
    there = simulator.counts(THINGS)
    simulator.rules(Rule(method="VM.destroy", action="reset"))
    with pytest.raises(ConnectorError):
        connector.delete_snapshot(identity, "one")
    simulator.rules()
    assert snapshot_names(connector, identity) == ["one"]
    connector.revert(identity, "one")
    assert len(connector.details(identity).disks) == 2
    connector.snapshot(identity, "two")
    connector.delete_snapshot(identity, "one")
    assert simulator.counts(THINGS) == there
    connector.revert(identity, "two")
    assert [disk.name for disk in connector.details(identity).disks] == ["", "data"]


def connect(raw: Any, vm: str, vdi: str) -> None:
    """Let another machine have a disk."""
    plain = {"unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    device = {"VM": vm, "VDI": vdi, "userdevice": "3", "bootable": False, "mode": "RO", "type": "Disk"}
    raw.VBD.create(device | plain | {"empty": False})


def test_disks_that_others_made_of_the_machines_or_use_stay(
    connector: Connector, raw: Any, identity: UUID
) -> None:
    (vm,) = raw.VM.get_by_name_label("web")
    connector.create_vm(
        VmSpec(name="backup", provider="xen-pool", resources=Resources(vcpu=1, memory_mib=128, disk_gib=1)),
        uuid4(),
    )
    (backup,) = raw.VM.get_by_name_label("backup")
    (own,) = raw.VDI.get_by_name_label(f"tierwise {identity} disk 0")
    record = raw.VDI.get_record(own)
    asked = ("name_label", "SR", "virtual_size", "type", "sharable", "read_only", "other_config")
    copy = raw.VDI.create({name: record[name] for name in asked} | {"name_description": "a backup's"})
    connector.snapshot(identity, "one")
    (taken,) = raw.VM.get_snapshots(vm)
    used = next(
        raw.VBD.get_VDI(vbd) for vbd in raw.VM.get_VBDs(taken) if raw.VBD.get_userdevice(vbd) == "0"
    )
    connect(raw, backup, used)
    connector.delete_snapshot(identity, "one")
    assert raw.VM.get_snapshots(vm) == []
    connector.delete_snapshot(identity, "one")
    assert {copy, used, own} <= set(raw.VDI.get_all())


def test_of_two_snapshots_of_one_name_none_is_deleted(
    connector: Connector, raw: Any, identity: UUID
) -> None:
    connector.snapshot(identity, "one")
    (vm,) = raw.VM.get_by_name_label("web")
    raw.VM.snapshot(vm, "one")
    with pytest.raises(Conflict, match=r"has 2 snapshots 'one'.*rename or delete the others"):
        connector.delete_snapshot(identity, "one")
    assert len(raw.VM.get_snapshots(vm)) == 2


def test_content_comes_back_with_each_snapshot_that_stays(connector: Connector, tmp_path: Path) -> None:
    identity, key = made(connector)
    kept = {}
    for at, name in enumerate(("one", "two", "three")):
        kept[name] = image(tmp_path, {at * 2 * MIB: MIB})
        carry_in(connector, identity, key, kept[name])
        connector.snapshot(identity, name)
    connector.delete_snapshot(identity, "two")
    for name in ("one", "three", "one"):
        connector.revert(identity, name)
        (disk,) = connector.details(identity).disks
        carry_out(connector, identity, disk.key, tmp_path / "out")
        assert same(tmp_path / "out", kept[name])

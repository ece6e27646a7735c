"""What an order says of its machine as custom attributes, read back by pyvmomi."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from connectors.contract import Connector, VmSpec
from connectors.errors import ConnectorError, Refused, Unsupported
from connectors.simulators.vsphere import Rule, VsphereSimulator
from tests.peers.vsphere.conftest import connected, create_at_once

pytestmark = pytest.mark.counterpart("vcsim")

Look = Callable[[VsphereSimulator], Any]

SAYS = {"tierwise.order": "42", "tierwise.tenant": "payroll", "note": "ünï & <b>"}


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with connected(simulator, custom_attributes=True) as opened:
        yield opened


@pytest.fixture
def spec(spec: VmSpec) -> VmSpec:
    return spec.model_copy(update={"annotations": SAYS})


def attributes(raw: Any, machine: Any) -> dict[str, list[str]]:
    """All values that each attribute of the machine has; the simulator keeps the old ones too."""
    names = {field.key: field.name for field in raw.content.customFieldsManager.field}
    found: dict[str, list[str]] = {}
    for one in machine.customValue:
        found.setdefault(names[one.key], []).append(one.value)
    return found


def test_the_vendors_client_sees_each_annotation_once(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    for _ in range(2):
        connector.create_vm(spec, identity)
    with look(simulator) as raw:
        (machine,) = raw.of(identity)
        assert attributes(raw, machine) == {name: [value] for name, value in SAYS.items()}


def test_attributes_that_others_write_are_told_and_kept(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVmomi import vim

    identity = uuid4()
    with look(simulator) as raw:
        manager = raw.content.customFieldsManager
        ours, theirs = (
            manager.AddCustomFieldDef(name=name, moType=vim.VirtualMachine) for name in ("note", "backup")
        )
        connector.create_vm(spec, identity)
        (machine,) = raw.of(identity)
        manager.SetField(entity=machine, key=theirs.key, value="daily")
        assert connector.tags(identity) == {**SAYS, "backup": "daily"}
        keys = [field.key for field in manager.field if field.name == "note"]
    assert keys == [ours.key], "one that is there already is used"


def test_without_the_option_nothing_is_written_and_tags_are_refused(
    simulator: VsphereSimulator, spec: VmSpec
) -> None:
    identity = uuid4()
    with connected(simulator) as connector:
        connector.create_vm(spec, identity)
        with pytest.raises(Unsupported, match="custom_attributes"):
            connector.tags(identity)
    assert {"AddCustomFieldDef", "SetField"}.isdisjoint(simulator.calls())


def test_without_the_option_a_create_asks_vcenter_no_more_than_without_annotations(
    simulator: VsphereSimulator, spec: VmSpec
) -> None:
    asked = []
    with connected(simulator) as connector:
        for says in ({}, SAYS):
            simulator.rules()
            connector.create_vm(
                spec.model_copy(update={"name": f"m{len(says)}", "annotations": says}), uuid4()
            )
            asked.append(simulator.calls())
    assert asked[0] == asked[1]


@pytest.mark.parametrize("method", ["AddCustomFieldDef", "SetField"])
def test_a_user_that_may_not_write_them_is_told_and_nothing_is_left(
    method: str, connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method=method, action="fault", fault="NoPermission"))
    with pytest.raises(Refused) as caught:
        connector.create_vm(spec, identity)
    assert caught.value.vendor_code == "NoPermission"
    with look(simulator) as raw:
        assert raw.of(identity) == []


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize("skip", range(3))
def test_a_create_that_is_cut_off_while_they_are_written_is_finished_by_the_next(
    skip: int, after: bool, connector: Connector, simulator: VsphereSimulator, spec: VmSpec
) -> None:
    identity = uuid4()
    simulator.rules(Rule(method="SetField", action="http", status=503, after=after, skip=skip, times=1))
    with pytest.raises(ConnectorError):
        connector.create_vm(spec, identity)
    simulator.rules()
    connector.create_vm(spec, identity)
    assert connector.tags(identity) == SAYS


def test_workers_at_once_define_each_attribute_once(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    with ExitStack() as opened:
        workers = [opened.enter_context(connected(simulator, custom_attributes=True)) for _ in range(4)]
        wanted = create_at_once(workers, spec)
        assert [worker.tags(one) for worker, one in zip(workers, wanted, strict=True)] == [SAYS] * 4
        raw = opened.enter_context(look(simulator))
        names = [field.name for field in raw.content.customFieldsManager.field]
    assert sorted(names) == sorted(SAYS)


def test_what_others_wrote_stays_when_tags_are_changed(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    from pyVim.task import WaitForTask as wait  # noqa: N813 - a function in spite of its name
    from pyVmomi import vim

    identity = uuid4()
    connector.create_vm(spec, identity)
    with look(simulator) as raw:
        (machine,) = raw.of(identity)
        manager = raw.content.customFieldsManager
        theirs = manager.AddCustomFieldDef(name="backup", moType=type(machine))
        manager.SetField(entity=machine, key=theirs.key, value="daily")
        notes = machine.config.annotation + "call Ada first\n"
        wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation=notes)))
        view = connector.tag(identity, {"note": "", "env": "prod"})
        assert view.annotations == {**{k: v for k, v in SAYS.items() if k != "note"}, "env": "prod"}
        assert connector.tags(identity) == {**view.annotations, "backup": "daily"}
        (machine,) = raw.of(identity)
        now, before = machine.config.annotation.split("\n"), notes.split("\n")
        assert [a == b for a, b in zip(now, before, strict=True)] == [True, False, True, True], now


def test_without_the_option_a_machine_cannot_be_tagged(simulator: VsphereSimulator, spec: VmSpec) -> None:
    identity = uuid4()
    with connected(simulator) as connector:
        made = connector.create_vm(spec, identity)
        with pytest.raises(Unsupported, match="custom_attributes"):
            connector.tag(identity, {"env": "prod"})
        assert connector.get_vm(identity) == made

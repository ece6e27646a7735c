"""What an order says of its machine as XenServer's tags, read back by the vendor's binding."""

from typing import Any
from uuid import uuid4

import pytest

from connectors.contract import Connector, VmSpec
from connectors.simulators.xen import XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")


def test_annotations_are_tags_from_the_first_call_and_others_tags_stay(
    connector: Connector, simulator: XenSimulator, raw: Any, spec: VmSpec
) -> None:
    identity = uuid4()
    says = {"tierwise.tenant": "payroll", "note": "a=b & <ü>"}
    connector.create_vm(spec.model_copy(update={"annotations": says}), identity)
    (ref,) = raw.VM.get_by_name_label("web")
    assert sorted(raw.VM.get_tags(ref)) == ["note=a=b & <ü>", "tierwise.tenant=payroll"]
    assert "VM.set_tags" not in simulator.calls(), "there is no moment without them"
    raw.VM.add_tags(ref, "prod")
    connector.create_vm(spec, identity)
    assert connector.tags(identity) == {**says, "prod": ""}


def test_a_tag_that_xml_cannot_hold_is_left_out_and_the_annotation_is_kept(
    connector: Connector, spec: VmSpec
) -> None:
    identity = uuid4()
    says = {"good": "1", "odd": "a\x07b"}
    view = connector.create_vm(spec.model_copy(update={"annotations": says}), identity)
    assert view.annotations == says
    assert connector.tags(identity) == {"good": "1"}


def test_others_tags_and_marks_stay_when_tags_are_changed(
    connector: Connector, simulator: XenSimulator, raw: Any, spec: VmSpec
) -> None:
    identity = uuid4()
    says = {"tierwise.tenant": "payroll", "note": "old"}
    connector.create_vm(spec.model_copy(update={"annotations": says}), identity)
    (ref,) = raw.VM.get_by_name_label("web")
    raw.VM.add_tags(ref, "theirs")
    raw.VM.add_tags(ref, "env=theirs")
    raw.VM.add_to_other_config(ref, "theirs", "too")
    before = raw.VM.get_other_config(ref)
    connector.tag(identity, {"note": "", "env": "prod"})
    assert sorted(raw.VM.get_tags(ref)) == ["env=prod", "theirs", "tierwise.tenant=payroll"]
    after = raw.VM.get_other_config(ref)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "tierwise.annotations"
    }
    assert connector.get_vm(identity).annotations == {"tierwise.tenant": "payroll", "env": "prod"}
    raw.VM.remove_tags(ref, "env=prod")
    raw.VM.add_tags(ref, "env=theirs")
    raw.VM.remove_tags(ref, "tierwise.tenant=payroll")
    assert connector.get_vm(identity).annotations == {"env": "theirs"}, (
        "the inventory tells what others did"
    )
    connector.tag(identity, {"tierwise.tenant": "payroll", "env": "prod"})
    assert connector.get_vm(identity).annotations == {"tierwise.tenant": "payroll", "env": "prod"}
    before_calls = simulator.calls()
    connector.tag(identity, {"note": "", "env": "prod"})
    called = {name for name, count in simulator.calls().items() if count > before_calls.get(name, 0)}
    assert called & {"VM.add_tags", "VM.remove_tags", "VM.set_other_config"} == set(), "all is so already"

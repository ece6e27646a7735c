"""Tags of a machine that is there. xapi has a call to add one and a call to remove one."""

from collections.abc import Mapping

from connectors.contract import changed_tags
from connectors.drivers.xen import marks
from connectors.drivers.xen.estate import Machine
from connectors.drivers.xen.session import Op


def tag(op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
    """Make the machine's tags of these names what they are to be, and its annotations too."""
    wanted = marks.tags({name: value for name, value in changes.items() if value})
    there = [one for one in machine.record["tags"] if one.partition("=")[0] in changes]
    for one in wanted:
        if one not in there:
            op.call("VM.add_tags", machine.ref, one)
    for one in there:
        if one not in wanted:
            op.call("VM.remove_tags", machine.ref, one)
    before = marks.annotations(machine.record)
    after = changed_tags(before, changes)
    if after != before:
        config = {**machine.record["other_config"], marks.ANNOTATIONS: marks.annotations_text(after)}
        op.call("VM.set_other_config", machine.ref, config)

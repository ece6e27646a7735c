"""What an order says of its machine, where the vSphere Client shows it and finds machines by it.

As custom attributes or as tags, by the endpoint's options; in the machine's notes it stands in any case.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from catalog.capabilities import Capability
from connectors.contract import changed_tags
from connectors.drivers.vsphere import attributes, gaps, marks, tagging, tasks
from connectors.drivers.vsphere.estate import Machine
from connectors.drivers.vsphere.session import Op
from connectors.errors import Unsupported

Keys = Mapping[str, Any]
"""What vCenter knows each annotation by: the key of an attribute, or the id of a tag."""


class _Way(Protocol):
    """What the modules of both ways have."""

    def defined(self, op: Op, annotations: Mapping[str, str]) -> Keys:
        """See `defined` below."""

    def write(self, op: Op, machine: Machine, annotations: Mapping[str, str], keys: Keys) -> None:
        """See `write` below."""

    def change(self, op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
        """See `change` below."""

    def read(self, op: Op, machine: Machine) -> dict[str, str]:
        """See `read` below."""


def defined(op: Op, annotations: Mapping[str, str]) -> Keys:
    """What these annotations need in vCenter, made where it is not there; nothing where they are not wanted.

    Asked for before a machine is made, so that a missing privilege refuses it first.
    """
    way = _way(op)
    return way.defined(op, annotations) if way and annotations else {}


def write(op: Op, machine: Machine, annotations: Mapping[str, str], keys: Keys) -> None:
    """Write what the machine does not say of itself yet: a create that was cut off may have written a part."""
    way = _way(op)
    if way and keys:
        way.write(op, machine, annotations, keys)


def change(op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
    """Let the machine say these, and then its notes; an empty value takes one away. Raises Unsupported as `read`."""
    _wanted(op).change(op, machine, changes)
    identity, annotations = marks.read_notes(machine.row.get("config.annotation", ""))
    after = changed_tags(annotations, changes)
    if identity is not None and after != annotations:
        text = marks.noted_anew(machine.row["config.annotation"], identity, after)
        config = op.session.vim.vm.ConfigSpec(annotation=text)
        tasks.run(op, machine.object.ReconfigVM_Task(spec=config), machine.object)


def read(op: Op, machine: Machine) -> dict[str, str]:
    """All that it says there, by whomever. Raises Unsupported where neither is wanted."""
    return _wanted(op).read(op, machine)


def _way(op: Op) -> _Way | None:
    options = op.session.settings.options
    if options.tags:
        return tagging
    return attributes if options.custom_attributes else None


def _wanted(op: Op) -> _Way:
    way = _way(op)
    if way is None:
        raise Unsupported(op.endpoint, Capability.TAGS, gaps.NOT_SHOWN)
    return way

"""An order's annotations as custom attributes of its machine, which the vSphere Client shows and finds machines by."""

from collections.abc import Mapping
from typing import Any

from catalog.capabilities import Capability
from connectors.drivers.vsphere import gaps
from connectors.drivers.vsphere.estate import Machine
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.session import Op, read_object
from connectors.errors import Unsupported

Keys = Mapping[str, int]
"""vCenter's key of each attribute of this name."""


def defined(op: Op, names: Mapping[str, str]) -> Keys:
    """The attributes of these names, made where vCenter does not have them; none where they are not wanted.

    Asked for before a machine is made, so that a missing privilege refuses it first.
    """
    if not op.session.settings.options.custom_attributes or not names:
        return {}
    known = _known(op)
    for name in names:
        if name not in known:
            _define(op, name)
    if not names.keys() <= known.keys():
        known = _known(op)
    return {name: known[name] for name in names}


def write(op: Op, machine: Machine, annotations: Mapping[str, str], keys: Keys) -> None:
    """Write what the machine does not say of itself yet: a create that was cut off may have written a part."""
    missing = keys.keys() - _values(op, machine).keys() if keys else ()
    for name in sorted(missing):
        op.session.content.customFieldsManager.SetField(
            entity=machine.object, key=keys[name], value=annotations[name]
        )


def read(op: Op, machine: Machine) -> dict[str, str]:
    """All custom attributes of a machine that have a value. Raises Unsupported where they are not wanted."""
    if not op.session.settings.options.custom_attributes:
        raise Unsupported(op.endpoint, Capability.TAGS, gaps.NO_ATTRIBUTES)
    return _values(op, machine)


def _values(op: Op, machine: Machine) -> dict[str, str]:
    written = read_object(op.session, machine.object, ["customValue"]).get("customValue", ())
    values = {one.key: str(one.value) for one in written if one.value}
    return {name: values[key] for name, key in _known(op).items() if key in values}


def _known(op: Op) -> dict[str, int]:
    """Attributes of machines, and those of everything."""
    manager = op.session.content.customFieldsManager
    found = read_object(op.session, manager, ["field"]).get("field", ())
    kinds = (None, op.session.vim.VirtualMachine)
    return {str(one.name): one.key for one in found if one.managedObjectType in kinds}


def _define(op: Op, name: str) -> None:
    manager: Any = op.session.content.customFieldsManager
    try:
        manager.AddCustomFieldDef(name=name, moType=op.session.vim.VirtualMachine)
    except op.session.fault as fault:
        if not is_fault(fault, "DuplicateName"):  # another worker was quicker
            raise

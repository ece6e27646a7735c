"""An order's annotations as custom attributes of its machine, which the vSphere Client shows and finds machines by."""

from collections.abc import Mapping
from typing import Any

from connectors.drivers.vsphere.estate import Machine
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.session import Op, read_object

Keys = Mapping[str, int]
"""vCenter's key of each attribute of this name."""


def defined(op: Op, annotations: Mapping[str, str]) -> Keys:
    """The attributes of these names, made where vCenter does not have them."""
    known = _known(op)
    for name in annotations:
        if name not in known:
            _define(op, name)
    if not annotations.keys() <= known.keys():
        known = _known(op)
    return {name: known[name] for name in annotations}


def write(op: Op, machine: Machine, annotations: Mapping[str, str], keys: Keys) -> None:
    """Write what the machine does not say of itself yet: a create that was cut off may have written a part."""
    for name in sorted(keys.keys() - read(op, machine).keys()):
        op.session.content.customFieldsManager.SetField(
            entity=machine.object, key=keys[name], value=annotations[name]
        )


def change(op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
    """Make the machine's attributes of these names what they are to be.

    vCenter has no call to take a value away: an empty one is shown as none.
    """
    values = read(op, machine)
    keys = {**_known(op), **defined(op, {name: value for name, value in changes.items() if value})}
    for name, value in sorted(changes.items()):
        if value != values.get(name, ""):
            op.session.content.customFieldsManager.SetField(
                entity=machine.object, key=keys[name], value=value
            )


def read(op: Op, machine: Machine) -> dict[str, str]:
    """All custom attributes of a machine that have a value."""
    written = read_object(op.session, machine.object, ["customValue"]).get("customValue", ())
    # vCenter has one value of each; its simulator keeps the old ones before the new.
    values = {one.key: str(one.value) for one in written}
    return {name: values[key] for name, key in _known(op).items() if values.get(key)}


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

"""Taking a disk out of a machine, and removing it: what connects it goes first, so that no machine has half a disk.

A disk that a call which was cut off left unconnected is found by its key, which XenServer gives to no other.
"""

from typing import NamedTuple
from uuid import UUID

from connectors.contract import Disk
from connectors.drivers.xen import disks, marks
from connectors.drivers.xen.adding import check_state, refuse
from connectors.drivers.xen.electing import suppress_gone
from connectors.drivers.xen.estate import Machine
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import Op, Record
from connectors.removal import to_remove


class _Doomed(NamedTuple):
    """A disk that is to go."""

    ref: str
    record: Record


def remove(op: Op, machine: Machine, disk: Disk) -> None:
    """Remove a disk; nothing if it is gone. Raises Conflict."""
    name = machine.record["name_label"]
    found = to_remove(op.endpoint, name, disk, disks.details(op, machine).disks)
    doomed = _by_key(op, disk.key)
    if doomed is None or (found is None and not _was_ours(machine, doomed.record)):
        return
    if found is not None:
        check_state(op, machine)
    for vbd in _connections(op, machine, doomed):
        _disconnect(op, machine, vbd)
    with suppress_gone(op):
        op.call("VDI.destroy", doomed.ref)


def _by_key(op: Op, key: str) -> _Doomed | None:
    try:
        ref = op.call("VDI.get_by_uuid", key)
        return _Doomed(ref, op.call("VDI.get_record", ref))
    except op.session.failure as failure:
        if code_of(failure) != "UUID_INVALID" and not op.gone(failure):
            raise
        return None


def _was_ours(machine: Machine, record: Record) -> bool:
    """Whether a disk that is connected with nothing was added to this machine."""
    identity = marks.claim(machine.record)
    assert isinstance(identity, UUID), machine.ref
    return record["name_label"] == marks.added_name(identity) and not record["VBDs"]


def _connections(op: Op, machine: Machine, doomed: _Doomed) -> list[str]:
    """What connects the disk. Raises Conflict where another machine has it too."""
    connections = [str(vbd) for vbd in doomed.record["VBDs"]]
    if any(op.call("VBD.get_VM", vbd) != machine.ref for vbd in connections):
        what = f"shares disk '{doomed.record['uuid']}' with another machine"
        refuse(op, machine, what, "disconnect it there first")
    return connections


def _disconnect(op: Op, machine: Machine, vbd: str) -> None:
    with suppress_gone(op):
        if machine.power == "Running":
            _unplug(op, vbd)
        op.call("VBD.destroy", vbd)


def _unplug(op: Op, vbd: str) -> None:
    try:
        op.call("VBD.unplug", vbd)
    except op.session.failure as failure:
        if code_of(failure) != "DEVICE_ALREADY_DETACHED":  # by a call that was cut off, or by its guest
            raise

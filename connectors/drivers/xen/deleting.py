"""The end of a machine: its snapshots, itself, and its disks, whatever was left by a call before."""

from uuid import UUID

from connectors.drivers.xen import filling, marks, tasks
from connectors.drivers.xen.electing import remove_record, suppress_gone
from connectors.drivers.xen.estate import disks, find_all, read_machine
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.errors import Conflict

LOOKS = 3
"""How often a machine is read that changes meanwhile."""


def delete(op: Op, identity: UUID) -> None:
    """Remove all machines that claim the identity, their snapshots and their disks.

    A call that was cut off leaves disks at most; they are found by their name the next time. Copies of the machine
    that somebody made have disks of that name too, but have them connected.
    """
    op.session.refs.pop(identity, None)
    doomed: list[str] = []
    for machine in find_all(op, identity):
        doomed += _removed(op, machine.ref, machine.record)
    for name in (marks.disk_name(identity), marks.added_name(identity)):
        doomed += [disk for disk in op.call("VDI.get_by_name_label", name) if _is_loose(op, disk)]
    for disk in dict.fromkeys(doomed):
        filling.stop(op, disk)
        with suppress_gone(op):
            op.call("VDI.destroy", disk)


def _is_loose(op: Op, disk: str) -> bool:
    connected: list[str] = []
    with suppress_gone(op):
        connected = op.call("VDI.get_VBDs", disk)
    return not connected


def _removed(op: Op, ref: str, record: Record) -> list[str]:
    """Remove one machine and its snapshots; the disks that they had.

    Where a part of it is gone, as a snapshot that somebody else removes at that moment, the machine is read again.
    """
    found: list[str] = []
    for _ in range(LOOKS):
        try:
            _emptied(op, ref, record, found)
        except op.session.failure as failure:
            if not op.gone(failure):
                raise
            now = read_machine(op, ref)
            if now is None:
                return []  # another worker is removing it, or did
            record = now
        else:
            remove_record(op, ref)
            return found
    why = f"a part of machine '{record['name_label']}' was gone each time that it was read"
    raise op.error(Conflict, why, hint="look at its disks and snapshots, and repeat the call")


def _emptied(op: Op, ref: str, record: Record, found: list[str]) -> None:
    """Remove a machine's snapshots and switch it off; its disks and theirs are added to those that were found."""
    found += [disk for disk, _ in disks(op, record)]
    for snapshot in record["snapshots"]:
        taken = op.call("VM.get_record", snapshot)
        found += [disk for disk, _ in disks(op, taken)]
        if taken["suspend_VDI"] != NULL:
            found.append(taken["suspend_VDI"])
        remove_record(op, snapshot)
    if record["power_state"] != "Halted":
        _shut_down(op, ref)


def _shut_down(op: Op, ref: str) -> None:
    try:
        tasks.run(op, "VM.hard_shutdown", ref)
    except op.session.failure as failure:
        if code_of(failure) == "OTHER_OPERATION_IN_PROGRESS":
            tasks.await_idle(op, ref)
            if op.call("VM.get_power_state", ref) == "Halted":
                return
        if code_of(failure) != "VM_BAD_POWER_STATE":  # somebody else was quicker
            raise

"""Snapshots of one machine."""

from uuid import UUID

from connectors.contract import VmSnapshot
from connectors.drivers.xen import marks, tasks
from connectors.drivers.xen.electing import remove_record, suppress_gone
from connectors.drivers.xen.estate import Machine, disks, moment
from connectors.drivers.xen.session import NULL, Op, Record, Records
from connectors.errors import NotFound
from connectors.removal import only_snapshot


def taken(op: Op, machine: Machine) -> dict[str, Record]:
    """All snapshots by reference, oldest first.

    Their times are whole seconds; within one second the chain of parents, which xapi keeps, says which
    came first.
    """
    found = {ref: op.call("VM.get_record", ref) for ref in machine.record["snapshots"]}
    order = sorted(found, key=lambda ref: (str(found[ref]["snapshot_time"]), _depth(found, ref), ref))
    return {ref: found[ref] for ref in order}


def views(op: Op, machine: Machine) -> list[VmSnapshot]:
    """The same for a listing."""
    found = taken(op, machine)
    return [
        VmSnapshot(
            name=record["name_label"],
            taken_at=moment(record["snapshot_time"]),
            parent=found[record["parent"]]["name_label"] if record["parent"] in found else "",
            current=ref == machine.record["parent"],
        )
        for ref, record in found.items()
    ]


def _depth(found: Records, ref: str) -> int:
    depth, parent = 0, found[ref]["parent"]
    while parent != NULL and parent in found and depth <= len(found):
        depth, parent = depth + 1, found[parent]["parent"]
    return depth


def snapshot(op: Op, machine: Machine, name: str) -> None:
    """Keep settings and disks, not the memory; nothing if the name exists."""
    if all(record["name_label"] != name for record in taken(op, machine).values()):
        tasks.run(op, "VM.snapshot", machine.ref, name)


def revert(op: Op, machine: Machine, name: str) -> None:
    """Go back to the oldest snapshot of that name; the machine is off afterwards. Raises NotFound."""
    found = taken(op, machine)
    named = [ref for ref, record in found.items() if record["name_label"] == name]
    if not named:
        there = ", ".join(f"'{record['name_label']}'" for record in found.values()) or "none"
        raise op.error(NotFound, f"there is no snapshot '{name}'; there are: {there}")
    tasks.run(op, "VM.revert", named[0])


def delete(op: Op, machine: Machine, name: str) -> None:
    """Remove one snapshot, then its disks; what a call that was cut off left of them goes too. Raises Conflict.

    The snapshot goes first, as nobody must go back to one that has lost its disks.
    """
    named = [(ref, one) for ref, one in taken(op, machine).items() if one["name_label"] == name]
    found = only_snapshot(op.endpoint, machine.record["name_label"], name, named)
    doomed: list[str] = []
    if found is not None:
        ref, record = found
        doomed = _marked(op, record)
        if record["suspend_VDI"] != NULL:
            doomed.append(record["suspend_VDI"])
        remove_record(op, ref)
    for disk in dict.fromkeys([*doomed, *_left(op, machine)]):
        with suppress_gone(op):
            op.call("VDI.destroy", disk)


def _marked(op: Op, record: Record) -> list[str]:
    """The disks that only this snapshot has, each with a mark by which it is found when the snapshot is gone."""
    own = set(record["VBDs"])
    found = [
        (ref, disk) for ref, disk in disks(op, record) if disk["is_a_snapshot"] and set(disk["VBDs"]) <= own
    ]
    for ref, disk in found:
        op.call("VDI.remove_from_other_config", ref, marks.DELETING)
        op.call("VDI.add_to_other_config", ref, marks.DELETING, disk["uuid"])
    return [ref for ref, _ in found]


def _left(op: Op, machine: Machine) -> list[str]:
    """Disks of snapshots that are gone; those that others took of a disk alone have no such mark."""
    identity = marks.claim(machine.record)
    assert isinstance(identity, UUID), machine.ref
    found = []
    for label in (marks.disk_name(identity), marks.added_name(identity)):
        for ref in op.call("VDI.get_by_name_label", label):
            with suppress_gone(op):
                disk = op.call("VDI.get_record", ref)
                if disk["other_config"].get(marks.DELETING) == disk["uuid"] and not disk["VBDs"]:
                    found.append(str(ref))
    return found

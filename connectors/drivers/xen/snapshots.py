"""Snapshots of one machine."""

from connectors.drivers.xen import tasks
from connectors.drivers.xen.estate import Machine
from connectors.drivers.xen.session import NULL, Op, Record, Records
from connectors.errors import NotFound


def taken(op: Op, machine: Machine) -> dict[str, Record]:
    """All snapshots by reference, oldest first.

    Their times are whole seconds; within one second the chain of parents, which xapi keeps, says which
    came first.
    """
    found = {ref: op.call("VM.get_record", ref) for ref in machine.record["snapshots"]}
    order = sorted(found, key=lambda ref: (str(found[ref]["snapshot_time"]), _depth(found, ref), ref))
    return {ref: found[ref] for ref in order}


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

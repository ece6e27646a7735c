"""Moving a machine's disk to another storage repository of its pool.

While the machine runs xapi mirrors the disk (VDI.pool_migrate), which exchanges it by itself. Of a machine that is
off the disk is copied (VDI.copy), and then the copy takes its place: the old connection is removed, which succeeds
for one worker only, and one to the copy is made. A worker that dies between the two leaves a machine without its
disk: the old disk is there and names the copy, which is whole, and the next call connects that.

The old disk has a mark while it is copied, which VDI.copy gives the copy too. So what is left behind can be told from
a copy that somebody else made of the disk.
"""

from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from catalog.capabilities import Capability
from connectors.contract import Tell
from connectors.drivers.xen import gaps, inventory, marks, tasks
from connectors.drivers.xen.electing import suppress_gone
from connectors.drivers.xen.estate import Machine, pool_record, provider_name, records
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.protecting import RESTART
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.errors import Conflict, NotFound, Refused, Unsupported

MIB = 1 << 20


class Place(NamedTuple):
    """A storage repository to move to, the hosts that see it, and whether one of the pool's hosts sees two."""

    ref: str
    record: Record
    hosts: frozenset[str]
    second: bool


class Attached(NamedTuple):
    """The disk that was made with a machine, and what connects it."""

    vbd: str
    connection: Record
    vdi: str
    record: Record


def relocate(op: Op, machine: Machine, storage: str, tell: Tell) -> None:
    """Bring the disk there; nothing if it is there. Raises NotFound, Conflict, Refused, Unsupported."""
    identity = marks.claim(machine.record)
    assert identity is not None, machine.ref
    place = _place(op, storage)
    disk = _own_disk(op, machine, identity)
    if disk.record["SR"] != place.ref:
        if not place.second:
            raise _one_storage(op)
        _check(op, machine, disk, place)
        if machine.power == "Running":
            vdi = _mirrored(op, machine, disk, place, tell)
        else:
            vdi = _exchanged(op, machine, disk, place, tell)
        op.session.deadline.begin()
        _name(op, vdi, identity)
        tell(int(disk.record["virtual_size"]))
    else:
        vdi = disk.vdi
    _unmark(op, vdi)
    _clear(op, identity)


def _place(op: Op, storage: str) -> Place:
    pbds = records(op, "PBD")
    srs = inventory.usable_srs(records(op, "SR"), pbds)
    second = inventory.has_second_sr(srs, pbds)
    found = [ref for ref, sr in srs.items() if storage in {sr["name_label"], sr["uuid"]}]
    if not found:
        if not second:
            raise _one_storage(op)
        known = ", ".join(sorted(sr["name_label"] for sr in srs.values()))
        why = f"there is no storage repository '{storage}' that is attached"
        raise op.error(NotFound, why, hint=f"the pool's are {known}")
    if len(found) > 1:
        why = f"there are {len(found)} storage repositories '{storage}'"
        raise op.error(Refused, why, hint="name one by its uuid")
    hosts = [pbd["host"] for pbd in pbds.values() if pbd["SR"] == found[0] and pbd["currently_attached"]]
    return Place(found[0], srs[found[0]], frozenset(hosts), second)


def _one_storage(op: Op) -> Unsupported:
    gap = gaps.one_storage(provider_name(op, pool_record(op)))
    return Unsupported(op.endpoint, Capability.STORAGE_MIGRATE, gap)


def _own_disk(op: Op, machine: Machine, identity: UUID) -> Attached:
    """The disk that was made with the machine; others stay where they are. Connects it where a worker died."""
    found = _attached(op, machine, identity)
    if found is None and machine.power == "Halted":
        _heal(op, machine, identity)
        found = _attached(op, machine, identity)
    if found is None:
        why = f"machine {identity} has no disk that tierwise made"
        raise op.error(Refused, why, hint="move its disks with XenCenter or xe")
    return found


def _attached(op: Op, machine: Machine, identity: UUID) -> Attached | None:
    for vbd in op.call("VM.get_VBDs", machine.ref):
        connection = op.call("VBD.get_record", vbd)
        if connection["type"] == "Disk" and connection["VDI"] != NULL:
            record = op.call("VDI.get_record", connection["VDI"])
            if record["name_label"] == marks.disk_name(identity):
                return Attached(vbd, connection, connection["VDI"], record)
    return None


def _heal(op: Op, machine: Machine, identity: UUID) -> None:
    """Connect the copy that a worker had made, and not connected, before it died."""
    loose = _loose(op, identity)
    for record in loose.values():
        noted = record["other_config"].get(marks.MOVED, "")
        copy = next((vdi for vdi, one in loose.items() if one["uuid"] == noted), None)
        if copy is not None and marks.MOVING in record["other_config"]:
            given = marks.read_connection(record["other_config"][marks.MOVING])
            op.call("VBD.create", _connection(machine.ref, copy, given))
            return


def _loose(op: Op, identity: UUID) -> dict[str, Record]:
    """Disks of the machine that nothing is connected with."""
    found = {}
    for vdi in op.call("VDI.get_by_name_label", marks.disk_name(identity)):
        with suppress_gone(op):
            record = op.call("VDI.get_record", vdi)
            if not record["VBDs"] and not record["is_a_snapshot"]:
                found[vdi] = record
    return found


def _check(op: Op, machine: Machine, disk: Attached, place: Place) -> None:
    """What can be told before. Raises Conflict, Refused."""
    name, sr = machine.record["name_label"], place.record["name_label"]
    if machine.power not in {"Running", "Halted"}:
        why = f"machine '{name}' is {machine.power.lower()}"
        raise op.error(Conflict, why, hint="power it on or off first", code="VM_BAD_POWER_STATE")
    if machine.record["snapshots"]:
        why = f"machine '{name}' has snapshots, whose disks belong to the one that would be moved"
        raise op.error(Conflict, why, hint="delete them first")
    if marks.FILL in disk.record["other_config"]:
        why = f"the disk of machine '{name}' is still being filled from its template"
        raise op.error(Conflict, why, hint="repeat its creation first")
    resident = machine.record["resident_on"]
    if resident not in {NULL, *place.hosts}:
        why = f"the host of machine '{name}' does not see storage repository '{sr}'"
        raise op.error(Refused, why, hint="move the machine to a host that does", code="VM_REQUIRES_SR")
    takes, free = int(disk.record["physical_utilisation"]), inventory.free_bytes(place.record)
    if takes > free:
        why = f"storage repository '{sr}' has {free // MIB} MiB free, and the disk takes {takes // MIB} MiB"
        raise op.error(Refused, why, hint="free space there, or choose another", code="SR_FULL")
    _check_ha(op, machine, place)


def _check_ha(op: Op, machine: Machine, place: Place) -> None:
    promised = machine.record["ha_restart_priority"] == RESTART and pool_record(op)["ha_enabled"]
    everywhere = place.record["shared"] and place.hosts >= records(op, "host").keys()
    if promised and not everywhere:
        why = f"HA could not restart machine '{machine.record['name_label']}' from storage that not all hosts share"
        hint = "choose a shared storage repository, or take its restart priority away"
        raise op.error(Refused, why, hint=hint, code="HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED")


def _mirrored(op: Op, machine: Machine, disk: Attached, place: Place, tell: Tell) -> str:
    """The new disk of a machine that runs."""
    try:
        return tasks.run_long(op, _telling(disk, tell), "VDI.pool_migrate", disk.vdi, place.ref, {})
    except op.session.failure as failure:
        # Somebody else may be bringing it there.
        if code_of(failure) != "OTHER_OPERATION_IN_PROGRESS":
            raise
        tasks.await_idle(op, machine.ref)
        vdi = str(op.call("VBD.get_VDI", disk.vbd))
        if op.call("VDI.get_SR", vdi) != place.ref:
            raise
        return vdi


def _exchanged(op: Op, machine: Machine, disk: Attached, place: Place, tell: Tell) -> str:
    """The copy that a machine that is off has in its disk's place."""
    identity = marks.claim(machine.record)
    assert identity is not None, machine.ref
    # What an earlier try left must not be taken for this one's.
    _unmark(op, disk.vdi)
    _clear(op, identity)
    started = _last_start(op, machine)
    _mark(op, disk, marks.MOVING, marks.connection(disk.connection))
    copy = ""
    try:
        copy = tasks.run_long(op, _telling(disk, tell), "VDI.copy", disk.vdi, place.ref, NULL, NULL)
        op.session.deadline.begin()
        _check_untouched(op, machine, disk, started)
        _mark(op, disk, marks.MOVED, str(op.call("VDI.get_uuid", copy)))
        # Only one worker can; and only while the machine is off.
        op.call("VBD.destroy", disk.vbd)
        _connect(op, machine, copy, disk)
    except Exception:
        with suppress(*op.session.failures), op.session.deadline.cleanup():
            if op.session.open:
                _give_up(op, disk, copy)
        raise
    with suppress_gone(op):
        op.call("VDI.destroy", disk.vdi)
    return copy


def _give_up(op: Op, disk: Attached, copy: str) -> None:
    """Remove a copy that nothing is connected with, as what was done before an answer was lost may be all of it."""
    if copy and not op.call("VDI.get_VBDs", copy):
        op.call("VDI.destroy", copy)
    if op.call("VDI.get_VBDs", disk.vdi):
        _unmark(op, disk.vdi)


def _mark(op: Op, disk: Attached, mark: str, value: str) -> None:
    """Write a mark on the disk. Raises Conflict where another worker was quicker."""
    try:
        op.call("VDI.add_to_other_config", disk.vdi, mark, value)
    except op.session.failure as failure:
        if code_of(failure) != "MAP_DUPLICATE_KEY":
            raise
        why = "another call moves the disk"
        raise op.error(
            Conflict, why, hint="repeat when that is done", code="MAP_DUPLICATE_KEY"
        ) from failure


def _unmark(op: Op, vdi: str) -> None:
    """Take the marks of a move from a disk that is in its place."""
    config = op.call("VDI.get_other_config", vdi)
    for mark in (marks.MOVED, marks.MOVING):
        if mark in config:
            op.call("VDI.remove_from_other_config", vdi, mark)


def _connect(op: Op, machine: Machine, copy: str, disk: Attached) -> None:
    """Connect the copy; the old disk again where that is refused."""
    given = marks.read_connection(marks.connection(disk.connection))
    try:
        op.call("VBD.create", _connection(machine.ref, copy, given))
    except op.session.failure:
        with suppress_gone(op):
            if op.call("VDI.get_VBDs", copy):  # another worker took this one for dead, and connected it
                return
        op.call("VBD.create", _connection(machine.ref, disk.vdi, given))
        raise


def _last_start(op: Op, machine: Machine) -> tuple[str, str]:
    """What differs when the machine ran in between."""
    state = str(op.call("VM.get_power_state", machine.ref))
    return state, str(op.call("VM_metrics.get_start_time", machine.record["metrics"]))


def _check_untouched(op: Op, machine: Machine, disk: Attached, started: tuple[str, str]) -> None:
    """Raises Conflict where the copy may lack what was written since it began."""
    now = op.call("VDI.get_record", disk.vdi)
    config = {key: value for key, value in now["other_config"].items() if key != marks.MOVING}
    kept = {key: value for key, value in disk.record["other_config"].items() if key not in marks.OF_MOVES}
    same = all(now[field] == disk.record[field] for field in ("virtual_size", "snapshots"))
    same = same and config == kept
    if not same or _last_start(op, machine) != started:
        why = "the machine was started, or its disk changed, while it was copied"
        raise op.error(Conflict, why, hint="repeat it; a machine that runs is moved too")


def _connection(machine: str, vdi: str, given: Record) -> Record:
    return {**given, "VM": machine, "VDI": vdi}


def _telling(disk: Attached, tell: Tell) -> tasks.Further:
    size = int(disk.record["virtual_size"])
    return lambda progress: tell(int(size * min(progress, 1.0)))


def _name(op: Op, vdi: str, identity: UUID) -> None:
    """Let the new disk be known by what the old one was, where xapi did not see to it."""
    record = op.call("VDI.get_record", vdi)
    if record["name_label"] != marks.disk_name(identity):
        op.call("VDI.set_name_label", vdi, marks.disk_name(identity))
    if marks.IDENTITY not in record["other_config"]:
        op.call("VDI.add_to_other_config", vdi, marks.IDENTITY, str(identity))


def _clear(op: Op, identity: UUID) -> None:
    """Remove what earlier tries left behind; not what is in use, nor what somebody else made."""
    for vdi, record in _loose(op, identity).items():
        if marks.MOVING in record["other_config"]:
            with suppress(op.session.failure):
                op.call("VDI.destroy", vdi)

"""Further disks of a machine, and the growth of single ones.

A disk's name is written on what connects it (`VBD.other_config`). All that were added to a machine have one label, by which those are
found that a call that was cut off left behind.
"""

from contextlib import suppress
from typing import NamedTuple, NoReturn
from uuid import UUID

from catalog.capabilities import Capability
from connectors.contract import NewDisk
from connectors.drivers.xen import gaps, inventory, marks, placing
from connectors.drivers.xen.creating import connection
from connectors.drivers.xen.estate import Machine, disks, pool_record, records
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.inventory import GIB
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.errors import Conflict, NotFound, Unsupported


class Plugged(NamedTuple):
    """A disk of a machine, and what connects it."""

    vbd: str
    connected: Record
    vdi: str
    record: Record


def add(op: Op, machine: Machine, disk: NewDisk) -> None:
    """Add a disk, and plug it into a machine that runs; nothing if it is there. Raises Conflict, Refused."""
    there = _named(op, machine, disk.name)
    if there is None:
        check_state(op, machine)
        there = _connected(op, machine, disk)
    elif int(there.record["virtual_size"]) != disk.size_gib * GIB:
        has_gib = -(-int(there.record["virtual_size"]) // GIB)
        refuse(op, machine, f"has a disk '{disk.name}' of {has_gib} GiB", "grow it, or choose another name")
    if marks.ADDING in there.record["other_config"]:
        op.call("VDI.remove_from_other_config", there.vdi, marks.ADDING)
    if machine.power == "Running" and not there.connected["currently_attached"]:
        _plug(op, there)


def grow(op: Op, machine: Machine, key: str, size_gib: int) -> None:
    """Grow a disk; nothing if it has that size. Raises NotFound, Conflict, Unsupported."""
    found = {disk["uuid"]: (ref, disk) for ref, disk in disks(op, machine.record)}
    if machine.power == "Running" and not found.get(key):
        _need_online(op, None)
    if key not in found:
        there = ", ".join(f"'{uuid}'" for uuid in found) or "none"
        raise op.error(NotFound, f"the machine has no disk '{key}'; there are: {there}")
    ref, disk = found[key]
    has, wanted = int(disk["virtual_size"]), size_gib * GIB
    if machine.power == "Running":
        _need_online(op, disk["SR"])
    if wanted == has:
        return
    if wanted < has:
        what = f"has a disk '{key}' of {-(-has // GIB)} GiB, which cannot shrink to {size_gib} GiB"
        refuse(op, machine, what, "ask for at least its present size")
    check_state(op, machine)
    op.call("VDI.resize_online" if machine.power == "Running" else "VDI.resize", ref, wanted)


def _need_online(op: Op, sr: str | None) -> None:
    """Raises Unsupported where the disk's storage, or that of new disks, cannot grow what is in use."""
    srs = inventory.usable_srs(records(op, "SR"), records(op, "PBD"))
    chosen = sr or inventory.chosen_sr(pool_record(op), srs, op.session.settings.options)
    if not inventory.can_resize_online(srs.get(chosen) if chosen else None, records(op, "SM")):
        raise Unsupported(op.endpoint, Capability.GROW_DISK_HOT, gaps.NO_ONLINE_RESIZE)


def _named(op: Op, machine: Machine, name: str) -> Plugged | None:
    for vbd in op.call("VM.get_VBDs", machine.ref):
        connected = op.call("VBD.get_record", vbd)
        if connected["VDI"] != NULL and connected["other_config"].get(marks.LABEL) == name:
            return Plugged(vbd, connected, connected["VDI"], op.call("VDI.get_record", connected["VDI"]))
    return None


def check_state(op: Op, machine: Machine) -> None:
    """Raises Conflict for a machine whose disks have to stay as they are."""
    if machine.power not in {"Running", "Halted"}:
        refuse(op, machine, f"is {machine.power.lower()}", "power it on or off first")
    if machine.record["snapshots"]:
        what = "has snapshots, with which its disks stay as they are"
        refuse(op, machine, what, "delete them first")


def _connected(op: Op, machine: Machine, disk: NewDisk) -> Plugged:
    """A new disk connected with the machine; taken back where that is refused, or another worker was quicker."""
    identity = marks.claim(machine.record)
    assert identity is not None, machine.ref
    sr = placing.storage(op, pool_record(op), disk.size_gib)
    number = _free_number(op, machine)
    _clear(op, identity, disk.name)
    vdi = op.call("VDI.create", _disk(machine, disk, sr, identity))
    try:
        wanted = {**connection(machine.ref, vdi, number), "other_config": {marks.LABEL: disk.name}}
        vbd = op.call("VBD.create", wanted)
    except op.session.failure as failure:
        _destroy(op, vdi)
        there = _named(op, machine, disk.name) if code_of(failure) == "DEVICE_ALREADY_EXISTS" else None
        if there is None:
            raise
        return there
    return Plugged(vbd, op.call("VBD.get_record", vbd), vdi, op.call("VDI.get_record", vdi))


def _free_number(op: Op, machine: Machine) -> str:
    """The number after all that are taken, so that a guest sees disks in the order of their adding."""
    taken = [int(op.call("VBD.get_userdevice", vbd)) for vbd in op.call("VM.get_VBDs", machine.ref)]
    last = max(taken, default=-1)
    free = [int(number) for number in op.call("VM.get_allowed_VBD_devices", machine.ref)]
    later = [number for number in free if number > last]
    if not later:
        refuse(op, machine, f"has no number free for a disk after {last}", "grow one of its disks")
    return str(min(later))


def _disk(machine: Machine, disk: NewDisk, sr: str, identity: UUID) -> Record:
    return {
        "name_label": marks.added_name(identity),
        "name_description": f"disk {disk.name} of {machine.record['name_label']}",
        "SR": sr,
        "virtual_size": str(disk.size_gib * GIB),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {
            marks.IDENTITY: str(identity),
            marks.EMPTY: "yes",
            marks.LABEL: disk.name,
            marks.ADDING: "yes",
        },
    }


def _clear(op: Op, identity: UUID, name: str) -> None:
    """Remove a disk of this name that a call that was cut off never connected."""
    for vdi in op.call("VDI.get_by_name_label", marks.added_name(identity)):
        with suppress(op.session.failure):
            record = op.call("VDI.get_record", vdi)
            unused = not record["VBDs"] and marks.ADDING in record["other_config"]
            if unused and record["other_config"].get(marks.LABEL) == name:
                op.call("VDI.destroy", vdi)


def _plug(op: Op, disk: Plugged) -> None:
    """Let the guest see it; a disk that it cannot see goes again."""
    try:
        op.call("VBD.plug", disk.vbd)
    except op.session.failure as failure:
        if code_of(failure) == "DEVICE_ALREADY_ATTACHED":  # another worker was quicker
            return
        with suppress(op.session.failure):
            op.call("VBD.destroy", disk.vbd)
            _destroy(op, disk.vdi)
        raise


def _destroy(op: Op, vdi: str) -> None:
    with suppress(op.session.failure):  # what failed first is what is told
        op.call("VDI.destroy", vdi)


def refuse(op: Op, machine: Machine, what: str, hint: str) -> NoReturn:
    """Raises Conflict."""
    raise op.error(Conflict, f"machine '{machine.record['name_label']}' {what}", hint=hint)

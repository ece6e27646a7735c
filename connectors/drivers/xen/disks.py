"""What a machine is made of, and the content of its disks over HTTP.

xapi writes the holes of a VHD to a disk as it finds them: what stood there before stays. So a VHD goes as it is
only to a disk on which nothing stands yet, which is one that the driver made, wrote to nowhere, and whose
machine never ran. To any other disk the whole content goes, holes as zeros.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple
from uuid import UUID

from connectors.contract import Disk, DiskFormat, Firmware, NetworkCard, Tell, VmDetails
from connectors.drivers.xen import estate, inventory, marks, tasks, vhd
from connectors.drivers.xen.faults import of_failure
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.drivers.xen.web import Exchange, Wanted, exchange
from connectors.errors import Conflict, NotFound, Refused, Unreachable

BUS, CARD_MODEL = "xvd", "netfront"
READ_AT_ONCE = 1 << 20
NEVER = "19700101T00:00:00Z"


def details(op: Op, machine: estate.Machine) -> VmDetails:
    """Firmware, disks in the order of their numbers, and cards."""
    record = machine.record
    firmware = inventory.firmware(record)
    labels = estate.labels(op, record)
    return VmDetails(
        firmware=firmware,
        secure_boot=firmware is Firmware.UEFI and record["platform"].get("secureboot") == "true",
        disks=tuple(
            Disk(
                key=disk["uuid"],
                size_bytes=int(disk["virtual_size"]),
                bus=BUS,
                name=labels.get(ref, ""),
            )
            for ref, disk in estate.disks(op, record)
        ),
        cards=tuple(_cards(op, record)),
        guest_tools=_guest_tools(op, record),
    )


def _cards(op: Op, record: Record) -> Iterator[NetworkCard]:
    cards = [op.call("VIF.get_record", vif) for vif in record["VIFs"]]
    for card in sorted(cards, key=lambda one: int(one["device"])):
        name = "" if card["network"] == NULL else op.call("network.get_name_label", card["network"])
        yield NetworkCard(mac=card["MAC"].lower(), model=CARD_MODEL, network=name)


def _guest_tools(op: Op, record: Record) -> str:
    if record["guest_metrics"] == NULL:
        return ""
    metrics = op.call("VM_guest_metrics.get_record", record["guest_metrics"])
    version = metrics["PV_drivers_version"]
    if not (metrics["PV_drivers_detected"] or version):
        return ""
    numbers = [version[part] for part in ("major", "minor", "micro") if part in version]
    return " ".join(["XenServer VM Tools", ".".join(numbers)]).strip()


class _Attached(NamedTuple):
    """A disk of a machine that is off."""

    ref: str
    record: Record
    machine: estate.Machine

    @property
    def size_bytes(self) -> int:
        return int(self.record["virtual_size"])


def _need_disk(op: Op, identity: UUID, key: str) -> _Attached:
    """The disk of this key. Raises NotFound, and Conflict where its machine is not off."""
    machine = estate.need_machine(op, identity)
    found = {disk["uuid"]: (ref, disk) for ref, disk in estate.disks(op, machine.record)}
    if key not in found:
        there = ", ".join(f"'{uuid}'" for uuid in found) or "none"
        raise op.error(NotFound, f"machine {identity} has no disk '{key}'; it has: {there}")
    if machine.power != "Halted":
        why = f"the machine is {machine.power.lower()}, and disks are carried while it is off"
        raise op.error(Conflict, why, hint="shut it down first")
    return _Attached(*found[key], machine)


def export_disk(op: Op, identity: UUID, key: str, form: DiskFormat, to: BinaryIO, tell: Tell) -> None:
    """Write a disk's content into a file; the task says whether all of it came."""
    disk = _need_disk(op, identity, key)
    label = f"tierwise: export of disk {key}"
    with tasks.removed(op, op.call("task.create", label, "")) as task:
        query = {"task_id": task.ref, "vdi": disk.ref, "format": form.value}
        wanted = Wanted("GET", "/export_raw_vdi", query)
        with exchange(op, op.session.master, wanted, task) as found, _begun(op, task):
            done, tail = _received(op, found, to, tell)
            whole = done == disk.size_bytes if form is DiskFormat.RAW else tail.startswith(vhd.COOKIE)
            _check_whole(op, task, done, whole=whole)
        with _begun(op, task):
            op.session.deadline.begin()
            task.result()


def _received(op: Op, found: Exchange, to: BinaryIO, tell: Tell) -> tuple[int, bytes]:
    """Carry the content, each part with the whole time limit; its length, and its last sector."""
    done, tail = 0, b""
    while True:
        op.session.deadline.begin()
        part = found.answer.read1(READ_AT_ONCE)
        if not part:
            return done, tail
        with _local(op, "written"):
            to.write(part)
        done += len(part)
        tail = (tail + part)[-vhd.SECTOR :]
        tell(done)


def _check_whole(op: Op, task: tasks.Task, done: int, *, whole: bool) -> None:
    """A content of no stated length just ends. Raises what the task failed with, or Unreachable."""
    if whole:
        return
    op.session.deadline.begin()
    failure = task.failure()
    if failure is not None:
        raise failure
    why = f"the member ended the disk's content too early, after {done} bytes"
    raise op.error(Unreachable, why, hint="repeat the call")


class _Upload(NamedTuple):
    """What is sent: its format in xapi's words, its length, and its parts."""

    form: str
    length: int
    parts: Iterable[bytes]


def import_disk(op: Op, identity: UUID, key: str, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
    """Replace a disk's content; the task says whether all of it was written."""
    disk = _need_disk(op, identity, key)
    try:
        with _local(op, "read"):
            upload = _upload(op, disk, form, source)
    except vhd.NotVhd as error:
        raise op.error(Conflict, str(error), hint="convert it with qemu-img") from error
    label = f"tierwise: import to disk {key}"
    with tasks.removed(op, op.call("task.create", label, "")) as task:
        query = {"task_id": task.ref, "vdi": disk.ref, "format": upload.form}
        wanted = Wanted("PUT", "/import_raw_vdi", query, upload.length)
        with exchange(op, op.session.master, wanted, task) as found, _begun(op, task):
            # Before the first part: whatever happens from now on, the disk is not empty any more.
            op.call("VDI.remove_from_other_config", disk.ref, marks.EMPTY)
            _send(op, found, upload, tell)
            op.session.deadline.begin()
            task.result()


def _upload(op: Op, disk: _Attached, form: DiskFormat, source: BinaryIO) -> _Upload:
    """How a file is sent. Raises Conflict where its size is not the disk's, and NotVhd."""
    if form is DiskFormat.RAW:
        length = source.seek(0, os.SEEK_END)
        _check_size(op, disk, length)
        return _Upload("raw", length, vhd.parts(source, length))
    image = vhd.opened(source)
    _check_size(op, disk, image.size_bytes)
    if image.fixed or not _is_empty(op, disk):
        return _Upload("raw", image.size_bytes, vhd.expanded(source, image))
    length = source.seek(0, os.SEEK_END)
    return _Upload("vhd", length, vhd.parts(source, length))


def _check_size(op: Op, disk: _Attached, size_bytes: int) -> None:
    if size_bytes != disk.size_bytes:
        why = f"the file is a disk of {size_bytes} bytes, and the machine's disk has {disk.size_bytes}"
        raise op.error(Conflict, why, hint="give the machine a disk of the file's size")


def _is_empty(op: Op, disk: _Attached) -> bool:
    """Whether nothing stands on a disk: made by the driver, never written to, its machine never started."""
    if marks.EMPTY not in disk.record["other_config"] or len(disk.record["VBDs"]) != 1:
        return False
    started = op.call("VM_metrics.get_start_time", disk.machine.record["metrics"])
    return str(started) == NEVER


def _send(op: Op, found: Exchange, upload: _Upload, tell: Tell) -> None:
    """Send all parts, each with the whole time limit."""
    done = 0
    parts = iter(upload.parts)
    while True:
        with _local(op, "read"):
            part = next(parts, b"")
        if not part:
            return
        op.session.deadline.begin()
        found.send(part)
        done += len(part)
        tell(done)


@contextmanager
def _local(op: Op, verb: str) -> Iterator[None]:
    """Keep an error of the local file from looking like one of the network. Raises Refused."""
    try:
        yield
    except OSError as error:
        why = f"the local file cannot be {verb}: {error.strerror or error}"
        raise op.error(Refused, why, hint="check its folder and the space there") from error


@contextmanager
def _begun(op: Op, task: tasks.Task) -> Iterator[None]:
    """Once content went over, nothing is repeated by itself, and the task's word goes before the network's."""
    try:
        yield
    except op.session.failure as failure:
        raise of_failure(op.endpoint, op.name, failure) from failure
    except vhd.NotVhd as error:
        raise op.error(
            Conflict, str(error), hint="the file changed while it was read; repeat the call"
        ) from error
    except ConnectionError as error:
        op.session.deadline.begin()
        said = task.failure()
        if said is not None:
            raise of_failure(op.endpoint, op.name, said) from error
        raise

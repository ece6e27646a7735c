"""Reading machines, hosts and storage from a pool."""

from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, NamedTuple
from uuid import UUID

from connectors.contract import VmView
from connectors.drivers.xen import inventory, marks
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import NULL, Op, Record, Records
from connectors.errors import NotFound


class Machine(NamedTuple):
    """A machine of ours, as it was when it was read."""

    ref: str
    record: Record

    @property
    def power(self) -> str:
        """Halted, Paused, Running or Suspended."""
        return str(self.record["power_state"])


class Everything(NamedTuple):
    """All records of the classes that an inventory needs."""

    pool: Record
    vms: Records
    """Machines, control domains, templates and snapshots."""
    machines: Records
    domains: Records
    vbds: Records
    vdis: Records
    hosts: Records
    metrics: Records
    srs: Records
    pbds: Records
    types: Records


def read_all(op: Op) -> Everything:
    """One call for each class."""
    every = records(op, "VM")
    return Everything(
        pool=pool_record(op),
        vms=every,
        machines={ref: record for ref, record in every.items() if marks.is_machine(record)},
        domains={ref: record for ref, record in every.items() if record["is_control_domain"]},
        vbds=records(op, "VBD"),
        vdis=records(op, "VDI"),
        hosts=records(op, "host"),
        metrics=records(op, "host_metrics"),
        srs=records(op, "SR"),
        pbds=records(op, "PBD"),
        types=records(op, "SM"),
    )


def records(op: Op, class_name: str) -> dict[str, Any]:
    """All records of a class, by reference."""
    found: dict[str, Any] = op.call_long(f"{class_name}.get_all_records")
    return found


def clocks(op: Op) -> dict[str, datetime]:
    """What the clocks of the hosts that are up show, by the hosts' names."""
    hosts, metrics = records(op, "host"), records(op, "host_metrics")
    found = {}
    for ref, name in inventory.host_names(hosts).items():
        if not metrics.get(hosts[ref]["metrics"], {}).get("live"):
            continue
        try:
            found[name] = moment(op.call("host.get_servertime", ref))
        except op.session.failure as failure:
            if code_of(failure) not in {"HOST_OFFLINE", "HANDLE_INVALID"}:
                raise  # else gone since it was listed
    return found


def moment(told: Any) -> datetime:
    """XenAPI's times are in UTC: ``20261130T09:30:00Z``. Raises HTTPException for what is none."""
    try:
        return datetime.fromisoformat(str(told).removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        msg = f"a time that is not XenAPI's ({error})"
        raise HTTPException(msg) from error


def pool_record(op: Op) -> Record:
    """The pool; every host has exactly one."""
    found: Record
    (found,) = records(op, "pool").values()
    return found


def provider_name(op: Op, pool: Record) -> str:
    """The pool's name; the master's where it has none, as a host that is alone."""
    return str(pool["name_label"] or op.call("host.get_name_label", pool["master"]))


def find_all(op: Op, identity: UUID) -> list[Machine]:
    """All machines made for the identity, voided ones too; more than one only while one is made."""
    return [
        Machine(ref, record)
        for ref, record in records(op, "VM").items()
        if marks.is_machine(record)
        and record["other_config"].get(marks.IDENTITY) == str(identity)
        and not marks.is_copy(record)
    ]


def find_machine(op: Op, identity: UUID) -> Machine | None:
    """The machine of an identity: where it was last, or among all there are."""
    ref = op.session.refs.get(identity)
    if ref is not None:
        record = read_machine(op, ref)
        if record is not None and marks.claim(record) == identity:
            return Machine(ref, record)
        del op.session.refs[identity]
    claiming = [m for m in find_all(op, identity) if marks.claim(m.record) == identity]
    if not claiming:
        return None
    found = min(claiming, key=lambda machine: marks.order(machine.record))
    if marks.is_chosen(found.record):
        op.session.refs[identity] = found.ref
    return found


def read_machine(op: Op, ref: str) -> Record | None:
    """A machine's record; None where it is gone."""
    try:
        found: Record = op.call("VM.get_record", ref)
    except op.session.failure as failure:
        if code_of(failure) != "HANDLE_INVALID":
            raise
        return None
    return found


def need_machine(op: Op, identity: UUID) -> Machine:
    """The machine of an identity. Raises NotFound."""
    machine = find_machine(op, identity)
    if machine is None:
        raise op.error(NotFound, f"there is no machine {identity}")
    return machine


def disks(op: Op, record: Record) -> list[tuple[str, Record]]:
    """A machine's disks in the order of their numbers, CDs left out: reference and record."""
    found = []
    for vbd in record["VBDs"]:
        device = op.call("VBD.get_record", vbd)
        if device["type"] == "Disk" and device["VDI"] != NULL:
            found.append((int(device["userdevice"]), str(device["VDI"])))
    return [(ref, op.call("VDI.get_record", ref)) for _, ref in sorted(found)]


def labels(op: Op, record: Record) -> dict[str, str]:
    """What the disks were called that were added to a machine, by reference."""
    devices = [op.call("VBD.get_record", vbd) for vbd in record["VBDs"]]
    named = [device for device in devices if marks.LABEL in device["other_config"]]
    return {str(device["VDI"]): str(device["other_config"][marks.LABEL]) for device in named}


def view_of(op: Op, machine: Machine) -> VmView:
    """One machine, read from the pool."""
    size = sum(int(disk["virtual_size"]) for _, disk in disks(op, machine.record))
    resident = machine.record["resident_on"]
    host = None if resident == NULL else op.call("host.get_name_label", resident)
    provider = provider_name(op, pool_record(op))
    return inventory.machine_view(machine.record, marks.claim(machine.record), provider, host, size)

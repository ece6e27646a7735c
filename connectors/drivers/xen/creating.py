"""Making a machine once: adopt, create powered off, elect, complete, and undo what failed half way."""

from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from connectors.contract import VmSpec
from connectors.drivers.xen import deleting, filling, marks
from connectors.drivers.xen.electing import elect, suppress_gone
from connectors.drivers.xen.estate import Machine, find_all, find_machine, pool_record, read_machine
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.inventory import GIB, MIB
from connectors.drivers.xen.placing import Target, target
from connectors.drivers.xen.protecting import restart_priority
from connectors.drivers.xen.session import NULL, Op, Record
from connectors.errors import Refused, Unreachable

DISK, CARD = "0", "0"
"""The numbers of a machine's disk and network card; xapi gives each number once, so each is made once."""

_SETTINGS: dict[str, Any] = {
    "user_version": "1",
    "VCPUs_params": {},
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "dc"},
    "platform": {},
    "PCI_bus": "",
    "recommendations": "",
}
"""What VM.create needs beside name and size; a template has each of these too, and its values go first."""
_MORE_SETTINGS = ("HVM_shadow_multiplier", "hardware_platform_version", "domain_type")


def create(op: Op, spec: VmSpec, identity: UUID) -> Machine:
    """The machine of this identity, made if it was not there."""
    there = find_machine(op, identity)
    if there is not None and marks.COMPLETE in there.record["other_config"]:
        return there
    check_size(op, spec.resources.vcpu, spec.resources.memory_mib)
    if marks.NOT_XML.search(spec.name):
        raise op.error(Refused, "the name has characters that XML cannot hold", hint="choose another name")
    place = target(op, spec)
    attempt = str(uuid4())
    if there is None:
        op.call("VM.create", _record(op, spec, identity, place, attempt))
    machine = elect(op, identity, find_all(op, identity))
    try:
        return _completed(op, machine, spec, identity, place)
    except op.session.failure as failure:
        ours = machine.record["other_config"].get(marks.ATTEMPT) == attempt
        if ours and not op.gone(failure):  # what is gone was removed by another; the call is repeated
            with suppress(*op.session.failures), op.session.deadline.cleanup():
                deleting.delete(op, identity)
        raise


def check_size(op: Op, vcpu: int, memory_mib: int) -> None:
    """What can be told without asking the pool. Raises Refused."""
    if vcpu < 1 or memory_mib < 1:
        why = f"a machine needs at least 1 vCPU and 1 MiB, not {vcpu} vCPU and {memory_mib} MiB"
        raise op.error(Refused, why)


def _record(op: Op, spec: VmSpec, identity: UUID, place: Target, attempt: str) -> dict[str, Any]:
    """Everything in one record: no moment at which the machine exists without its identity."""
    memory_bytes, vcpu = spec.resources.memory_mib * MIB, spec.resources.vcpu
    factor = op.session.settings.options.hot_add_factor
    settings = {name: place.template.get(name, value) for name, value in _SETTINGS.items()}
    settings |= {name: place.template[name] for name in _MORE_SETTINGS if name in place.template}
    if spec.firmware is not None:
        settings["HVM_boot_params"] = {**settings["HVM_boot_params"], "firmware": spec.firmware.value}
    return settings | {
        "name_label": spec.name,
        "name_description": "made by tierwise",
        "is_a_template": False,
        "affinity": NULL,
        "memory_static_min": str(memory_bytes),
        "memory_dynamic_min": str(memory_bytes),
        "memory_dynamic_max": str(memory_bytes),
        "memory_static_max": str(memory_bytes * factor),
        "VCPUs_max": str(vcpu * factor),
        "VCPUs_at_startup": str(vcpu),
        "other_config": marks.first_marks(identity, attempt, spec.annotations),
        "tags": marks.tags(spec.annotations),
    }


def _completed(op: Op, machine: Machine, spec: VmSpec, identity: UUID, place: Target) -> Machine:
    """Give a chosen machine its disk and card. Several workers may do so at once, with one result."""
    if spec.resources.disk_gib:
        _ensure_disk(op, machine, spec.resources.disk_gib, identity, place)
    # What a call that was cut off began to fill is filled, also where the option names no template any more.
    if place.source or machine.record["VBDs"]:
        filling.fill(op, _first_disk(op, machine.ref))
    if place.network is not None:
        _once(op, "VIF.create", _card(machine.ref, place.network))
    if pool_record(op)["ha_enabled"]:
        priority = restart_priority(op, machine.ref, spec.availability)
        op.call("VM.set_ha_restart_priority", machine.ref, priority)
    _once(op, "VM.add_to_other_config", machine.ref, marks.COMPLETE, "yes")
    record = read_machine(op, machine.ref)
    if record is None:
        why = f"machine {identity} was removed while it was made"
        raise op.error(Unreachable, why, hint="repeat the call")
    op.session.refs[identity] = machine.ref
    return Machine(machine.ref, record)


def _once(op: Op, method: str, *params: Any) -> bool:
    """Make something whose key or number xapi gives once; False where it was there."""
    try:
        op.call(method, *params)
    except op.session.failure as failure:
        if code_of(failure) not in {"DEVICE_ALREADY_EXISTS", "MAP_DUPLICATE_KEY"}:
            raise
        return False
    return True


def _ensure_disk(op: Op, machine: Machine, disk_gib: int, identity: UUID, place: Target) -> None:
    if _has_disk(op, machine.ref) or _took_left_behind(op, machine, disk_gib, identity, place):
        return
    disk = op.call("VDI.create", _disk(disk_gib, identity, machine.record, place))
    if _once(op, "VBD.create", connection(machine.ref, disk)):
        return
    with suppress(op.session.failure):  # another worker's disk was quicker, or it took this one
        if not op.call("VDI.get_VBDs", disk):
            op.call("VDI.destroy", disk)


def _took_left_behind(op: Op, machine: Machine, disk_gib: int, identity: UUID, place: Target) -> bool:
    """Use a disk of a worker that died. One of a worker that lives may go while it is looked at."""
    with suppress_gone(op):
        disk = _left_behind(op, disk_gib, identity, place)
        if disk is not None:
            _once(op, "VBD.create", connection(machine.ref, disk))
    return _has_disk(op, machine.ref)


def _has_disk(op: Op, ref: str) -> bool:
    return any(op.call("VBD.get_userdevice", vbd) == DISK for vbd in op.call("VM.get_VBDs", ref))


def _first_disk(op: Op, ref: str) -> str:
    vbds = op.call("VM.get_VBDs", ref)
    first = next(vbd for vbd in vbds if op.call("VBD.get_userdevice", vbd) == DISK)
    return str(op.call("VBD.get_VDI", first))


def _left_behind(op: Op, disk_gib: int, identity: UUID, place: Target) -> str | None:
    """A disk that a worker made before it died, and that fits."""
    for ref in op.call("VDI.get_by_name_label", marks.disk_name(identity)):
        disk = op.call("VDI.get_record", ref)
        fits = disk["SR"] == place.sr and int(disk["virtual_size"]) == disk_gib * GIB
        # A disk that was used before must not shine through the holes of a template's content.
        alike = disk["other_config"].get(marks.FILL, "") == place.source
        if fits and alike and not disk["VBDs"] and not disk["is_a_snapshot"]:
            return str(ref)
    return None


def _disk(disk_gib: int, identity: UUID, machine: Record, place: Target) -> dict[str, Any]:
    return {
        "name_label": marks.disk_name(identity),
        "name_description": f"disk 0 of {machine['name_label']}",
        "SR": place.sr,
        "virtual_size": str(disk_gib * GIB),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {marks.IDENTITY: str(identity)}
        | ({marks.FILL: place.source} if place.source else {marks.EMPTY: "yes"}),
    }


def connection(machine: str, disk: str, number: str = DISK) -> dict[str, Any]:
    """What VBD.create is told of a disk; a machine starts by the first one."""
    return {
        "VM": machine,
        "VDI": disk,
        "userdevice": number,
        "bootable": number == DISK,
        "mode": "RW",
        "type": "Disk",
        "empty": False,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }


def _card(machine: str, network: str) -> dict[str, Any]:
    return {
        "device": CARD,
        "network": network,
        "VM": machine,
        "MAC": "",
        "MTU": "1500",
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }

"""Power and size of one machine."""

from collections.abc import Callable

from catalog.resources import Resources
from connectors.contract import PowerAction, hot_resize
from connectors.drivers.xen import gaps, inventory, tasks
from connectors.drivers.xen.creating import check_size
from connectors.drivers.xen.estate import Machine, disks, pool_record, records
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.inventory import GIB, MIB
from connectors.drivers.xen.session import Op, Record
from connectors.errors import Conflict, Unsupported

TARGETS = {
    PowerAction.ON: "Running",
    PowerAction.OFF: "Halted",
    PowerAction.SHUTDOWN: "Halted",
    PowerAction.SUSPEND: "Suspended",
}
_PARTICIPLES = {PowerAction.SHUTDOWN: "shut down", PowerAction.SUSPEND: "suspended"}
_STARTS: dict[str, tuple[str, tuple[bool, ...]]] = {
    "Halted": ("VM.start", (False, False)),
    "Suspended": ("VM.resume", (False, False)),
    "Paused": ("VM.unpause", ()),
}
"""How a machine comes to run from each state, and the parameters: start_paused and force."""


def power(op: Op, machine: Machine, action: PowerAction) -> None:
    """Bring the machine to the action's state. Raises Conflict where there is no way from its state."""
    if machine.power == TARGETS[action]:
        return
    if action in _PARTICIPLES and machine.power != "Running":
        why = f"only a machine that runs can be {_PARTICIPLES[action]}; it is {machine.power.lower()}"
        raise op.error(Conflict, why, hint="power it on first")
    try:
        _ask(op, machine, action)
    except op.session.failure as failure:
        # Somebody else may be bringing it there, or have brought it.
        if not _reached(op, machine.ref, TARGETS[action], code_of(failure)):
            raise


def _ask(op: Op, machine: Machine, action: PowerAction) -> None:
    if action is PowerAction.ON:
        method, parameters = _STARTS[machine.power]
        tasks.run(op, method, machine.ref, *parameters)
        return
    calls = {
        PowerAction.OFF: "VM.hard_shutdown",
        PowerAction.SHUTDOWN: "VM.clean_shutdown",
        PowerAction.SUSPEND: "VM.suspend",
    }
    tasks.run(op, calls[action], machine.ref)


def _reached(op: Op, ref: str, state: str, code: str) -> bool:
    if code == "OTHER_OPERATION_IN_PROGRESS":
        tasks.await_idle(op, ref)
    elif code != "VM_BAD_POWER_STATE":
        return False
    return bool(op.call("VM.get_power_state", ref) == state)


def resize(op: Op, machine: Machine, wanted: Resources) -> None:
    """Grow the disk, then set memory and processors, as the machine's state allows."""
    check_size(op, wanted.vcpu, wanted.memory_mib)
    if machine.power in {"Suspended", "Paused"}:
        raise op.error(Conflict, "a suspended machine cannot be resized", hint="power it on or off first")
    if machine.power == "Running":
        _need_hot_add(op, machine, wanted)
    grow = _disk_growth(op, machine, wanted)
    if machine.power == "Running":
        _resize_hot(op, machine, wanted, grow)
    else:
        _resize_cold(op, machine, wanted, grow)


def _need_hot_add(op: Op, machine: Machine, wanted: Resources) -> None:
    disk_bytes = sum(int(disk["virtual_size"]) for _, disk in disks(op, machine.record))
    needed = hot_resize(inventory.resources_of(machine.record, disk_bytes), wanted)
    options = op.session.settings.options
    srs = inventory.usable_srs(records(op, "SR"), records(op, "PBD"))
    chosen = inventory.chosen_sr(pool_record(op), srs, options)
    online = inventory.can_resize_online(srs[chosen] if chosen else None, records(op, "SM"))
    gap = gaps.hot_add(needed, factor=options.hot_add_factor, online_resize=online)
    if gap is not None:
        raise Unsupported(op.endpoint, needed, gap)


Grow = Callable[[str], None]
"""Grows the disk by the XenAPI method of this name."""


def _disk_growth(op: Op, machine: Machine, wanted: Resources) -> Grow:
    """What makes the disks as large as wanted. Raises Conflict where they would shrink."""
    found = disks(op, machine.record)
    has_bytes = sum(int(disk["virtual_size"]) for _, disk in found)
    more_bytes = wanted.disk_gib * GIB - has_bytes
    if -more_bytes >= GIB:
        why = f"its disks have {-(-has_bytes // GIB)} GiB and cannot shrink to {wanted.disk_gib} GiB"
        raise op.error(Conflict, why, hint="order at least the present size")
    if more_bytes > 0 and not found:
        raise op.error(Conflict, "the machine has no disk to grow", hint="order it anew with a disk")

    def grow(method: str) -> None:
        if more_bytes > 0:
            ref, disk = found[0]
            op.call(method, ref, int(disk["virtual_size"]) + more_bytes)

    return grow


def _resize_cold(op: Op, machine: Machine, wanted: Resources, grow: Grow) -> None:
    """The disk first, because it alone can fail for want of room."""
    grow("VDI.resize")
    _set_memory(op, machine, wanted.memory_mib * MIB)
    _set_vcpus(op, machine, wanted.vcpu)


def _set_memory(op: Op, machine: Machine, memory_bytes: int) -> None:
    """All four limits in one call: one by one they would be out of order in between."""
    record = machine.record
    if memory_bytes == int(record["memory_dynamic_max"]):
        return
    most = memory_bytes * op.session.settings.options.hot_add_factor
    least = min(memory_bytes, int(record["memory_static_min"]))
    op.call("VM.set_memory_limits", machine.ref, least, most, memory_bytes, memory_bytes)


def _set_vcpus(op: Op, machine: Machine, vcpu: int) -> None:
    """Up: the maximum first. Down: what it starts with first. xapi refuses the other order."""
    record = machine.record
    if vcpu == int(record["VCPUs_at_startup"]):
        return
    most = vcpu * op.session.settings.options.hot_add_factor
    steps = [("VM.set_VCPUs_max", most), ("VM.set_VCPUs_at_startup", vcpu)]
    if most < int(record["VCPUs_max"]):
        steps.reverse()
    for method, value in steps:
        op.call(method, machine.ref, value)


def _resize_hot(op: Op, machine: Machine, wanted: Resources, grow: Grow) -> None:
    record = machine.record
    memory_bytes, vcpu = wanted.memory_mib * MIB, wanted.vcpu
    has_memory, has_vcpu = int(record["memory_dynamic_max"]), int(record["VCPUs_at_startup"])
    if memory_bytes < has_memory or vcpu < has_vcpu:
        why = "a running machine cannot lose vCPU or memory"
        raise op.error(Conflict, why, hint="shut it down first")
    _check_limits(op, record, memory_bytes, vcpu)
    grow("VDI.resize_online")
    if memory_bytes != has_memory:
        op.call("VM.set_memory_dynamic_range", machine.ref, memory_bytes, memory_bytes)
    if vcpu != has_vcpu:
        op.call("VM.set_VCPUs_number_live", machine.ref, vcpu)


def _check_limits(op: Op, record: Record, memory_bytes: int, vcpu: int) -> None:
    most_bytes, most_vcpu = int(record["memory_static_max"]), int(record["VCPUs_max"])
    if memory_bytes > most_bytes or vcpu > most_vcpu:
        why = f"while it runs the machine can have {most_vcpu} vCPU and {most_bytes // MIB} MiB at most"
        raise op.error(Conflict, why, hint="shut it down first")

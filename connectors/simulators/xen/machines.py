# ruff: noqa: ARG001, EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""Messages about machines: making, power, size, and their end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from connectors.simulators.xen import storage
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.lifecycle import check
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.store import Record, now
from connectors.simulators.xen.world import Context, World

CANCELLED = frozenset({"cancelling", "cancelled"})
NEVER_S = 24 * 3600.0
"""How long xapi waits for a guest that does not obey, give or take."""


@contextmanager
def under_way(world: World, context: Context, ref: str, operation: str) -> Iterator[Record]:
    """Check that the machine's state allows the operation, and show it as current while it lasts."""
    vm = world.store.row("VM", ref)
    check(vm, ref, operation)
    key = context.task if context.task != NULL else f"OpaqueRef:{uuid4()}"
    world.store.set("VM", ref, current_operations={**vm["current_operations"], key: operation})
    try:
        world.wait(lambda: cancelled(world, context), world.task_delay_s)
        raise_cancelled(world, context)
        yield vm
    finally:
        if world.store.has(ref):
            left = {k: v for k, v in vm["current_operations"].items() if k != key}
            world.store.set("VM", ref, current_operations=left)


def cancelled(world: World, context: Context) -> bool:
    """Whether somebody cancelled the call's task, or destroyed it."""
    if context.task == NULL:
        return False
    task = world.store.rows("task").get(context.task)
    return task is None or task["status"] in CANCELLED


def raise_cancelled(world: World, context: Context) -> None:
    """Raises Failure TASK_CANCELLED for a call whose task was cancelled."""
    if cancelled(world, context):
        raise Failure("TASK_CANCELLED", context.task)


@message("VM.create", "VM record", can_be_async=True)
def create(world: World, context: Context, given: Record) -> str:
    """A machine without devices."""
    check_memory(given)
    if not 0 < given["VCPUs_at_startup"] <= given["VCPUs_max"]:
        raise _unsupported("VCPUs_at_startup", given["VCPUs_at_startup"])
    metrics = world.store.add("VM_metrics", install_time=now(), last_updated=now())
    given |= {"power_state": "Halted", "suspend_VDI": NULL, "metrics": metrics}
    return world.store.add("VM", **given)


def check_memory(vm: Mapping[str, Any]) -> None:
    """Raises Failure where the four limits are not in order."""
    limits = ("static_min", "dynamic_min", "dynamic_max", "static_max")
    values = [vm[f"memory_{limit}"] for limit in limits]
    if values != sorted(values) or values[0] < 0:
        constraint = "memory limits must satisfy: static_min <= dynamic_min <= dynamic_max <= static_max"
        raise Failure("MEMORY_CONSTRAINT_VIOLATION", constraint)


def _unsupported(field: str, value: int) -> Failure:
    why = "value must be at least 1, and VCPUs_at_startup at most VCPUs_max"
    return Failure("VALUE_NOT_SUPPORTED", field, str(value), why)


@message("VM.destroy", "VM ref", can_be_async=True)
def destroy(world: World, context: Context, ref: str) -> None:
    """Remove a machine and its devices; its disks stay."""
    if world.store.row("VM", ref)["is_default_template"]:
        raise Failure("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", ref)
    with under_way(world, context, ref, "destroy") as vm:
        storage.drop_suspend_image(world, ref)
        for class_name in ("VBD", "VIF"):
            for device in world.store.related(class_name, "VM", ref):
                world.store.remove(class_name, device)
        for class_name in ("VM_metrics", "VM_guest_metrics"):
            metrics = vm["metrics" if class_name == "VM_metrics" else "guest_metrics"]
            if metrics != NULL:
                world.store.remove(class_name, metrics)
        _leave_family(world, ref, vm["parent"])
        world.store.remove("VM", ref)


def _leave_family(world: World, ref: str, parent: str) -> None:
    for child in world.store.related("VM", "parent", ref):
        world.store.set("VM", child, parent=parent)
    for snapshot in world.store.related("VM", "snapshot_of", ref):
        world.store.set("VM", snapshot, snapshot_of=NULL)


@message("VM.provision", "VM ref", can_be_async=True)
def provision(world: World, context: Context, ref: str) -> None:
    """Make a machine of a clone of a template."""
    with under_way(world, context, ref, "provision") as vm:
        if not vm["is_a_template"]:
            raise Failure("ONLY_PROVISION_TEMPLATE")
        world.store.set("VM", ref, is_a_template=False)


@message("VM.set_is_a_template", "VM ref", "bool")
def set_is_a_template(world: World, context: Context, ref: str, value: bool) -> None:
    """Only what is halted becomes a template; a template becomes a machine at once."""
    if not value:
        world.store.row("VM", ref)
        world.store.set("VM", ref, is_a_template=False)
        return
    with under_way(world, context, ref, "make_into_template"):
        world.store.set("VM", ref, is_a_template=True)


@message("VM.start", "VM ref", "bool", "bool", can_be_async=True)
def start(world: World, context: Context, ref: str, paused: bool, _force: bool) -> None:
    """Start on the host with most memory free."""
    with under_way(world, context, ref, "start") as vm:
        if vm["VCPUs_at_startup"] < 1:
            raise Failure("VM_NO_VCPUS", ref)
        storage.check_free_for(world, ref)
        run(world, ref, choose_host(world, ref, vm), paused=paused)


@message("VM.start_on", "VM ref", "host ref", "bool", "bool", can_be_async=True)
def start_on(world: World, context: Context, ref: str, host: str, paused: bool, _force: bool) -> None:
    """Start on a host of the caller's choice."""
    with under_way(world, context, ref, "start_on") as vm:
        storage.check_free_for(world, ref)
        check_host(world, ref, vm, host)
        run(world, ref, host, paused=paused)


def check_host(world: World, ref: str, vm: Record, host: str) -> None:
    """Raises Failure where the host cannot run the machine."""
    if not world.store.row("host", host)["enabled"]:
        raise Failure("HOST_DISABLED", host)
    unseen = _unseen_srs(world, ref, host)
    if unseen:
        raise Failure("VM_REQUIRES_SR", ref, unseen[0])
    needed, free = vm["memory_dynamic_max"], world.free_memory(host)
    if needed > free:
        raise Failure("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(free))


def _unseen_srs(world: World, ref: str, host: str) -> list[str]:
    """The storage repositories of a machine's disks that the host is not attached to."""
    disks = [world.store.row("VBD", vbd)["VDI"] for vbd in world.store.related("VBD", "VM", ref)]
    srs = [world.store.row("VDI", disk)["SR"] for disk in disks if disk != NULL]
    return [sr for sr in dict.fromkeys(srs) if not world.sees(host, sr)]


def choose_host(world: World, ref: str, vm: Record) -> str:
    """Its affinity where that can run it, else the host with most memory free that can. Raises Failure."""
    if len(world.hosts) == 1:
        check_host(world, ref, vm, world.hosts[0])
    fitting = [host for host in world.hosts if _fits(world, ref, vm, host)]
    if not fitting:
        raise Failure("NO_HOSTS_AVAILABLE")
    if vm["affinity"] in fitting:
        return str(vm["affinity"])
    return max(fitting, key=lambda host: (world.free_memory(host), host))


def _fits(world: World, ref: str, vm: Record, host: str) -> bool:
    try:
        check_host(world, ref, vm, host)
    except Failure:
        return False
    return True


@message("VM.assert_can_boot_here", "VM ref", "host ref", writes=False)
def assert_can_boot_here(world: World, context: Context, ref: str, host: str) -> None:
    """Say why a host cannot run a machine."""
    check_host(world, ref, world.store.row("VM", ref), host)


def run(world: World, ref: str, host: str, *, paused: bool = False) -> None:
    """Make the machine's domain. What was measured before it was off is not told any more."""
    vm = world.store.row("VM", ref)
    state = "Paused" if paused else "Running"
    guest = world.store.add(
        "VM_guest_metrics",
        live=world.estate.guest_tools,
        PV_drivers_detected=world.estate.guest_tools,
        last_updated=now(),
    )
    _drop_guest_metrics(world, vm)
    world.store.set("VM", ref, power_state=state, resident_on=host, domid=1, guest_metrics=guest)
    world.store.set(
        "VM_metrics",
        vm["metrics"],
        VCPUs_number=vm["VCPUs_at_startup"],
        memory_actual=vm["memory_dynamic_max"],
        start_time=now(),
    )
    storage.attach(world, ref, attached=True)
    world.measured_since[ref] = world.seconds()


def halt(world: World, ref: str, state: str) -> None:
    """End the machine's domain."""
    vm = world.store.row("VM", ref)
    _drop_guest_metrics(world, vm)
    world.store.set("VM", ref, power_state=state, resident_on=NULL, domid=-1, guest_metrics=NULL)
    world.store.set("VM_metrics", vm["metrics"], VCPUs_number=0, memory_actual=0)
    storage.attach(world, ref, attached=False)
    world.measured_since.pop(ref, None)


def _drop_guest_metrics(world: World, vm: Record) -> None:
    if vm["guest_metrics"] != NULL:
        world.store.remove("VM_guest_metrics", vm["guest_metrics"])
        vm["guest_metrics"] = NULL


@message("VM.hard_shutdown", "VM ref", can_be_async=True)
def hard_shutdown(world: World, context: Context, ref: str) -> None:
    """Pull the plug; a clean shutdown under way is cancelled."""
    vm = world.store.row("VM", ref)
    check(vm, ref, "hard_shutdown")
    for task in [t for t, op in vm["current_operations"].items() if op == "clean_shutdown"]:
        if world.store.has(task):
            world.store.set("task", task, status="cancelling")
    with under_way(world, context, ref, "hard_shutdown"):
        storage.drop_suspend_image(world, ref)
        halt(world, ref, "Halted")


@message("VM.clean_shutdown", "VM ref", can_be_async=True)
def clean_shutdown(world: World, context: Context, ref: str) -> None:
    """Ask the guest, and wait for it."""
    with under_way(world, context, ref, "clean_shutdown"):
        _need_tools(world, ref)
        if not world.estate.guests_obey_shutdown:
            world.wait(lambda: cancelled(world, context), NEVER_S)
            raise_cancelled(world, context)
        if world.store.row("VM", ref)["power_state"] == "Running":
            halt(world, ref, "Halted")


def _need_tools(world: World, ref: str) -> None:
    if not world.estate.guest_tools:
        raise Failure("VM_LACKS_FEATURE", ref)


@message("VM.suspend", "VM ref", can_be_async=True)
def suspend(world: World, context: Context, ref: str) -> None:
    """Write the machine's memory to a disk image of its own."""
    with under_way(world, context, ref, "suspend") as vm:
        _need_tools(world, ref)
        sr = next((sr for sr in (vm["suspend_SR"], world.sr) if sr != NULL), NULL)
        image = storage.new_disk(
            world, sr, vm["memory_dynamic_max"], type="suspend", name_label="Suspend image"
        )
        world.store.set("VM", ref, suspend_VDI=image)
        halt(world, ref, "Suspended")


@message("VM.resume", "VM ref", "bool", "bool", can_be_async=True)
def resume(world: World, context: Context, ref: str, paused: bool, _force: bool) -> None:
    """Run a suspended machine again."""
    with under_way(world, context, ref, "resume") as vm:
        host = choose_host(world, ref, vm)
        storage.drop_suspend_image(world, ref)
        run(world, ref, host, paused=paused)


@message("VM.pause", "VM ref", can_be_async=True)
def pause(world: World, context: Context, ref: str) -> None:
    """Stop its processors."""
    with under_way(world, context, ref, "pause"):
        world.store.set("VM", ref, power_state="Paused")


@message("VM.unpause", "VM ref", can_be_async=True)
def unpause(world: World, context: Context, ref: str) -> None:
    """Let its processors run."""
    with under_way(world, context, ref, "unpause"):
        world.store.set("VM", ref, power_state="Running")


@message("VM.pool_migrate", "VM ref", "host ref", "(string -> string) map", can_be_async=True)
def pool_migrate(world: World, context: Context, ref: str, host: str, _options: Mapping[str, str]) -> None:
    """Move a running machine to another host of the pool."""
    with under_way(world, context, ref, "pool_migrate") as vm:
        if vm["resident_on"] != host:
            check_host(world, ref, vm, host)
            world.store.set("VM", ref, resident_on=host)


@message("VM.set_VCPUs_max", "VM ref", "int", can_be_async=True)
def set_vcpus_max(world: World, context: Context, ref: str, value: int) -> None:
    """The most that can be set while it runs; at least what it starts with."""
    with under_way(world, context, ref, "changing_VCPUs") as vm:
        if value < max(1, vm["VCPUs_at_startup"]):
            raise _unsupported("VCPUs_max", value)
        world.store.set("VM", ref, VCPUs_max=value)


@message("VM.set_VCPUs_at_startup", "VM ref", "int", can_be_async=True)
def set_vcpus_at_startup(world: World, context: Context, ref: str, value: int) -> None:
    """What it starts with; at most VCPUs_max."""
    with under_way(world, context, ref, "changing_VCPUs") as vm:
        if not 0 < value <= vm["VCPUs_max"]:
            raise _unsupported("VCPUs_at_startup", value)
        world.store.set("VM", ref, VCPUs_at_startup=value)


@message("VM.set_VCPUs_number_live", "VM ref", "int", can_be_async=True)
def set_vcpus_number_live(world: World, context: Context, ref: str, value: int) -> None:
    """Plug processors into a running machine; xapi also makes it what it starts with."""
    with under_way(world, context, ref, "changing_VCPUs_live") as vm:
        if not world.estate.guest_tools:
            raise Failure("VM_MISSING_PV_DRIVERS", ref)
        if not 0 < value <= vm["VCPUs_max"]:
            raise Failure("OPERATION_NOT_ALLOWED", f"{value} is not between 1 and VCPUs_max")
        world.store.set("VM", ref, VCPUs_at_startup=value)
        world.store.set("VM_metrics", vm["metrics"], VCPUs_number=value)


@message("VM.set_platform", "VM ref", "(string -> string) map")
def set_platform(world: World, context: Context, ref: str, value: Mapping[str, str]) -> None:
    """Not RW in the model, because xapi checks some of its values; here it does not."""
    world.store.set("VM", ref, platform=dict(value))


@message("VM.set_memory_limits", "VM ref", "int", "int", "int", "int", can_be_async=True)
def set_memory_limits(
    world: World,
    context: Context,
    ref: str,
    static_min: int,
    static_max: int,
    dynamic_min: int,
    dynamic_max: int,
) -> None:
    """All four limits at once, while it is halted."""
    limits = {
        "memory_static_min": static_min,
        "memory_static_max": static_max,
        "memory_dynamic_min": dynamic_min,
        "memory_dynamic_max": dynamic_max,
    }
    with under_way(world, context, ref, "changing_memory_limits"):
        check_memory(limits)
        world.store.set("VM", ref, **limits)


@message("VM.set_memory_dynamic_range", "VM ref", "int", "int", can_be_async=True)
def set_memory_dynamic_range(world: World, context: Context, ref: str, minimum: int, maximum: int) -> None:
    """The range of the balloon, within the static limits; also while it runs."""
    with under_way(world, context, ref, "changing_dynamic_range") as vm:
        limits = {"memory_dynamic_min": minimum, "memory_dynamic_max": maximum}
        check_memory(vm | limits)
        if vm["resident_on"] != NULL:
            more, free = maximum - vm["memory_dynamic_max"], world.free_memory(vm["resident_on"])
            if more > free:
                raise Failure("HOST_NOT_ENOUGH_FREE_MEMORY", str(more), str(free))
            world.store.set("VM_metrics", vm["metrics"], memory_actual=maximum)
        world.store.set("VM", ref, **limits)


@message("VM.set_ha_restart_priority", "VM ref", "string", can_be_async=True)
def set_ha_restart_priority(world: World, context: Context, ref: str, value: str) -> None:
    """Whether HA starts the machine again when its host fails."""
    if value not in {"restart", "best-effort", ""}:
        raise Failure("INVALID_VALUE", "ha_restart_priority", value)
    world.store.set("VM", ref, ha_restart_priority=value)


@message("VM.get_allowed_VBD_devices", "VM ref", writes=False)
def get_allowed_vbd_devices(world: World, context: Context, ref: str) -> list[str]:
    """The numbers that no disk of the machine has."""
    taken = {world.store.row("VBD", vbd)["userdevice"] for vbd in world.store.related("VBD", "VM", ref)}
    return [str(number) for number in range(16) if str(number) not in taken]


@message("VM.compute_memory_overhead", "VM ref", writes=False)
def compute_memory_overhead(world: World, context: Context, ref: str) -> int:
    """Bytes that Xen needs for the machine beside its memory."""
    overhead: int = world.store.row("VM", ref)["memory_overhead"]
    return overhead

# ruff: noqa: EM101 -- an error code is data, not a sentence
"""Messages about snapshots and clones of machines."""

from typing import Any

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.lifecycle import check
from connectors.simulators.xen.machines import halt, under_way
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL, schema
from connectors.simulators.xen.storage import copy_content, remove_disk
from connectors.simulators.xen.store import REVERSES, Record, now
from connectors.simulators.xen.world import Context, World

_OWN = frozenset(
    {
        "uuid",
        "name_label",
        "name_description",
        "power_state",
        "suspend_VDI",
        "resident_on",
        "domid",
        "metrics",
        "guest_metrics",
        "current_operations",
        "is_a_template",
        "is_default_template",
        "is_a_snapshot",
        "snapshot_of",
        "snapshot_time",
        "parent",
        "tags",
        "affinity",
    }
)
"""What a revert leaves as it is (`do_not_copy` of xapi's ``xapi_vm_snapshot.ml``, in essence)."""


@message("VM.snapshot", "VM ref", "string", "VDI ref set", optional=1, can_be_async=True)
def snapshot(world: World, context: Context, ref: str, name: str, ignored: list[str] | None = None) -> str:
    """Keep the machine's settings and disks; not its memory."""
    with under_way(world, context, ref, "snapshot") as vm:
        taken = _copy(world, ref, vm, name, is_a_snapshot=True, skip=ignored or [])
        world.store.set("VM", ref, parent=taken)
    return taken


@message("VM.clone", "VM ref", "string", can_be_async=True)
def clone(world: World, context: Context, ref: str, name: str) -> str:
    """A machine, or a template, with copies of the disks."""
    with under_way(world, context, ref, "clone") as vm:
        return _copy(world, ref, vm, name, is_a_snapshot=False, skip=[])


def _copy(world: World, ref: str, vm: Record, name: str, *, is_a_snapshot: bool, skip: list[str]) -> str:
    copied: dict[str, Any] = {
        field: vm[field]
        for field in schema().classes["VM"]
        if field not in _OWN and ("VM", field) not in REVERSES
    }
    metrics = world.store.add("VM_metrics", install_time=now())
    copied |= {"name_label": name, "metrics": metrics, "current_operations": {}}
    if is_a_snapshot:
        copied |= {"is_a_template": True, "is_a_snapshot": True, "snapshot_of": ref}
        copied |= {"snapshot_time": now(), "parent": vm["parent"]}
    else:
        copied["is_a_template"] = vm["is_a_template"]
        copied["other_config"] = {k: v for k, v in vm["other_config"].items() if k != "default_template"}
    made = world.store.add("VM", **copied)
    _copy_devices(world, ref, made, is_a_snapshot=is_a_snapshot, skip=skip)
    return made


def _copy_devices(world: World, source: str, target: str, *, is_a_snapshot: bool, skip: list[str]) -> None:
    for vbd in world.store.related("VBD", "VM", source):
        row = world.store.row("VBD", vbd)
        if row["VDI"] in skip:
            continue
        disk = row["VDI"] if row["empty"] else _copy_disk(world, row["VDI"], is_a_snapshot=is_a_snapshot)
        _copy_row(world, "VBD", row, VM=target, VDI=disk)
    for vif in world.store.related("VIF", "VM", source):
        _copy_row(world, "VIF", world.store.row("VIF", vif), VM=target)


def _copy_row(world: World, class_name: str, row: Record, **changes: str) -> None:
    kept = {k: v for k, v in row.items() if k != "uuid"}
    world.store.add(class_name, **kept | {"currently_attached": False} | changes)


def _copy_disk(world: World, disk: str, *, is_a_snapshot: bool) -> str:
    row = world.store.row("VDI", disk)
    kept = {k: v for k, v in row.items() if k != "uuid"}
    changes: Record = {"is_a_snapshot": is_a_snapshot, "snapshot_of": NULL}
    if is_a_snapshot:
        # Copies on write: a snapshot takes nothing at first.
        changes |= {"snapshot_of": disk, "snapshot_time": now(), "physical_utilisation": 0}
    copied = world.store.add("VDI", **kept | changes)
    copy_content(world, disk, copied)
    return copied


@message("VM.revert", "VM ref", can_be_async=True)
def revert(world: World, context: Context, ref: str) -> None:
    """Give a machine the settings and disks of its snapshot; it is halted afterwards."""
    taken = world.store.row("VM", ref)
    check(taken, ref, "revert")
    vm = taken["snapshot_of"]
    if vm not in world.store.rows("VM"):
        raise Failure("VM_REVERT_FAILED", vm, ref)
    with under_way(world, context, vm, "snapshot"):
        if world.store.row("VM", vm)["power_state"] != "Halted":
            halt(world, vm, "Halted")
        _swap_devices(world, vm, ref)
        stored = {k: v for k, v in world.store.row("VM", ref).items() if k not in _OWN}
        world.store.set("VM", vm, **stored, parent=ref, current_operations={})


def _swap_devices(world: World, vm: str, taken: str) -> None:
    gone: dict[str, str] = {}
    for vbd in world.store.related("VBD", "VM", vm):
        disk = world.store.row("VBD", vbd)["VDI"]
        world.store.remove("VBD", vbd)
        if disk != NULL:
            gone[disk] = ""
    for vif in world.store.related("VIF", "VM", vm):
        world.store.remove("VIF", vif)
    for vbd in world.store.related("VBD", "VM", taken):
        row = world.store.row("VBD", vbd)
        kept = row["VDI"]
        fresh = _copy_disk(world, kept, is_a_snapshot=False)
        origin = world.store.row("VDI", kept)["snapshot_of"]
        world.store.set("VDI", fresh, physical_utilisation=world.store.row("VDI", fresh)["virtual_size"])
        for sibling in world.store.related("VDI", "snapshot_of", origin) if origin != NULL else ():
            world.store.set("VDI", sibling, snapshot_of=fresh)
        _copy_row(world, "VBD", row, VM=vm, VDI=fresh)
    for vif in world.store.related("VIF", "VM", taken):
        _copy_row(world, "VIF", world.store.row("VIF", vif), VM=vm)
    for disk in gone:
        remove_disk(world, disk)

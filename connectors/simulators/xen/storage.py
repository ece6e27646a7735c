# ruff: noqa: ARG001, EM101 -- all messages have the same parameters, and an error code is data, not a sentence
"""Messages about disks, and about what connects machines with disks and networks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.store import Record
from connectors.simulators.xen.world import THIN, Context, World

_A_MAC = re.compile("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def new_disk(world: World, sr: str, size: int, **values: Any) -> str:
    """A disk on an SR that has the space. Raises Failure SR_FULL."""
    row = world.store.row("SR", sr)
    if row["content_type"] == "iso":
        raise Failure("SR_OPERATION_NOT_SUPPORTED", sr)
    if size < 0:
        raise Failure("NOT_IMPLEMENTED", "VDI.virtual_size")  # which errors the storage has for sizes
    written = row["type"] != THIN or values.get("type") == "suspend"
    takes = size if written else 0
    free = world.free_space(sr)
    if takes > free:
        raise Failure("SR_FULL", str(size), str(free))
    values = {"physical_utilisation": takes, "managed": True} | values
    return world.store.add("VDI", SR=sr, virtual_size=size, **values)


@message("VDI.create", "VDI record", can_be_async=True)
def vdi_create(world: World, context: Context, given: Record) -> str:
    """A disk as the record says."""
    rest = {k: v for k, v in given.items() if k not in {"SR", "virtual_size"}}
    return new_disk(world, given["SR"], given["virtual_size"], **rest)


@message("VDI.destroy", "VDI ref", can_be_async=True)
def vdi_destroy(world: World, context: Context, ref: str) -> None:
    """Remove a disk that no running machine uses, and what connected it."""
    world.store.row("VDI", ref)
    check_detached(world, ref, "destroy")
    for vbd in world.store.related("VBD", "VDI", ref):
        world.store.remove("VBD", vbd)
    for snapshot in world.store.related("VDI", "snapshot_of", ref):
        world.store.set("VDI", snapshot, snapshot_of=NULL)
    remove_disk(world, ref)


def remove_disk(world: World, ref: str) -> None:
    """Remove a disk and what stands on it."""
    world.store.remove("VDI", ref)
    world.contents.pop(ref, None)


def copy_content(world: World, source: str, target: str) -> None:
    """Let a new disk hold what another one holds."""
    if source in world.contents:
        world.contents[target] = world.contents[source].copy()


@contextmanager
def plugged_into_domain_0(world: World, ref: str, host: str, mode: str) -> Iterator[None]:
    """A disk while its content goes over HTTP: xapi attaches it to the host's control domain.

    Raises Failure VDI_IN_USE where it is attached already.
    """
    check_detached(world, ref, "attach")
    domain = world.store.row("host", host)["control_domain"]
    device = str(len(world.store.related("VBD", "VM", domain)))
    connection = {"VM": domain, "VDI": ref, "userdevice": device, "mode": mode, "type": "Disk"}
    vbd = world.store.add("VBD", **connection, currently_attached=True)
    try:
        yield
    finally:
        if world.store.has(vbd):
            world.store.remove("VBD", vbd)
        if world.store.has(ref):
            account(world, ref)


def account(world: World, ref: str) -> None:
    """Say how much a disk takes on a thin SR, now that it was written to."""
    disk = world.store.row("VDI", ref)
    if world.store.row("SR", disk["SR"])["type"] == THIN:
        world.store.set("VDI", ref, physical_utilisation=world.content(ref).taken_bytes)


def room_for(world: World, ref: str) -> int:
    """Bytes that may be written to a disk anew before its SR is full."""
    disk = world.store.row("VDI", ref)
    thin = world.store.row("SR", disk["SR"])["type"] == THIN
    return world.free_space(disk["SR"]) if thin else int(disk["virtual_size"])


def check_free_for(world: World, vm: str) -> None:
    """Raises Failure VDI_IN_USE where a disk of a machine that is to start is attached elsewhere."""
    for vbd in world.store.related("VBD", "VM", vm):
        disk = world.store.row("VBD", vbd)["VDI"]
        if disk != NULL:
            check_detached(world, disk, "attach")


def check_detached(world: World, ref: str, operation: str) -> None:
    """Raises Failure VDI_IN_USE for a disk that a machine that runs has."""
    if any(
        world.store.row("VBD", vbd)["currently_attached"] for vbd in world.store.related("VBD", "VDI", ref)
    ):
        raise Failure("VDI_IN_USE", ref, operation)


@message("VDI.resize", "VDI ref", "int", can_be_async=True)
def vdi_resize(world: World, context: Context, ref: str, size: int) -> None:
    """Grow a disk that no running machine uses."""
    check_detached(world, ref, "resize")
    _grow(world, ref, size)


@message("VDI.resize_online", "VDI ref", "int", can_be_async=True)
def vdi_resize_online(world: World, context: Context, ref: str, size: int) -> None:
    """Grow a disk that may be in use, where the SR's type can."""
    sr = world.store.row("SR", world.store.row("VDI", ref)["SR"])
    types = [sm for sm in world.store.rows("SM").values() if sm["type"] == sr["type"]]
    if not any("VDI_RESIZE_ONLINE" in sm["features"] for sm in types):
        raise Failure("SR_OPERATION_NOT_SUPPORTED", world.store.row("VDI", ref)["SR"])
    _grow(world, ref, size)


def _grow(world: World, ref: str, size: int) -> None:
    disk = world.store.row("VDI", ref)
    more = size - disk["virtual_size"]
    if more < 0:
        raise Failure("VDI_TOO_SMALL", ref, str(disk["virtual_size"]))
    sr = world.store.row("SR", disk["SR"])
    takes = 0 if sr["type"] == THIN else more
    free = world.free_space(disk["SR"])
    if takes > free:
        raise Failure("SR_FULL", str(more), str(free))
    world.store.set(
        "VDI", ref, virtual_size=size, physical_utilisation=disk["physical_utilisation"] + takes
    )


@message("VDI.set_name_label", "VDI ref", "string", can_be_async=True)
def vdi_set_name_label(world: World, context: Context, ref: str, value: str) -> None:
    """Not RW in the model, because the SR keeps the name too."""
    world.store.set("VDI", ref, name_label=value)


@message("SR.set_name_label", "SR ref", "string", can_be_async=True)
def sr_set_name_label(world: World, context: Context, ref: str, value: str) -> None:
    """Not RW in the model either."""
    world.store.set("SR", ref, name_label=value)


@message("VBD.create", "VBD record", can_be_async=True)
def vbd_create(world: World, context: Context, given: Record) -> str:
    """Connect a machine with a disk, at a device number that is free."""
    world.store.row("VM", given["VM"])
    if not given["empty"]:
        world.store.row("VDI", given["VDI"])
    device = given["userdevice"]
    if device == "autodetect":
        taken = _devices(world, "VBD", "userdevice", given["VM"])
        device = next(str(number) for number in range(255) if str(number) not in taken)
    if not device.isdigit():
        raise Failure("INVALID_DEVICE", device)
    if device in _devices(world, "VBD", "userdevice", given["VM"]):
        raise Failure("DEVICE_ALREADY_EXISTS", device)
    return world.store.add("VBD", **given | {"userdevice": device, "currently_attached": False})


def _devices(world: World, class_name: str, field: str, vm: str) -> set[str]:
    found = world.store.related(class_name, "VM", vm)
    return {world.store.row(class_name, one)[field] for one in found}


@message("VBD.destroy", "VBD ref", can_be_async=True)
def vbd_destroy(world: World, context: Context, ref: str) -> None:
    """Disconnect; the disk stays."""
    _remove_device(world, "VBD", ref)


@message("VIF.create", "VIF record", can_be_async=True)
def vif_create(world: World, context: Context, given: Record) -> str:
    """Connect a machine with a network, at a device number that is free."""
    world.store.row("VM", given["VM"])
    world.store.row("network", given["network"])
    if not given["device"].isdigit():
        raise Failure("INVALID_DEVICE", given["device"])
    if given["device"] in _devices(world, "VIF", "device", given["VM"]):
        raise Failure("DEVICE_ALREADY_EXISTS", given["device"])
    if given["MAC"] and not _A_MAC.fullmatch(given["MAC"]):
        raise Failure("MAC_INVALID", given["MAC"])
    mac = given["MAC"] or _mac(world)
    made = {"MAC": mac, "MAC_autogenerated": not given["MAC"], "currently_attached": False}
    return world.store.add("VIF", **given | made)


def _mac(world: World) -> str:
    number = world.store.generation
    return "02:16:3e:" + ":".join(f"{number >> shift & 0xFF:02x}" for shift in (16, 8, 0))


@message("VIF.destroy", "VIF ref", can_be_async=True)
def vif_destroy(world: World, context: Context, ref: str) -> None:
    """Take the card out."""
    _remove_device(world, "VIF", ref)


def _remove_device(world: World, class_name: str, ref: str) -> None:
    if world.store.row(class_name, ref)["currently_attached"]:
        why = f"{class_name} '{ref}' still attached to '{world.store.row(class_name, ref)['VM']}'"
        raise Failure("OPERATION_NOT_ALLOWED", why)
    world.store.remove(class_name, ref)


def attach(world: World, vm: str, *, attached: bool) -> None:
    """Plug in, or pull out, all devices of a machine whose domain begins or ends."""
    for class_name in ("VBD", "VIF"):
        for device in world.store.related(class_name, "VM", vm):
            world.store.set(class_name, device, currently_attached=attached)


def drop_suspend_image(world: World, vm: str) -> None:
    """Remove the image of a suspended machine's memory."""
    image = world.store.row("VM", vm)["suspend_VDI"]
    if image != NULL:
        world.store.set("VM", vm, suspend_VDI=NULL)
        remove_disk(world, image)

# ruff: noqa: EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""Copies of disks, which take their time and keep the target in use meanwhile (xapi's ``xapi_vdi.ml``)."""

import time

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.machines import cancelled, raise_cancelled
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.storage import (
    copy_content,
    new_disk,
    plugged_into_domain_0,
    remove_disk,
    room_for,
)
from connectors.simulators.xen.world import Context, World

STEP_S = 0.1
"""How often a task that carries content tells how far it is."""
KEPT = ("name_label", "name_description", "type", "sharable", "other_config")


@message("VDI.copy", "VDI ref", "SR ref", "VDI ref", "VDI ref", optional=3, can_be_async=True)
def vdi_copy(
    world: World, context: Context, source: str, sr: str = NULL, base: str = NULL, into: str = NULL
) -> str:
    """The content of a disk on a new one, or on one that is there and large enough."""
    row = world.store.row("VDI", source)
    if base != NULL:
        raise Failure("NOT_IMPLEMENTED", "VDI.copy of the difference to a base")
    made = into == NULL
    if made:
        into = new_disk(world, sr, row["virtual_size"], **{field: row[field] for field in KEPT})
    try:
        _copy(world, context, source, into)
    except Failure:
        if made:
            remove_disk(world, into)
        raise
    return into


def take_time(world: World, context: Context) -> None:
    """Let the time pass that a disk's content takes, with others free to work. Raises Failure TASK_CANCELLED."""
    begun_s, takes_s = time.monotonic(), world.estate.content_ms / 1000
    while (passed_s := time.monotonic() - begun_s) < takes_s:
        if context.task != NULL and world.store.has(context.task):
            world.store.set("task", context.task, progress=round(passed_s / takes_s, 2))
        world.wait(lambda: cancelled(world, context), min(STEP_S, takes_s - passed_s))
        raise_cancelled(world, context)


def _copy(world: World, context: Context, source: str, into: str) -> None:
    row, target = world.store.row("VDI", source), world.store.row("VDI", into)
    if target["read_only"]:
        raise Failure("VDI_READONLY", into)
    if target["virtual_size"] < row["virtual_size"]:
        raise Failure("VDI_TOO_SMALL", into, str(row["virtual_size"]))
    seeing = [
        host for host in world.hosts if world.sees(host, target["SR"]) and world.sees(host, row["SR"])
    ]
    if not seeing:
        raise Failure("SR_NOT_ATTACHED", target["SR"])
    with plugged_into_domain_0(world, into, seeing[0], "RW"):
        world.wait(lambda: cancelled(world, context), world.task_delay_s)
        raise_cancelled(world, context)
        take_time(world, context)
        taken, room = world.content(source).taken_bytes, room_for(world, into)
        if taken > room:
            raise Failure("SR_FULL", str(taken), str(room))
        copy_content(world, source, into)

# ruff: noqa: ARG001, EM101 -- all messages have the same parameters, and an error code is data, not a sentence
"""Disks plugged into machines that run, and pulled out again.

What forbids it, and in which order xapi finds it, is that of its ``xapi_vbd_helpers.ml``: the machine's state, the
guest's drivers, then what else uses the disk.
"""

from connectors.simulators.xen import storage
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.world import Context, World


@message("VBD.plug", "VBD ref", can_be_async=True)
def vbd_plug(world: World, context: Context, ref: str) -> None:
    """Let a machine that runs see a disk."""
    vbd = world.store.row("VBD", ref)
    _check_running(world, vbd["VM"])
    if vbd["currently_attached"]:
        raise Failure("DEVICE_ALREADY_ATTACHED", ref)
    _check_guest(world, vbd["VM"])
    if not vbd["empty"]:
        storage.check_detached(world, vbd["VDI"], "plug")
    world.store.set("VBD", ref, currently_attached=True)


@message("VBD.unplug", "VBD ref", can_be_async=True)
def vbd_unplug(world: World, context: Context, ref: str) -> None:
    """Take a disk from a machine that runs."""
    vbd = world.store.row("VBD", ref)
    if not vbd["unpluggable"]:
        raise Failure("VBD_NOT_UNPLUGGABLE", ref)
    _check_running(world, vbd["VM"])
    if not vbd["currently_attached"]:
        raise Failure("DEVICE_ALREADY_DETACHED", ref)
    _check_guest(world, vbd["VM"])
    world.store.set("VBD", ref, currently_attached=False)


def _check_running(world: World, vm: str) -> None:
    state = world.store.row("VM", vm)["power_state"]
    if state != "Running":
        raise Failure("VM_BAD_POWER_STATE", vm, "Running", state)


def _check_guest(world: World, vm: str) -> None:
    """A guest that says nothing needs drivers of its own; one that says no is believed."""
    ref = world.store.row("VM", vm)["guest_metrics"]
    metrics = world.store.row("VM_guest_metrics", ref) if ref != NULL else {}
    says = metrics.get("can_use_hotplug_vbd", "unspecified")
    if says == "no":
        raise Failure("OPERATION_NOT_ALLOWED", "VM states it does not support VBD hotplug.")
    if says == "unspecified" and not metrics.get("PV_drivers_detected"):
        raise Failure("VM_MISSING_PV_DRIVERS", vm)

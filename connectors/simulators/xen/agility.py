# ruff: noqa: ARG001, EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""Whether a machine could run on every host, which HA needs to restart it."""

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.world import Context, World


@message("VM.assert_agile", "VM ref", writes=False)
def assert_agile(world: World, context: Context, ref: str) -> None:
    """Its disks must be on storage that is shared and attached to every host; networks are on all of them here."""
    world.store.row("VM", ref)
    disks = [world.store.row("VBD", vbd)["VDI"] for vbd in world.store.related("VBD", "VM", ref)]
    for sr in dict.fromkeys(world.store.row("VDI", disk)["SR"] for disk in disks if disk != NULL):
        shared = world.store.row("SR", sr)["shared"]
        if not (shared and all(world.sees(host, sr) for host in world.hosts)):
            raise Failure("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)

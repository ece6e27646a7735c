# ruff: noqa: EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""A disk on its way to another storage repository, under a machine that runs (xapi's ``xapi_vm_migrate.ml``)."""

from collections.abc import Mapping

from connectors.simulators.xen.copying import KEPT, take_time
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.machines import under_way
from connectors.simulators.xen.messages import message
from connectors.simulators.xen.storage import account, copy_content, new_disk, remove_disk
from connectors.simulators.xen.world import Context, World


@message("VDI.pool_migrate", "VDI ref", "SR ref", "(string -> string) map", can_be_async=True)
def vdi_pool_migrate(
    world: World, context: Context, source: str, sr: str, _options: Mapping[str, str]
) -> str:
    """A new disk, with which the machine goes on; the old one is gone."""
    row = world.store.row("VDI", source)
    vbds = world.store.related("VBD", "VDI", source)
    running = [v for v in vbds if world.store.row("VBD", v)["currently_attached"]]
    if not running:
        raise Failure("VDI_NEEDS_VM_FOR_MIGRATE", source)
    vbd = running[0]
    vm = world.store.row("VBD", vbd)["VM"]
    if world.store.related("VM", "snapshot_of", vm):
        raise Failure("NOT_IMPLEMENTED", "VDI.pool_migrate of a machine with snapshots")
    if not world.sees(world.store.row("VM", vm)["resident_on"], sr):
        raise Failure("NOT_IMPLEMENTED", "VDI.pool_migrate together with the machine to another host")
    with under_way(world, context, vm, "migrate_send"):
        target = new_disk(world, sr, row["virtual_size"], **{field: row[field] for field in KEPT})
        try:
            take_time(world, context)
            world.store.row("VDI", source)  # raises where it went meanwhile
        except Failure:
            remove_disk(world, target)
            raise
        copy_content(world, source, target)
        account(world, target)
        world.store.set("VBD", vbd, VDI=target)
        remove_disk(world, source)
    return target

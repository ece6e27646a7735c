"""A machine's way to another host of its pool."""

from catalog.capabilities import Capability
from connectors.drivers.xen import gaps, inventory, tasks
from connectors.drivers.xen.estate import Machine, pool_record, provider_name, records
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import NULL, Op
from connectors.errors import NotFound, Unsupported


def migrate(op: Op, machine: Machine, host: str) -> None:
    """Move it while it runs; one that is off or suspended gets the host as the one to start on.

    xapi itself checks that the host is up, sees the machine's storage and networks, and has the memory.
    """
    ref = _host_ref(op, host)
    if machine.record["resident_on"] == ref:
        return
    if machine.record["resident_on"] == NULL:
        op.call("VM.assert_can_boot_here", machine.ref, ref)
        if machine.record["affinity"] != ref:
            op.call("VM.set_affinity", machine.ref, ref)
        return
    try:
        tasks.run(op, "VM.pool_migrate", machine.ref, ref, {"live": "true"})
    except op.session.failure as failure:
        # Somebody else may be bringing it there.
        if code_of(failure) != "OTHER_OPERATION_IN_PROGRESS":
            raise
        tasks.await_idle(op, machine.ref)
        if op.call("VM.get_resident_on", machine.ref) != ref:
            raise


def _host_ref(op: Op, name: str) -> str:
    """The host of this name. Raises NotFound, and Unsupported where the pool has one host only."""
    names = inventory.host_names(records(op, "host"))
    pool = provider_name(op, pool_record(op))
    gap = gaps.live_migrate(pool, hosts=len(names))
    if gap is not None:
        raise Unsupported(op.endpoint, Capability.LIVE_MIGRATE, gap)
    found = [ref for ref, one in names.items() if one == name]
    if not found:
        hint = f"its hosts are: {', '.join(sorted(names.values()))}"
        raise op.error(NotFound, f"pool '{pool}' has no host '{name}'", hint=hint)
    return found[0]

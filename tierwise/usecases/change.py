"""Changing a machine that is there: power, size, removal. Durable, and refused before it is tried."""

from typing import Any
from uuid import UUID

from dbos import DBOS, SetWorkflowID

from catalog.capabilities import Capability
from catalog.resources import ResourceClass, Resources
from connectors.contract import PowerAction, PowerState, hot_resize
from tierwise.app import App
from tierwise.errors import (
    EndpointDown,
    InvalidInput,
    NoPlace,
    NotSupported,
    RefusedByPolicy,
    TierwiseError,
)
from tierwise.jobs import workflows
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow
from tierwise.usecases.inventory import gap_of
from tierwise.usecases.move import forbid_open_move
from tierwise.usecases.observe import observe
from tierwise.usecases.open_work import await_open_changes


def power(app: App, change_id: UUID, wanted: str, action: PowerAction) -> None:
    """Bring a machine to a power state."""
    machine = ready(app, wanted, unless_moved=True)
    require(app, machine, action.capability)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.change_power, str(change_id), machine.id, action.value)
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def resize(app: App, change_id: UUID, wanted: str, resources: Resources) -> None:
    """Give a machine other resources; zero in `resources` means: as it is."""
    machine = ready(app, wanted)
    # What was removed since the last look must not count as room in use.
    observe(app, machine.endpoint)
    now = {rc.value: int(getattr(machine, rc.value)) for rc in ResourceClass}
    amounts = now | {rc.value: amount for rc, amount in resources.as_mapping().items() if amount}
    hot = machine.power != PowerState.OFF
    needed = hot_resize(Resources(**now), Resources(**amounts)) if hot else Capability.RESIZE_COLD
    require(app, machine, needed)
    if amounts["disk_gib"] < machine.disk_gib:
        msg = f"the disk of {machine.name} has {machine.disk_gib} GiB and cannot shrink to {amounts['disk_gib']} GiB"
        raise InvalidInput(msg)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.change_size, str(change_id), machine.id, amounts)
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def migrate(app: App, change_id: UUID, wanted: str, host: str) -> None:
    """Bring a machine to another host of its pool, running if it runs."""
    machine = ready(app, wanted)
    require(app, machine, Capability.LIVE_MIGRATE)
    hosts = _hosts(app, machine)
    if host not in hosts:
        msg = f"pool {machine.pool} has no host '{host}'; it has: {', '.join(hosts)}"
        raise InvalidInput(msg)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.migrate, str(change_id), machine.id, host)
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def migrate_storage(app: App, change_id: UUID, wanted: str, storage: str) -> None:
    """Bring a machine's disk to another storage of its pool, running if it runs."""
    machine = ready(app, wanted)
    require(app, machine, Capability.STORAGE_MIGRATE)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.migrate_storage, str(change_id), machine.id, storage)
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def _hosts(app: App, machine: MachineRow) -> list[str]:
    """The hosts of the machine's pool, as its endpoint shows them now."""
    seen = observe(app, machine.endpoint).get(machine.endpoint)
    entry = app.documents.catalog.pools.get(machine.pool)
    if seen is None or seen.snapshot is None or entry is None:
        return []
    return [h.name for pool in seen.snapshot.pools if pool.provider == entry.provider for h in pool.hosts]


def delete(app: App, change_id: UUID, wanted: str) -> None:
    """Remove a machine and its disks."""
    machine = ready(app, wanted)
    require(app, machine, Capability.DELETE)
    with SetWorkflowID(f"change:{change_id}"):
        handle = DBOS.start_workflow(workflows.remove, str(change_id), machine.id)
    finish(handle.get_result(polling_interval_sec=0.05), machine)


def find(app: App, wanted: str) -> MachineRow:
    """The machine of this name or id. Raises InvalidInput where none or several are."""
    with app.session() as session:
        return order_store.find_machine(session, wanted)


def require(app: App, machine: MachineRow, capability: Capability) -> None:
    """Raises NotSupported, with the pool's own reason, where it lacks a capability."""
    gap = gap_of(app, machine, capability)
    if gap is not None:
        msg = f"{capability.value} is not available for {machine.name}"
        raise NotSupported(msg, details=[f"pool {machine.pool}: {gap}"])


def ready(app: App, wanted: str, *, unless_moved: bool = False) -> MachineRow:
    """The machine, when what an earlier process left undone of it has ended.

    Raises InvalidInput where it has an open move, and TierwiseError where that work cannot end.
    """
    await_open_changes(find(app, wanted))
    machine = find(app, wanted)
    forbid_open_move(app, machine, unless_moved=unless_moved)
    return machine


def finish(result: dict[str, Any], machine: MachineRow) -> None:
    """Raises what a change ended with, if it is an error."""
    error = result.get("error")
    if error is None:
        return
    kinds: dict[str, type[TierwiseError]] = {
        "Unsupported": NotSupported,
        "Unreachable": EndpointDown,
        "DeadlineExceeded": EndpointDown,
        "NoPlace": NoPlace,
        "RefusedByPolicy": RefusedByPolicy,
    }
    msg = f"{machine.name}: {error['message']}"
    raise kinds.get(error["kind"], TierwiseError)(msg)

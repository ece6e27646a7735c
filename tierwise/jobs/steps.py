"""The steps of durable work: each touches one thing, and may be run again after a crash.

Steps that call a hypervisor return plain data: ``{"vm": ...}`` or ``{"error": ...}``. They repeat
calls that were not answered, and rely on the contract's idempotence by identity.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from catalog.orders import Request
from catalog.pools import Pool, PoolEntry
from catalog.resources import Resources
from catalog.workload_classes import Availability
from connectors.contract import (
    Connector,
    Disk,
    NewDisk,
    PowerAction,
    PowerState,
    VmSnapshot,
    VmSpec,
    VmView,
)
from connectors.errors import ConnectorError, DeadlineExceeded, NotFound
from policies.asked import required_traits, trait_rules
from tierwise import seeds
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, OrderRow

Outcome = dict[str, Any]

_BUSY_LOOK_S = 15.0
"""Between two looks at something busy, at most."""


def _may_be_repeated(error: ConnectorError) -> bool:
    return error.retriable


def call(
    app: App,
    endpoint: str,
    act: Callable[[Connector], VmView | None],
    again: Callable[[ConnectorError], bool] = _may_be_repeated,
    *,
    busy_s: float = 0.0,
) -> Outcome:
    """Do something at an endpoint, `again` and again while it does not answer, up to the setting.

    What is busy with something else is waited for, `busy_s` seconds at most.
    """
    end_s, attempt, looks = time.monotonic() + busy_s, 1, 0
    while True:
        try:
            with app.endpoints.lease(endpoint) as connector:
                vm = act(connector)
        except ConnectorError as error:
            busy = error.busy and time.monotonic() < end_s
            if not busy and (not again(error) or attempt >= app.settings.retries):
                return {"error": _described(error, attempt)}
        except InvalidInput as error:
            return {"error": {"kind": "InvalidInput", "message": str(error), "retriable": False}}
        else:
            return {"vm": vm.model_dump(mode="json") if vm is not None else None}
        if busy:
            time.sleep(min(app.settings.retry_after_s * 2**looks, _BUSY_LOOK_S))
            looks += 1
        else:
            time.sleep(app.settings.retry_after_s * 2 ** (attempt - 1))
            attempt += 1


def _described(error: ConnectorError, attempts: int) -> dict[str, Any]:
    tried = f" (tried {attempts} times)" if attempts > 1 else ""
    return {
        "kind": type(error).__name__,
        "message": f"{error}{tried}",
        "retriable": error.retriable,
    }


def create(app: App, order_id: str) -> Outcome:
    """The order's machine at its pool's endpoint, made or adopted."""
    with app.session() as session:
        row = session.get_one(OrderRow, order_id)
        request = order_store.request_of(row)
    pool = _pool_of(app, row)
    spec = VmSpec(
        name=row.machine_name,
        provider=pool.provider,
        resources=request.resources,
        annotations={
            "tierwise.order": order_id,
            "tierwise.tenant": row.tenant,
            "tierwise.offering": row.offering,
        },
        availability=availability(app, request.workload_class),
        traits=traits(app, request, pool),
        seed=None if request.seed is None else seeds.read(app.settings.seeds_dir, request.seed),
    )
    return call(app, pool.endpoint, lambda connector: connector.create_vm(spec, UUID(order_id)))


def availability(app: App, workload_class: str) -> Availability | None:
    """What a machine of the class has after a host's failure; None where the catalog has no such class any more."""
    found = app.documents.catalog.classes.get(workload_class)
    return found.availability if found else None


def traits(app: App, request: Request, entry: PoolEntry) -> frozenset[str]:
    """What the order's class and the rules require of its pool."""
    rules = trait_rules(app.documents.rules)
    pool = _seen(app, entry.name) if any(rule.predicate.reads_pool for rule, _ in rules) else None
    return required_traits(app.documents.catalog, rules, request, pool)


def _seen(app: App, name: str) -> Pool | None:
    from tierwise.usecases.observe import join, views  # noqa: PLC0415 - it needs what only a look at endpoints needs

    seen = join(app.documents.catalog, views(app), app.clock.now()).pools
    return next((pool for pool in seen if pool.name == name), None)


def power(app: App, machine_id: str, action: str) -> Outcome:
    """Bring the machine to a power state; a guest is asked once, and has the endpoint's `timeout_s`."""
    endpoint, identity, wanted = _endpoint_of(app, machine_id), UUID(machine_id), PowerAction(action)
    if wanted is not PowerAction.SHUTDOWN:
        return call(app, endpoint, lambda connector: connector.power(identity, wanted))
    done = call(
        app,
        endpoint,
        lambda connector: connector.power(identity, wanted),
        lambda error: error.retriable and not isinstance(error, DeadlineExceeded),
    )
    if "error" in done and done["error"]["kind"] == DeadlineExceeded.__name__:
        seen = call(app, endpoint, lambda connector: connector.get_vm(identity))
        if "error" not in seen and seen["vm"]["power"] == PowerState.OFF:
            return seen  # it obeyed at last, or only the answer was late
    return done


def resize(app: App, machine_id: str, resources: dict[str, int]) -> Outcome:
    """Give the machine other resources."""
    endpoint = _endpoint_of(app, machine_id)
    wanted = Resources(**resources)
    return call(app, endpoint, lambda connector: connector.resize(UUID(machine_id), wanted))


def change_disk(app: App, machine_id: str, change: dict[str, Any]) -> Outcome:
    """Add a disk (``add``: its name), let one grow (``grow``: its key), or remove one (``remove``: as it was seen)."""
    endpoint, identity = _endpoint_of(app, machine_id), UUID(machine_id)
    if "add" in change:
        new = NewDisk(name=change["add"], size_gib=change["size_gib"])
        return call(app, endpoint, lambda connector: connector.add_disk(identity, new))
    if "grow" in change:
        key, size_gib = change["grow"], change["size_gib"]
        return call(app, endpoint, lambda connector: connector.grow_disk(identity, key, size_gib))
    return _removed(app, endpoint, identity, Disk.model_validate(change["remove"]))


def _removed(app: App, endpoint: str, identity: UUID, doomed: Disk) -> Outcome:
    """A removal that failed when its machine had the disk no more is one, with what may be ``left`` of the disk."""
    done = call(app, endpoint, lambda connector: connector.remove_disk(identity, doomed))
    if "error" not in done:
        return done
    try:
        with app.endpoints.lease(endpoint) as connector:
            there = connector.details(identity).disks
    except ConnectorError:
        return done
    if any(disk.name == doomed.name for disk in there):
        return done
    return {"vm": None, "left": done["error"]["message"]}


def snapshot(app: App, machine_id: str, name: str) -> Outcome:
    """Take a snapshot of the machine as it is now."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.snapshot(UUID(machine_id), name))


def find_snapshot(app: App, machine_id: str, name: str) -> Outcome:
    """Whether a snapshot is there that a process was cut off at taking; an error where it is not."""
    there: list[VmSnapshot] = []
    endpoint = _endpoint_of(app, machine_id)
    done = call(app, endpoint, lambda connector: there.extend(connector.list_snapshots(UUID(machine_id))))
    if "error" in done or any(one.name == name for one in there):
        return done
    why = f"snapshot '{name}' was not taken before it was cut off; take it now if it is still wanted"
    return cut_off(why)


def revert(app: App, machine_id: str, name: str) -> Outcome:
    """Bring the machine back to a snapshot."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.revert(UUID(machine_id), name))


def delete_snapshot(app: App, machine_id: str, name: str) -> Outcome:
    """Delete a snapshot of the machine; one that is not there is gone already."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.delete_snapshot(UUID(machine_id), name))


def look(app: App, machine_id: str) -> Outcome:
    """The machine as it is now."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.get_vm(UUID(machine_id)))


def cut_off(message: str) -> Outcome:
    """The error of work that another process began, whose moment has passed."""
    return {"error": {"kind": "CutOff", "message": message, "retriable": True}}


def migrate(app: App, machine_id: str, host: str) -> Outcome:
    """Bring the machine to another host of its pool."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.migrate(UUID(machine_id), host))


def migrate_storage(app: App, machine_id: str, storage: str) -> Outcome:
    """Bring the machine's disk to another storage of its provider."""
    endpoint = _endpoint_of(app, machine_id)

    def act(connector: Connector) -> VmView:
        return connector.storage_migrate(UUID(machine_id), storage, lambda _bytes: None)

    return call(app, endpoint, act)


def tag(app: App, machine_id: str, tags: dict[str, str]) -> Outcome:
    """Set tags of the machine, or take them away."""
    endpoint = _endpoint_of(app, machine_id)
    return call(app, endpoint, lambda connector: connector.tag(UUID(machine_id), tags))


def delete(app: App, machine_id: str) -> Outcome:
    """Remove the machine; one that is not there is gone already."""
    endpoint = _endpoint_of(app, machine_id)

    return call(app, endpoint, lambda connector: end_machine(connector, UUID(machine_id)))


def end_machine(connector: Connector, identity: UUID) -> None:
    """Delete a machine at its endpoint; nothing where it is gone. What else is not found there is no sign of that."""
    try:
        connector.delete_vm(identity)
    except NotFound:
        try:
            connector.get_vm(identity)
        except NotFound:
            return
        raise


def back(app: App, machine_id: str, *, start: bool) -> Outcome:
    """The machine that was not removed, as it is; one that is off and was not runs again where `start`.

    ``said`` is how its power came to be, for whoever wanted it removed.
    """
    with app.session() as session:
        before = session.get_one(MachineRow, machine_id).power
    seen = call(
        app,
        _endpoint_of(app, machine_id),
        lambda connector: connector.get_vm(UUID(machine_id)),
        lambda error: error.retriable and start,
    )
    if "error" in seen or seen["vm"]["power"] != PowerState.OFF or before == PowerState.OFF:
        return {**seen, "said": ""}
    if start and before == PowerState.ON:
        again = power(app, machine_id, PowerAction.ON)
        if "error" not in again:
            return {**again, "said": "; it was switched off for that, and runs again"}
    return {**seen, "said": "; it was switched off for that, and is off"}


def undo(app: App, order_id: str) -> Outcome:
    """Remove what an order may have made; one that was never placed made nothing."""
    with app.session() as session:
        placed = session.get_one(OrderRow, order_id).pool is not None
    return delete(app, order_id) if placed else {"vm": None}


def _endpoint_of(app: App, machine_id: str) -> str:
    """The endpoint of a machine, or of an order whose machine is not recorded yet."""
    with app.session() as session:
        machine = session.get(MachineRow, machine_id)
        if machine is not None:
            return machine.endpoint
        order = session.get_one(OrderRow, machine_id)
    return _pool_of(app, order).endpoint


def _pool_of(app: App, order: OrderRow) -> PoolEntry:
    """The pool that the order was placed in. Raises InvalidInput when the catalog lost it since."""
    assert order.pool is not None, order
    pool = app.documents.catalog.pools.get(order.pool)
    if pool is None:
        msg = (
            f"{order.machine_name} was placed in pool '{order.pool}', which is not in the catalog any more"
        )
        raise InvalidInput(msg)
    return pool

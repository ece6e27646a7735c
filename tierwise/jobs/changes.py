"""What durable work writes: functions of a session, each one transaction with its checkpoint."""

import json
from typing import Any

from sqlmodel import Session, select

from catalog.orders import Order, Request
from catalog.resources import ResourceClass, Resources
from catalog.units import amount_more, format_amount
from connectors.contract import PowerState, VmView
from placement.plan import Plan
from policies.decisions import Rejection
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import events
from tierwise.store import orders as order_store
from tierwise.store.tables import AppliedStepRow, BatchRow, MachineRow, MachineState, OrderRow, OrderStatus


def accept(session: Session, app: App, batch_id: str, accepted: list[dict[str, Any]]) -> list[str]:
    """Write the orders; gives back what forbids it, in which case nothing was written."""
    pairs = [
        (Order.model_validate(item["order"]), Request.model_validate(item["request"])) for item in accepted
    ]
    try:
        order_store.accept(session, batch_id, pairs, app.clock.now())
    except InvalidInput as error:
        return list(error.details)
    return []


def reserve(session: Session, app: App, batch_id: str, planned: dict[str, Any]) -> list[str] | None:
    """Carry out a plan in the books; None when allocations changed since it was made."""
    if order_store.version(session) != planned["version"]:
        return None
    plan = Plan.model_validate(planned["plan"])
    rows = {row.id: row for row in order_store.batch(session, batch_id)}
    unseen = [Rejection.model_validate(item) for item in planned["unseen"]]
    placed: list[str] = []
    for assignment in plan.assignments:
        row = rows[assignment.request_id]
        if assignment.pool is None:
            why = [r for candidate in assignment.candidates for r in candidate.rejections]
            order_store.end(session, row, OrderStatus.REFUSED, [*why, *unseen], app.clock.now())
            continue
        pool = app.documents.catalog.pools[assignment.pool]
        order_store.place(
            session,
            row,
            pool=pool.name,
            tier=pool.tier,
            price_minor=planned["price_minor"][row.id],
            resources=order_store.request_of(row).resources,
        )
        placed.append(row.id)
    for order_id, why in planned["over_quota"].items():
        rejections = [Rejection.model_validate(item) for item in why]
        order_store.end(session, rows[order_id], OrderStatus.REFUSED, rejections, app.clock.now())
    batch_row = session.get_one(BatchRow, batch_id)
    batch_row.plan = plan.model_dump_json()
    session.add(batch_row)
    order_store.touch(session)
    return placed


def give_up(session: Session, app: App, batch_id: str, error: dict[str, Any]) -> None:
    """The batch could not be planned: close its orders, saying why."""
    for row in order_store.batch(session, batch_id):
        if row.status != OrderStatus.ACCEPTED:
            continue
        why = Rejection(
            rule_id="planning",
            pool="",
            dimension=str(error["kind"]),
            limit="",
            need="",
            why=f"the batch could not be planned: {error['message']}",
            remedy=f"put that right, then `tierwise order retry {row.machine_name}` tries again",
        )
        order_store.end(session, row, OrderStatus.FAILED, [why], app.clock.now())


def record_created(session: Session, app: App, order_id: str, vm: dict[str, Any]) -> None:
    """The machine is there, powered off. Its row's key is the order: a second one cannot be."""
    view = VmView.model_validate(vm)
    row = session.get_one(OrderRow, order_id)
    assert row.pool is not None, row
    assert row.tier is not None, row
    pool = app.documents.catalog.pools[row.pool]
    request = order_store.request_of(row)
    resources = request.resources
    session.add(
        MachineRow(
            id=order_id,
            name=row.machine_name,
            tenant=row.tenant,
            pool=row.pool,
            tier=row.tier,
            endpoint=pool.endpoint,
            native_id=view.native_id,
            power=PowerState.OFF,
            vcpu=resources.vcpu,
            memory_mib=resources.memory_mib,
            disk_gib=resources.disk_gib,
            annotations=annotations_text(view),
        )
    )
    event(
        session,
        app,
        key=f"{order_id}:created",
        machine=order_id,
        kind="created",
        details={
            "tenant": row.tenant,
            "cost_centre": app.documents.catalog.tenants[row.tenant].cost_centre,
            "tier": row.tier,
            "pool": row.pool,
            "resources": _amounts(resources),
            "labels": {"class": request.workload_class, "offering": request.offering},
        },
    )


def record_delivered(session: Session, app: App, order_id: str) -> None:
    """The machine runs: the order is delivered."""
    _set_power(session, order_id, PowerState.ON)
    event(session, app, key=f"{order_id}:delivered", machine=order_id, kind="powered_on", details={})
    row = session.get_one(OrderRow, order_id)
    row.status, row.finished_at = OrderStatus.DELIVERED, app.clock.now()
    session.add(row)


def record_failed(session: Session, app: App, order_id: str, error: dict[str, Any], left: str) -> None:
    """The order has no machine; its room is free again. `left` says what may have been left behind."""
    row = session.get_one(OrderRow, order_id)
    machine = session.get(MachineRow, order_id)
    if machine is not None:
        machine.state = MachineState.DELETED
        session.add(machine)
        event(session, app, key=f"{order_id}:undone", machine=order_id, kind="deleted", details={})
    remedy = left or f"`tierwise order retry {row.machine_name}` tries again"
    why = Rejection(
        rule_id="delivery",
        pool=row.pool or "",
        dimension=str(error["kind"]),
        limit="",
        need="",
        why=str(error["message"]),
        remedy=remedy,
    )
    order_store.end(session, row, OrderStatus.FAILED, [why], app.clock.now())


def record_power(session: Session, app: App, change_id: str, machine_id: str, state: str) -> None:
    """The machine was brought to a power state."""
    if is_gone(session, machine_id):
        return
    kind = "powered_on" if state == PowerState.ON else "powered_off"
    _set_power(session, machine_id, PowerState(state))
    event(session, app, key=change_id, machine=machine_id, kind=kind, details={})


def hold(session: Session, app: App, machine_id: str, resources: dict[str, int]) -> dict[str, Any]:
    """Hold the larger of what the machine has and what it shall have.

    Only if rules and quotas allow the growth (otherwise ``refused``) and its pool has the room
    (otherwise ``short``).
    """
    from tierwise.usecases.place import estate, forbidden  # noqa: PLC0415 - numpy and ortools only where they are used

    if is_gone(session, machine_id):
        return {"short": ["the machine was removed meanwhile"]}
    machine = session.get_one(MachineRow, machine_id)
    now = {rc.value: int(getattr(machine, rc.value)) for rc in ResourceClass}
    growth = {name: max(0, resources[name] - now[name]) for name in now}
    on = estate(app)
    pool = next((p for p in on.pools if p.name == machine.pool), None)
    free = {
        rc.value: (pool.capacity(rc) if pool else 0)
        - on.allocated.get(machine.pool, Resources()).amount(rc)
        for rc in ResourceClass
    }
    short = [
        f"{amount_more(name, more)} wanted on {machine.pool}, where {format_amount(name, max(0, free[name]))} "
        f"are free; free some there, or ask for less"
        for name, more in growth.items()
        if more and more > free[name]
    ]
    if short:
        return {"short": short}
    request = as_request(session, machine)
    refused = forbidden(app.documents, on, machine.pool, request, Resources(**resources))
    if refused:
        return {"refused": [str(rejection) for rejection in refused]}
    held = Resources(**{name: now[name] + more for name, more in growth.items()})
    order_store.set_allocation(session, machine_id, held)
    return {"before": now}


def as_request(session: Session, machine: MachineRow) -> Request:
    """The machine as it is, in the shape that rules decide on."""
    request = order_store.request_of(session.get_one(OrderRow, machine.id))
    resources = Resources(**{rc.value: getattr(machine, rc.value) for rc in ResourceClass})
    return request.model_copy(update={"tenant": machine.tenant, "resources": resources})


def record_resized(
    session: Session, app: App, change_id: str, machine_id: str, resources: dict[str, int]
) -> None:
    """The machine has other resources, and holds just these."""
    if is_gone(session, machine_id):
        return
    machine = session.get_one(MachineRow, machine_id)
    for name, amount in resources.items():
        setattr(machine, name, amount)
    session.add(machine)
    order_store.set_allocation(session, machine_id, Resources(**resources))
    event(session, app, key=change_id, machine=machine_id, kind="resized", details={"resources": resources})


def record_reverted(
    session: Session, app: App, change_id: str, machine_id: str, vm: dict[str, Any]
) -> None:
    """The machine may be another one than before: its size, its power and what is written on it are as seen."""
    if is_gone(session, machine_id):
        return
    view = VmView.model_validate(vm)
    machine = session.get_one(MachineRow, machine_id)
    machine.annotations = annotations_text(view)
    session.add(machine)
    changed(session, app, machine_id)
    amounts = _amounts(view.resources)
    if amounts != {name: getattr(machine, name) for name in amounts}:
        record_resized(session, app, f"{change_id}:size", machine_id, amounts)
    record_seen_power(session, app, change_id, machine_id, vm)


def record_seen_power(
    session: Session, app: App, change_id: str, machine_id: str, vm: dict[str, Any]
) -> None:
    """The machine's power is as seen."""
    view = VmView.model_validate(vm)
    if view.power not in {session.get_one(MachineRow, machine_id).power, PowerState.UNKNOWN}:
        record_power(session, app, f"{change_id}:power", machine_id, view.power)


def name_of(app: App, machine_id: str) -> str:
    """A machine's name."""
    with app.session() as session:
        return session.get_one(MachineRow, machine_id).name


def is_recorded(app: App, change_id: str) -> bool:
    """Whether the books have a change already."""
    with app.session() as session:
        return events.known(session, change_id)


def end(_session: Session) -> None:
    """Work is over that changes no book; it is known by its being a change."""


def is_over(app: App, workflow: str) -> bool:
    """Whether work that makes one change, at its end, has made it."""
    with app.session() as session:
        query = select(AppliedStepRow).where(AppliedStepRow.workflow == workflow)
        return session.exec(query).first() is not None


def annotations_text(view: VmView) -> str:
    """What a machine's row holds of what is written on the machine."""
    return json.dumps(dict(view.annotations), sort_keys=True)


def record_tagged(session: Session, app: App, machine_id: str, vm: dict[str, Any]) -> None:
    """Other things are written on the machine; what it holds and costs stays the same."""
    machine = session.get_one(MachineRow, machine_id)
    machine.annotations = annotations_text(VmView.model_validate(vm))
    session.add(machine)
    changed(session, app, machine_id)


def release(session: Session, machine_id: str, resources: dict[str, int]) -> None:
    """Hold again what the machine really has, after a change that did not happen."""
    if is_gone(session, machine_id):
        return
    order_store.set_allocation(session, machine_id, Resources(**resources))


def record_deleted(session: Session, app: App, change_id: str, machine_id: str) -> None:
    """The machine is gone, and its room free."""
    if is_gone(session, machine_id):
        return
    machine = session.get_one(MachineRow, machine_id)
    machine.state, machine.power = MachineState.DELETED, PowerState.OFF
    session.add(machine)
    event(session, app, key=change_id, machine=machine_id, kind="deleted", details={})
    order_store.end(
        session, session.get_one(OrderRow, machine_id), OrderStatus.REMOVED, [], app.clock.now()
    )


def is_gone(session: Session, machine_id: str) -> bool:
    """Whether a removal overtook this change: nothing happens to a machine after its end."""
    return session.get_one(MachineRow, machine_id).state == MachineState.DELETED


def _set_power(session: Session, machine_id: str, state: PowerState) -> None:
    machine = session.get_one(MachineRow, machine_id)
    machine.power = state
    session.add(machine)


def event(
    session: Session, app: App, *, key: str, machine: str, kind: str, details: dict[str, Any]
) -> None:
    """Something happened to a machine now; the same key is the same event."""
    # A clock that was set back must not put a machine's end before its beginning.
    now = max(app.clock.now(), events.latest(session, machine))
    events.append(
        session,
        key=key,
        machine=machine,
        kind=kind,
        at=now,
        recorded_at=now,
        source="order",
        details=details,
    )
    changed(session, app, machine)


def changed(session: Session, app: App, machine_id: str) -> None:
    """The machine was changed at its endpoint: what was seen there before is old."""
    machine = session.get(MachineRow, machine_id)
    if machine is not None:
        machine.changed_at = app.clock.now()
        session.add(machine)


def _amounts(resources: Resources) -> dict[str, int]:
    return {rc.value: resources.amount(rc) for rc in ResourceClass}

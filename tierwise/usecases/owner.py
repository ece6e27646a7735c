"""Changing who owns a machine, also from a moment in the past."""

from datetime import datetime
from uuid import UUID

from chargeback.events import in_order
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import events as event_store
from tierwise.store import orders as order_store
from tierwise.store.tables import OrderRow
from tierwise.usecases.metering import fact


def change_owner(
    app: App, change_id: UUID, wanted: str, tenant: str, since: datetime | None = None
) -> None:
    """Give a machine to another tenant, from `since` (default: now) on.

    A moment in the past is a late fact: statements that were issued stay as they are, and the next
    ones carry corrections. Raises InvalidInput for an unknown tenant, a future moment, or one that
    contradicts the machine's life.
    """
    known = app.documents.catalog.tenants
    if tenant not in known:
        msg = f"there is no tenant '{tenant}'; known are {', '.join(known)}"
        raise InvalidInput(msg)
    now = app.clock.now()
    at = since or now
    if at > now:
        msg = f"{at.isoformat()} is in the future; an owner can change now or in the past"
        raise InvalidInput(msg)
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        event_store.append(
            session,
            key=str(change_id),
            machine=machine.id,
            kind="owner_changed",
            at=at,
            recorded_at=now,
            source="owner change",
            details={"tenant": tenant, "cost_centre": known[tenant].cost_centre},
        )
        _, problems = in_order(fact(row) for row in event_store.known_at(session, now, machine.id))
        if problems:
            msg = f"{machine.name} cannot change its owner at {at.isoformat()}"
            raise InvalidInput(msg, details=[str(problem) for problem in problems])
        machine.tenant = tenant
        order = session.get_one(OrderRow, machine.id)
        order.tenant = tenant
        order_store.touch(session)
        session.add(machine)
        session.add(order)
        session.commit()

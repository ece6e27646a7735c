"""Changing who owns a machine, also from a moment in the past."""

from datetime import datetime
from uuid import UUID

from chargeback.events import EventKind
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.store.tables import OrderRow
from tierwise.usecases.late_fact import moment_of, record, recordable


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
    at = moment_of(app, since, "an owner")
    details = {"tenant": tenant, "cost_centre": known[tenant].cost_centre}
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        recorded_at = recordable(session, app.clock.now())
        life = record(
            session, machine, change_id, EventKind.OWNER_CHANGED, at, recorded_at, details, "owner"
        )
        # A past change that a later one overtook does not decide who owns the machine today.
        machine.tenant = next(event.tenant for event in reversed(life) if event.tenant is not None)
        order = session.get_one(OrderRow, machine.id)
        order.tenant = machine.tenant
        order_store.touch(session)
        session.add(machine)
        session.add(order)
        session.commit()

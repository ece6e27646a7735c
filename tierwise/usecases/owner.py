"""Changing who owns a machine, also from a moment in the past."""

from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session

from chargeback.events import in_order
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import events as event_store
from tierwise.store import ledger as ledger_store
from tierwise.store import orders as order_store
from tierwise.store.tables import OrderRow
from tierwise.usecases.metering import epoch, fact


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
    if at.tzinfo is None:
        msg = f"{at.isoformat()} has no time zone"
        raise InvalidInput(msg)
    if at > now:
        msg = f"{at.isoformat()} is in the future; an owner can change now or in the past"
        raise InvalidInput(msg)
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        recorded_at = _recordable(session, now)
        event_store.append(
            session,
            key=str(change_id),
            machine=machine.id,
            kind="owner_changed",
            at=at,
            recorded_at=recorded_at,
            source="owner change",
            details={"tenant": tenant, "cost_centre": known[tenant].cost_centre},
        )
        known_then = event_store.known_at(session, recorded_at, machine.id)
        life, problems = in_order(fact(row) for row in known_then)
        if problems:
            msg = f"{machine.name} cannot change its owner at {at.isoformat()}"
            raise InvalidInput(msg, details=[str(problem) for problem in problems])
        # A past change that a later one overtook does not decide who owns the machine today.
        machine.tenant = next(event.tenant for event in reversed(life) if event.tenant is not None)
        order = session.get_one(OrderRow, machine.id)
        order.tenant = machine.tenant
        order_store.touch(session)
        session.add(machine)
        session.add(order)
        session.commit()


def _recordable(session: Session, now: datetime) -> datetime:
    """When a late fact counts as known: after the last final statements, which knew whole seconds."""
    last = epoch(ledger_store.known_until(session))
    return now if epoch(now) > last else datetime.fromtimestamp(last + 1, UTC)

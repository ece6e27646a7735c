"""Facts about machines that people report, perhaps long after they became true."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chargeback.events import EventKind, MachineEvent, in_order
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import events as event_store
from tierwise.store import ledger as ledger_store
from tierwise.store.tables import MachineRow
from tierwise.usecases.metering import epoch, fact


def moment_of(app: App, since: datetime | None, what: str) -> datetime:
    """From when a change of `what` holds: `since`, or now. Raises InvalidInput for a future moment."""
    now = app.clock.now()
    at = since or now
    if at.tzinfo is None:
        msg = f"{at.isoformat()} has no time zone"
        raise InvalidInput(msg)
    if at > now:
        msg = f"{at.isoformat()} is in the future; {what} can change now or in the past"
        raise InvalidInput(msg)
    return at


def recordable(session: Session, now: datetime) -> datetime:
    """When a late fact counts as known: after the last final statements, which knew whole seconds."""
    last = epoch(ledger_store.known_until(session))
    return now if epoch(now) > last else datetime.fromtimestamp(last + 1, UTC)


def life_of(session: Session, machine: MachineRow, recorded_at: datetime) -> list[MachineEvent]:
    """The machine's facts known then, in the order in which they happened."""
    return in_order(fact(row) for row in event_store.known_at(session, recorded_at, machine.id))[0]


def record(
    session: Session,
    machine: MachineRow,
    change_id: UUID,
    kind: EventKind,
    at: datetime,
    recorded_at: datetime,
    details: Mapping[str, Any],
    what: str,
) -> list[MachineEvent]:
    """Append the fact, and give the machine's life with it. Raises InvalidInput where they contradict."""
    event_store.append(
        session,
        key=str(change_id),
        machine=machine.id,
        kind=kind.value,
        at=at,
        recorded_at=recorded_at,
        source=f"{what} change",
        details=details,
    )
    known = event_store.known_at(session, recorded_at, machine.id)
    life, problems = in_order(fact(row) for row in known)
    if problems:
        msg = f"{machine.name} cannot change its {what} at {at.isoformat()}"
        raise InvalidInput(msg, details=[str(problem) for problem in problems])
    return life

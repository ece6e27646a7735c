"""Billing periods, their numbered statements, and the documents that they were made by."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from chargeback.ledger import Issued
from chargeback.rates import RateCard
from tierwise.errors import InvalidInput
from tierwise.store.tables import (
    BillingPeriodRow,
    DocumentsVersionRow,
    MachineEventRow,
    PeriodState,
    StatementRow,
)


class PeriodClosed(InvalidInput):
    """Somebody wants to change a closed period; nothing was changed."""


@dataclass(frozen=True)
class Booking:
    """What closes a period: everything that its row says from then on."""

    period: str
    card: RateCard
    documents: str
    """The content of the files that the statements were made by, as `review` takes it too."""
    known_at: datetime
    closed_at: datetime
    ledger: str
    statements: Sequence[Issued]


def periods(session: Session) -> list[BillingPeriodRow]:
    """All periods that were ever reviewed or closed, in their order."""
    return list(session.exec(select(BillingPeriodRow).order_by(col(BillingPeriodRow.period))))


def known_until(session: Session) -> datetime:
    """The last moment whose knowledge is final, as some period was reviewed or closed by it; 1970 for none."""
    return max(
        (row.known_at for row in periods(session) if row.known_at), default=datetime.fromtimestamp(0, UTC)
    )


def newest_event(session: Session, before: datetime | None = None) -> int:
    """The sequence of the newest machine event, of those that were recorded before a moment; -1 for none."""
    query = select(sa.func.max(MachineEventRow.sequence))
    if before is not None:
        query = query.where(col(MachineEventRow.recorded_at) < before)
    found = session.exec(query).one()
    return -1 if found is None else int(found)


def statements(session: Session, period: str) -> list[Issued]:
    """The numbered statements of a closed period, in their order."""
    query = select(StatementRow).where(StatementRow.period == period).order_by(col(StatementRow.position))
    return [
        Issued(
            row.number, row.position, row.tenant, row.lines, row.total_minor, row.currency, row.minor_digits
        )
        for row in session.exec(query)
    ]


def documents(session: Session, row: BillingPeriodRow) -> str | None:
    """The content of the files that a period was made by; None where a version without ledger closed it."""
    if row.documents is None:
        return None
    return session.get_one(DocumentsVersionRow, row.documents).content


def review(session: Session, period: str, card: RateCard, content: str, known_at: datetime) -> None:
    """Put a period under review as known at that moment, by these documents. Raises PeriodClosed."""
    row = _writable(session, period)
    row.state, row.known_at = PeriodState.REVIEW, known_at
    row.rate_card, row.documents = card.label, _keep(session, content)
    session.add(row)
    session.flush()


def reopen(session: Session, period: str) -> None:
    """Open a period that is under review. Raises PeriodClosed, or InvalidInput where it is open."""
    row = _writable(session, period)
    if row.state != PeriodState.REVIEW:
        msg = f"{period} is open; only a period under review can be opened again"
        raise InvalidInput(msg)
    row.state, row.known_at, row.rate_card, row.documents = PeriodState.OPEN, None, "", None
    session.add(row)
    session.flush()


def close(session: Session, booking: Booking) -> None:
    """Book a period's statements and close it. Raises PeriodClosed."""
    row = _writable(session, booking.period)
    row.rate_card, row.documents = booking.card.label, _keep(session, booking.documents)
    # The row comes first, as statements point at it, and closed last, as nothing can be added then.
    session.add(row)
    session.flush()
    session.add_all(_rows(booking))
    session.flush()
    row.state, row.known_at, row.closed_at = PeriodState.CLOSED, booking.known_at, booking.closed_at
    row.ledger = booking.ledger
    row.lines = sum(statement.lines for statement in booking.statements)
    row.total_minor = sum(statement.total_minor for statement in booking.statements)
    session.add(row)
    session.flush()


def _rows(booking: Booking) -> Iterable[StatementRow]:
    for issued in booking.statements:
        yield StatementRow(
            number=issued.number,
            period=booking.period,
            position=issued.position,
            tenant=issued.tenant,
            currency=issued.currency,
            minor_digits=issued.minor_digits,
            lines=issued.lines,
            total_minor=issued.total_minor,
        )


def _writable(session: Session, period: str) -> BillingPeriodRow:
    row = session.get(BillingPeriodRow, period, populate_existing=True)
    if row is None:
        return BillingPeriodRow(period=period, state=PeriodState.OPEN)
    # One that a version without ledger closed still gets its ledger, and nothing else.
    if row.state == PeriodState.CLOSED and row.ledger is not None:
        closed = row.closed_at.strftime("%Y-%m-%d %H:%M:%S UTC") if row.closed_at else "before"
        msg = (
            f"{period} is closed since {closed}, and stays as it is; what is learnt of it now is "
            "corrected in the next open period"
        )
        raise PeriodClosed(msg)
    return row


def _keep(session: Session, content: str) -> str:
    digest = hashlib.sha256(content.encode()).hexdigest()
    if session.get(DocumentsVersionRow, digest) is None:
        session.add(DocumentsVersionRow(digest=digest, content=content))
        session.flush()
    return digest

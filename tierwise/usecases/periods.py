"""Billing periods: open, under review, closed. Only the month after the last closed one moves on."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chargeback.late import Known
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from tierwise.app import App
from tierwise.errors import InvalidInput, StoreBusy
from tierwise.store import ledger as ledger_store
from tierwise.store import orders as order_store
from tierwise.usecases.books import Books, Final, content_of, load, month_of
from tierwise.usecases.metering import epoch, meter

Row = dict[str, Any]

TRIES = 5
"""How often something that other processes overtook is done again."""

PERIOD_COLUMNS = (
    "period", "state", "known_at", "closed_at", "rate_card", "statements", "lines", "total",
)  # fmt: skip
"""What `listed` says of each period."""


def review(app: App, month: str) -> Known:
    """Put a month under review: what is known now is what is looked at, and what closing it will book.

    Doing it again keeps the first moment. Raises InvalidInput where the month is closed, not over, not
    the next one, or cannot be priced.
    """
    card = app.documents.rate_card
    period = month_of(month, card)
    for _ in range(TRIES):
        seen, books = metered(app, card)
        final = books.finals.get(period.name)
        if final and not final.closed:
            return final.known
        known = books.now(epoch(app.clock.now()))
        if final is None:
            check_due(books, period, known.at)
            # Priced before it is written down: a month that cannot be priced is not reviewed.
            books.statements(period, known)
        with app.session() as session:
            order_store.lock(session)
            if ledger_store.newest_event(session, after(known)) <= seen:
                ledger_store.review(session, period.name, card, content_of(app.documents), moment(known))
                session.commit()
                return known
    raise too_busy(period)


def reopen(app: App, month: str) -> None:
    """Open a month that is under review: what is learnt from now on counts again. Raises InvalidInput."""
    period = month_of(month, app.documents.rate_card)
    with app.session() as session:
        order_store.lock(session)
        ledger_store.reopen(session, period.name)
        session.commit()


def listed(app: App) -> list[Row]:
    """All months under review or closed, and the one that is next, oldest first."""
    books = load(app, app.documents.rate_card)
    rows = [_listed(final) for final in books.finals.values()]
    due = books.due
    if due and due not in books.finals:
        rows.append({**dict.fromkeys(PERIOD_COLUMNS, ""), "period": due, "state": "open"})
    return rows


def metered(app: App, card: RateCard) -> tuple[int, Books]:
    """The newest event of a machine, and then the books with usage that knows at least that one."""
    with app.session() as session:
        seen = ledger_store.newest_event(session)
    meter(app)
    return seen, load(app, card)


def check_due(books: Books, period: BillingPeriod, now: int) -> None:
    """Raises InvalidInput unless the month is over, and the next one to be closed."""
    if period.t_to > now:
        msg = f"{period.name} is not over in {period.time_zone}; it can be issued when it is"
        raise InvalidInput(msg)
    due = books.due
    if books.closed and due > period.name:
        last = books.closed[-1].name
        msg = f"{last} was issued already; {period.name} cannot be issued after it"
        raise InvalidInput(msg)
    if due and due < period.name:
        msg = f"{due} was not issued; issue it first, or what it cost would never be charged"
        raise InvalidInput(msg)


def moment(known: Known) -> datetime:
    """Its moment as the database keeps it."""
    return datetime.fromtimestamp(known.at, UTC)


def after(known: Known) -> datetime:
    """The first moment that is not in its last second."""
    return moment(known) + timedelta(seconds=1)


def too_busy(period: BillingPeriod) -> StoreBusy:
    """What to say when others were faster each time."""
    return StoreBusy(f"machines change so fast that {period.name} could not be worked out; try again")


def _listed(final: Final) -> Row:
    row = final.row
    return {
        "period": row.period,
        "state": str(row.state),
        "known_at": row.known_at.isoformat() if row.known_at else "",
        "closed_at": row.closed_at.isoformat() if row.closed_at else "",
        "rate_card": row.rate_card,
        "statements": len(final.statements) if final.booked else "",
        "lines": row.lines if final.booked else "",
        "total": final.total if final.booked else "",
    }

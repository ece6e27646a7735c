"""Closing a month: its statements get their numbers, and its lines are booked and never change again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chargeback.late import Known
from chargeback.ledger import Check, Issued, Sum, booked, checked, sums, to_table
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from tierwise.app import App
from tierwise.store import ledger as ledger_store
from tierwise.store import orders as order_store
from tierwise.store.ledger import Booking, PeriodClosed
from tierwise.usecases.books import Books, Final, content_of, ledger_files, month_of, total_of
from tierwise.usecases.causes import LateFact, late_facts
from tierwise.usecases.metering import epoch
from tierwise.usecases.periods import TRIES, after, check_due, metered, moment, too_busy
from tierwise.usecases.samples import sample_store

Row = dict[str, Any]


@dataclass(frozen=True)
class Closing:
    """What closing a period books, or booked."""

    period: BillingPeriod
    card: RateCard
    known_at: int
    statements: Sequence[Issued]
    machines: int
    sums: tuple[Sum, ...]
    """Per charge category (Usage, Credit ...) and currency; corrections are a kind of their own."""
    corrections: int
    """How many lines are corrections."""
    facts: Sequence[LateFact]
    """What caused the corrections; not looked for again where the period was closed before."""
    check: Check
    closed_at: datetime | None = None
    """None: a preview."""
    already: bool = False
    """Whether it was closed before, so that nothing was changed."""

    @property
    def totals(self) -> tuple[Sum, ...]:
        """The sum of all statements, per currency."""
        return total_of(self.statements)


@dataclass(frozen=True)
class _Draft:
    """Everything that is to be booked; `seen` is the newest event of a machine that it knows of."""

    closing: Closing
    known: Known
    documents: str
    rows: Sequence[Row]
    table: Any
    seen: int


def close(app: App, month: str, *, preview: bool = False) -> Closing:
    """Book the month's statements and close it; with `preview`, only say what that would book.

    What is booked is what was known when its review began, or else what is known now. Closing a closed
    month changes nothing and says so. A kill at any moment leaves it closed or as it was. Raises
    InvalidInput where the month is not over, not the next one, or cannot be priced.
    """
    card = app.documents.rate_card
    period = month_of(month, card)
    if preview:
        return _tried(app, period, card, preview=True)[0]
    with ledger_files(app).closing(), _samples_held(app):
        for _ in range(TRIES):
            closing, draft = _tried(app, period, card, preview=False)
            found = _book(app, draft) if draft else closing
            if found:
                return found
    raise too_busy(period)


@contextmanager
def _samples_held(app: App) -> Iterator[None]:
    """No sample comes in meanwhile, where samples are charged; what comes later is recorded later."""
    documents = app.documents
    if not Known(documents.rate_card, 0, documents.terms).measured:
        yield
        return
    with sample_store(app).writing():
        yield


def _tried(
    app: App, period: BillingPeriod, card: RateCard, *, preview: bool
) -> tuple[Closing, _Draft | None]:
    """What is there, or what is to be booked."""
    seen, books = metered(app, card)
    final = books.finals.get(period.name)
    if final and final.booked:
        return _held(books, final), None
    draft = _draft(app, books, period, seen)
    return draft.closing, None if preview else draft


def _held(books: Books, final: Final) -> Closing:
    rows = books.rows(final)
    check = Check(
        lines_minor=sum(row["amount_minor"] for row in rows),
        statements_minor=sum(statement.total_minor for statement in final.statements),
        ledger_minor=final.row.total_minor,
    )
    found = _closing(final.period, final.known, final.statements, rows, check)
    return replace(found, closed_at=final.row.closed_at, already=True)


def _draft(app: App, books: Books, period: BillingPeriod, seen: int) -> _Draft:
    final = books.finals.get(period.name)
    known = final.known if final else books.now(epoch(app.clock.now()))
    if final is None:
        check_due(books, period, known.at)
    late = books.late(period, known)
    statements = books.statements(period, known, late)
    earlier = books.numbers({each.period.name for each in late if each.corrections})
    issued, rows = booked(statements, books.names, earlier)
    table = to_table(rows)
    closing = _closing(period, known, issued, rows, checked(rows, issued, table))
    content = final.documents if final else None
    return _Draft(
        replace(closing, facts=late_facts(app, books.names, late)),
        known,
        content_of(app.documents) if content is None else content,
        rows,
        table,
        seen,
    )


def _closing(
    period: BillingPeriod, known: Known, issued: Sequence[Issued], rows: Sequence[Row], check: Check
) -> Closing:
    corrected = [row for row in rows if row["charge_class"] == "Correction"]
    own = [row for row in rows if row["charge_class"] != "Correction"]
    return Closing(
        period,
        known.card,
        known.at,
        issued,
        machines=len({row["machine"] for row in own if row["machine"]}),
        sums=sums(rows, lambda row: str(row["charge_class"] or row["charge_category"])),
        corrections=len(corrected),
        facts=(),
        check=check,
    )


def _book(app: App, draft: _Draft) -> Closing | None:
    """Close the period; None where something was learnt meanwhile that the draft should know."""
    closing, files = draft.closing, ledger_files(app)
    digest = files.write(closing.period.name, draft.table)
    # What counts is what can be read again.
    kept = files.read(closing.period.name, digest)
    check = checked(draft.rows, closing.statements, kept)
    assert check.difference_minor == 0, f"{closing.period.name}: {check}; nothing was closed"
    closed_at = app.clock.now()
    booking = Booking(
        closing.period.name, closing.card, draft.documents, moment(draft.known), closed_at, digest,
        closing.statements,
    )  # fmt: skip
    with app.session() as session:
        order_store.lock(session)
        if ledger_store.newest_event(session, after(draft.known)) > draft.seen:
            return None
        try:
            ledger_store.close(session, booking)
        except PeriodClosed:
            return None  # by somebody who was faster: the next try finds it closed
        session.commit()
    files.forget_others(closing.period.name, digest)
    return replace(closing, check=check, closed_at=closed_at)

"""The month's statements: charges of the month, and corrections of months that were closed before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from typing import Any

from chargeback.late import Known
from chargeback.ledger import exact_number, sums, sums_text
from chargeback.money import NANOS_PER_UNIT, exact_text, format_minor, round_to_minor, spelled
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import Statement
from chargeback.terms import Terms
from tierwise.app import App
from tierwise.usecases.books import Books, Final, load, month_of
from tierwise.usecases.ledger import close
from tierwise.usecases.metering import epoch, meter

Row = dict[str, Any]

_BOOKED_ONLY = ("number", "corrects_statement")
"""What the ledger's lines have and rows of a bill do not."""


@dataclass(frozen=True)
class Bill:
    """All tenants' statements of one period. `rows` are the lines as printed and exported."""

    period: BillingPeriod
    card: RateCard
    terms: Terms
    known_at: int
    issued: bool
    complete: bool
    """Whether the period was over when it was known; an unfinished one is billed so far."""
    names: Mapping[str, str]
    """Machine id -> name."""
    books: Books
    final: Final | None
    """The period's close or review, where this bill is of it."""

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """All tenants' statements, by tenant, made from usage and rates as known at `known_at`."""
        return tuple(self.books.statements(self.period, Known(self.card, self.known_at, self.terms)))

    @cached_property
    def rows(self) -> list[Row]:
        """One row per machine, metric and rate, then corrections; see `chargeback.statements.COLUMNS`.

        Of a closed period, what its ledger holds; else what follows from usage and rates.
        """
        if self.final and self.final.booked:
            held = self.books.rows(self.final)
            return [{key: value for key, value in row.items() if key not in _BOOKED_ONLY} for row in held]
        return [
            {**row, "machine_name": self.names.get(str(row["machine"]), "")}
            for statement in self.statements
            for row in statement.rows()
        ]

    @property
    def tenants(self) -> list[str]:
        """Who has a statement, in their order."""
        return list(self._by_tenant)

    def rows_of(self, statement: Statement | str) -> list[Row]:
        """The rows of one tenant's statement, with the machine's name beside its id."""
        return self._by_tenant[statement if isinstance(statement, str) else statement.tenant]

    @property
    def total(self) -> str:
        """The sum of all statements, per currency: ``EUR 412.60``."""
        return sums_text(sums(self.rows)) or spelled(0, self.card.minor_digits, self.card.currency)

    @property
    def note(self) -> str:
        """What kind of bill this is, in a sentence."""
        known = datetime.fromtimestamp(self.known_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        in_review = self.final and not self.final.closed
        state = "issued" if self.issued else "under review" if in_review else "not issued"
        so_far = "" if self.complete else "; the month is not over: this is what it cost so far"
        return (
            f"{state}, as known at {known}{so_far}; "
            f"lines are rounded once each ({self.card.rounding.value})"
        )

    @cached_property
    def _by_tenant(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row["tenant"], []).append(row)
        return found


def bill(app: App, month: str, *, known_at: datetime | None = None, issue: bool = False) -> Bill:
    """The statements of a month: as closed, as reviewed, or as known now or at a moment in the past.

    `issue` closes the month: facts that come later become corrections on the statements of the next
    one. Raises InvalidInput for a month that cannot be closed.
    """
    card = app.documents.rate_card
    period = month_of(month, card)
    if issue:
        close(app, month)
    meter(app)
    now = epoch(app.clock.now())
    books = load(app, card)
    final = books.finals.get(period.name) if known_at is None else None
    known = final.known if final else books.now(now if known_at is None else min(epoch(known_at), now))
    return Bill(
        final.period if final else period,
        known.card,
        known.terms,
        known.at,
        issued=bool(final and final.closed),
        complete=period.t_to <= known.at,
        names=books.names,
        books=books,
        final=final,
    )


def summary(rows: Sequence[Row], card: RateCard) -> list[Row]:
    """A statement's lines of usage added up per tier, metric and rate, then its other lines.

    `amount` is the sum of lines that were rounded one by one; `rounding` is what that adds to
    quantity x rate, shown to six digits; empty where a rate is more than a price per unit.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    others = []
    for row in rows:
        if row["charge_category"] == "Usage" and not row["charge_class"]:
            groups[tuple(row[name] for name in ("tier", "metric", "unit", "rate_id", "rate"))].append(row)
        else:
            others.append({**row, "machines": 1 if row["machine"] else "", "rounding": ""})
    return [_added_up(group, card) for group in groups.values()] + others


def _added_up(group: Sequence[Row], card: RateCard) -> Row:
    first = group[0]
    amount_minor = sum(row["amount_minor"] for row in group)
    quantity = sum((exact_number(row["quantity"]) for row in group), Fraction(0))
    return {
        "tier": first["tier"],
        "metric": first["metric"],
        "machines": len({row["machine"] for row in group}),
        "quantity": exact_text(quantity),
        "unit": first["unit"],
        "rate_id": first["rate_id"],
        "rate": first["rate"],
        "amount": format_minor(amount_minor, card.minor_digits),
        "amount_minor": amount_minor,
        "rounding": "" if first["note"] else _rounding(quantity, first["rate"], amount_minor, card),
        "charge_class": "",
        "period": first["period"],
    }


def _rounding(quantity: Fraction, price: str, amount_minor: int, card: RateCard) -> str:
    try:
        exact = quantity * Fraction(price)
    except ValueError:
        return ""
    made = Fraction(amount_minor, 10**card.minor_digits) - exact
    return format_minor(round_to_minor(made * NANOS_PER_UNIT, 6, card.rounding), 6)

"""Statements: one per tenant and period, rounded once per line, and corrections of closed ones.

Whoever has a line in hand can check it: amount = quantity x rate, rounded to the minor unit. A
statement is the sum of its lines, and what a later fact changes is a correction that shows both.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from chargeback.charges import Charge, hours, priced_quantity
from chargeback.instants import utc_text
from chargeback.money import exact_text, format_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard

Row = dict[str, str | int]
"""A line as plain data: text as it is printed, except the amounts in minor units."""

COLUMNS = (
    "statement", "line", "charge_category", "charge_class", "charge_frequency", "corrects", "tenant",
    "cost_centre", "period", "time_zone", "charge_from", "charge_to", "tier", "pool", "machine", "labels",
    "metric", "quantity", "hours", "unit", "rate_id", "rate", "rate_card", "currency", "list_amount_minor",
    "amount", "amount_minor", "note",
)  # fmt: skip
"""The columns of every row, in order."""


@dataclass(frozen=True, slots=True)
class Line:
    """One priced line. `card` says how it was rounded."""

    charge: Charge
    card: RateCard
    amount_minor: int

    @property
    def id(self) -> str:
        """Names the line among all lines of all periods; the same usage has the same id for ever."""
        charge = self.charge
        parts = (
            charge.period.name, charge.tenant, charge.cost_centre, charge.tier, charge.rate.metric,
            charge.rate.id, charge.machine or "", charge.pool, charge.labels,
        )  # fmt: skip
        return "/".join(part for part in parts if part)

    @property
    def quantity(self) -> str:
        """The quantity in the rate's unit, exactly: a decimal, or a fraction where none is finite."""
        return exact_text(self.charge.quantity)

    @property
    def amount(self) -> str:
        """The amount with the currency's decimals."""
        return format_minor(self.amount_minor, self.card.minor_digits)

    def row(self, statement: str) -> Row:
        """The line as a row of `COLUMNS`."""
        charge, rate = self.charge, self.charge.rate
        return {
            "statement": statement, "line": self.id, "charge_category": rate.category.title(), "charge_class": "",
            "charge_frequency": rate.frequency.title(), "corrects": "",
            "tenant": charge.tenant, "cost_centre": charge.cost_centre, "period": charge.period.name,
            "time_zone": charge.period.time_zone, "charge_from": utc_text(charge.t_from),
            "charge_to": utc_text(charge.t_to), "tier": charge.tier, "pool": charge.pool,
            "machine": charge.machine or "", "labels": charge.labels,
            "metric": rate.metric.value, "quantity": self.quantity,
            "hours": exact_text(hours(charge.seconds)), "unit": rate.unit, "rate_id": rate.id,
            "rate": rate.price_text, "rate_card": self.card.label, "currency": self.card.currency,
            "list_amount_minor": self.amount_minor, "amount": self.amount,
            "amount_minor": self.amount_minor, "note": charge.note,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Correction:
    """What a later fact changes about one line of a closed period.

    `before` is the line as it was stated (None: there was none), `after` as it is known now (None:
    there should be none). Its amount is the difference of two rounded amounts, so that the closed
    line and its corrections always add up to the line as known now.
    """

    before: Line | None
    after: Line | None

    @property
    def corrects(self) -> str:
        """The id of the line that is corrected, or that was missing."""
        return self._line.id

    @property
    def tenant(self) -> str:
        """Whose statement was wrong."""
        return self._line.charge.tenant

    @property
    def card(self) -> RateCard:
        """In whose currency it is."""
        return self._line.card

    @property
    def amount_minor(self) -> int:
        """What is to be paid in addition; negative for a credit."""
        return _amount(self.after) - _amount(self.before)

    @property
    def _line(self) -> Line:
        line = self.after or self.before
        assert line is not None, "a correction of nothing"
        return line

    def row(self, statement: str) -> Row:
        """The correction as a row of `COLUMNS`; `quantity` and `hours` are differences too."""
        line = self._line
        quantities, seconds = (
            [getattr(side.charge, name) if side else 0 for side in (self.before, self.after)]
            for name in ("quantity_seconds", "seconds")
        )
        quantity = priced_quantity(line.charge.rate, quantities[1] - quantities[0], line.charge.per_s)
        return line.row(statement) | {
            "line": f"{statement}/correction/{line.id}", "charge_class": "Correction",
            "corrects": line.id, "quantity": exact_text(quantity),
            "hours": exact_text(hours(seconds[1] - seconds[0])),
            "list_amount_minor": self.amount_minor,
            "amount": format_minor(self.amount_minor, line.card.minor_digits),
            "amount_minor": self.amount_minor, "note": f"{_shown(self.before)} -> {_shown(self.after)}",
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """All lines of one tenant for one period, and corrections of earlier periods."""

    tenant: str
    period: BillingPeriod
    card: RateCard
    lines: tuple[Line, ...]
    corrections: tuple[Correction, ...] = ()

    @property
    def id(self) -> str:
        """``2026-10/payroll``."""
        return f"{self.period.name}/{self.tenant}"

    @property
    def total_minor(self) -> int:
        """The sum of the lines and corrections; nothing else is ever added or rounded."""
        return sum(item.amount_minor for item in self._items)

    @property
    def total(self) -> str:
        """``EUR 412.60``."""
        return format_minor(self.total_minor, self.card.minor_digits, self.card.currency)

    def rows(self) -> list[Row]:
        """Lines, then corrections, as rows of `COLUMNS`."""
        return [item.row(self.id) for item in self._items]

    @property
    def _items(self) -> tuple[Line | Correction, ...]:
        return (*self.lines, *self.corrections)


def line(charge: Charge, card: RateCard) -> Line:
    """A charge, rounded."""
    return Line(charge, card, charge.rounded(card))


def statements(charges: Iterable[Charge], card: RateCard) -> list[Statement]:
    """The statements of all tenants and periods in the charges, by period and tenant."""
    grouped = defaultdict(list)
    for charge in charges:
        grouped[charge.period.t_from, charge.tenant].append(charge)
    return [
        Statement(tenant, group[0].period, card, tuple(line(charge, card) for charge in group))
        for (_, tenant), group in sorted(grouped.items(), key=lambda item: item[0])
    ]


def corrections(before: Iterable[Statement], after: Iterable[Statement]) -> list[Correction]:
    """What the closed statements `before` must be corrected by to become `after`.

    Both are about the same periods at the same grain: as known when they were closed (or last
    corrected), and as known now. Lines are matched by id, and lines that did not change have none.
    """
    old, new = _by_id(before), _by_id(after)
    return [
        Correction(old.get(key), new.get(key))
        for key in [*old, *(key for key in new if key not in old)]
        if _facts(old.get(key)) != _facts(new.get(key))
    ]


def with_corrections(
    issued: Sequence[Statement], late: Iterable[Correction], period: BillingPeriod, card: RateCard
) -> list[Statement]:
    """The statements of `period` with corrections of earlier ones added, by tenant.

    A tenant with corrections and no lines gets a statement of corrections. Raises ValueError for a
    statement of another period and a correction in another currency.
    """
    by_tenant = defaultdict(list)
    for correction in late:
        theirs = correction.card
        if (theirs.currency, theirs.minor_digits) != (card.currency, card.minor_digits):
            msg = f"cannot book a correction in {theirs.currency} on a statement in {card.currency}"
            raise ValueError(msg)
        by_tenant[correction.tenant].append(correction)
    found = {tenant: Statement(tenant, period, card, ()) for tenant in by_tenant}
    for statement in issued:
        if statement.period != period:
            msg = f"statement {statement.id} is not of {period.name}"
            raise ValueError(msg)
        found[statement.tenant] = statement
    return [
        replace(found[tenant], corrections=found[tenant].corrections + tuple(by_tenant[tenant]))
        for tenant in sorted(found)
    ]


def _amount(side: Line | None) -> int:
    return side.amount_minor if side else 0


def _facts(side: Line | None) -> tuple[int, int, int] | None:
    return (side.charge.quantity_seconds, side.charge.seconds, side.amount_minor) if side else None


def _shown(side: Line | None) -> str:
    if side is None:
        return "nothing"
    return f"{side.quantity} {side.charge.rate.unit} x {side.charge.rate.price_text} = {side.amount}"


def _by_id(issued: Iterable[Statement]) -> dict[str, Line]:
    return {line_.id: line_ for statement in issued for line_ in statement.lines}

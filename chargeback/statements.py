"""Statements: one per tenant and period, rounded once per line, and corrections of closed ones.

Whoever has a line in hand can check it: amount = quantity x rate, rounded to the minor unit. A
statement is the sum of its lines and of the adjustments beside them, and what a later fact changes is a
correction that shows both.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from chargeback.adjusting import Adjustment, adjust
from chargeback.adjustment import Inapplicable, Run
from chargeback.charges import Charge, hours, priced_quantity
from chargeback.fx import Conversion
from chargeback.instants import END_OF_TIME_S, utc_text
from chargeback.money import exact_text, format_minor, round_to_minor
from chargeback.passed_on import PassedOn, of_tenant, other_currency
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.stacks import StackedCharge
from chargeback.terms import NO_TERMS, Terms

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
    """One priced line. `card` says how it was rounded, in the currency that is paid.

    `conversion` is how it came to that currency, None where the card's prices are in it.
    `listed_minor` is what the base card of a stack asks for the same, None where this is that price.
    """

    charge: Charge
    card: RateCard
    amount_minor: int
    conversion: Conversion | None = None
    listed_minor: int | None = None

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

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.charge.tenant

    @property
    def list_amount_minor(self) -> int:
        """At list price, in minor units."""
        return self.amount_minor if self.listed_minor is None else self.listed_minor

    @property
    def note(self) -> str:
        """The terms of an amount that is not quantity x rate, and how it became another currency's."""
        converted = self.conversion.note(self.charge.amount_nanos) if self.conversion else ""
        return "; ".join(text for text in (self.charge.note, converted) if text)

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
            "list_amount_minor": self.list_amount_minor, "amount": self.amount,
            "amount_minor": self.amount_minor, "note": self.note,
        }  # fmt: skip


Item = Line | Adjustment | PassedOn
"""What a statement states, and a correction corrects."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a later fact changes about one line or adjustment of a closed period.

    `before` is the item as it was stated (None: there was none), `after` as it is known now (None:
    there should be none). Its amount is the difference of two rounded amounts, so that the closed
    item and its corrections always add up to the item as known now.
    """

    before: Item | None
    after: Item | None

    @property
    def corrects(self) -> str:
        """The id of the item that is corrected, or that was missing."""
        return self.item.id

    @property
    def tenant(self) -> str:
        """Whose statement was wrong."""
        return self.item.tenant

    @property
    def card(self) -> RateCard:
        """In whose currency it is."""
        return self.item.card

    @property
    def amount_minor(self) -> int:
        """What is to be paid in addition; negative for a credit."""
        return _amount(self.after) - _amount(self.before)

    @property
    def item(self) -> Item:
        """The item as known now, or as it was where it should not be."""
        item = self.after or self.before
        assert item is not None, "a correction of nothing"
        return item

    def row(self, statement: str) -> Row:
        """The correction as a row of `COLUMNS`; `quantity` and `hours` are differences too."""
        item, sides = self.item, (self.before, self.after)
        listed = [side.list_amount_minor if side else 0 for side in sides]
        return item.row(statement) | self._differences() | {
            "line": f"{statement}/correction/{item.id}", "charge_class": "Correction",
            "corrects": item.id, "list_amount_minor": listed[1] - listed[0],
            "amount": format_minor(self.amount_minor, item.card.minor_digits),
            "amount_minor": self.amount_minor, "note": " -> ".join(_shown(side) for side in sides),
        }  # fmt: skip

    def _differences(self) -> Row:
        item = self.item
        if not isinstance(item, Line):
            return {}
        charges = [side.charge if isinstance(side, Line) else None for side in (self.before, self.after)]
        quantities = [charge.quantity_seconds if charge else 0 for charge in charges]
        seconds = [charge.seconds if charge else 0 for charge in charges]
        return {
            "quantity": exact_text(
                priced_quantity(item.charge.rate, quantities[1] - quantities[0], item.charge.per_s)
            ),
            "hours": exact_text(hours(seconds[1] - seconds[0])),
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """All lines and adjustments of one tenant for one period, and corrections of earlier periods.

    `card` is the rate card in the currency that the tenant is billed in.
    """

    tenant: str
    period: BillingPeriod
    card: RateCard
    lines: tuple[Line, ...]
    corrections: tuple[Correction, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    passed_on: tuple[PassedOn, ...] = ()

    @property
    def id(self) -> str:
        """``2026-10/payroll``."""
        return f"{self.period.name}/{self.tenant}"

    @property
    def total_minor(self) -> int:
        """The sum of all its items and corrections; nothing else is ever added or rounded."""
        return sum(item.amount_minor for item in (*self.items, *self.corrections))

    @property
    def total(self) -> str:
        """``EUR 412.60``."""
        return format_minor(self.total_minor, self.card.minor_digits, self.card.currency)

    @property
    def items(self) -> tuple[Item, ...]:
        """What it states about its own period: lines, adjustments in the order of application, what is passed on."""
        return (*self.lines, *self.adjustments, *self.passed_on)

    def rows(self) -> list[Row]:
        """Its items, then corrections, as rows of `COLUMNS`."""
        return [item.row(self.id) for item in (*self.items, *self.corrections)]


def line(charge: Charge, card: RateCard, conversion: Conversion | None = None) -> Line:
    """A charge, rounded, in the currency of `card`: that of the rates, or the one it is converted to."""
    listed = None
    if isinstance(charge, StackedCharge):
        card = _in_currency_of(card, charge.card or card)
        if charge.list_nanos is not None:
            listed = _minor(charge.list_nanos, card, conversion)
    if conversion is None:
        return Line(charge, card, charge.rounded(card), None, listed)
    return Line(charge, card, _minor(charge.amount_nanos, card, conversion), conversion, listed)


def statements(
    charges: Iterable[Charge],
    card: RateCard,
    adjustments: Terms = NO_TERMS,
    *,
    known_at: int = END_OF_TIME_S,
    periods: Iterable[BillingPeriod] = (),
) -> list[Statement]:
    """The statements of all tenants and periods in the charges, by period and tenant.

    `adjustments` are applied as known at `known_at`; a period that was not over then is billed so far.
    Credits are used up over the periods given, in their order: give all since a credit began.
    Tenants with a minimum get a statement for each of `periods` though they used nothing. Raises
    Inapplicable for a missing exchange rate, and an adjustment in a currency that its tenant is not billed in.
    """
    grouped: dict[tuple[int, str], list[Charge]] = defaultdict(list)
    months = {period.t_from: period for period in periods}
    for charge in charges:
        months.setdefault(charge.period.t_from, charge.period)
        grouped[charge.period.t_from, charge.tenant].append(charge)
    for t_from, period in months.items():
        for tenant in adjustments.tenants_without_usage(period.name, known_at):
            grouped.setdefault((t_from, tenant), [])
    used: dict[str, dict[str, int]] = defaultdict(dict)
    found = []
    for (t_from, tenant), group in sorted(grouped.items(), key=lambda item: item[0]):
        statement = _statement(group, card, adjustments, tenant, months[t_from], known_at, used[tenant])
        for one in statement.adjustments:
            used[tenant][one.term.name] = used[tenant].get(one.term.name, 0) - one.amount_minor
        if statement.items:
            found.append(statement)
    return found


def _statement(
    charges: Sequence[Charge], card: RateCard, terms: Terms, tenant: str, period: BillingPeriod,
    known_at: int, used: dict[str, int],
) -> Statement:  # fmt: skip
    billing = terms.billing_of(tenant, period.name)
    billed = billing.card(card) if billing else card
    conversion = billing.conversion(period, known_at) if billing and charges else None
    lines = [line(charge, billed, conversion) for charge in charges]
    held = terms.of_tenant(tenant, period.name, known_at)
    before = {
        term.name: sum(used.get(name, 0) for name in (term.name, *terms.replaced_by(term)))
        for term in held
        if term.carries_over
    }
    run = Run(period, tenant, billed, known_at, before)
    return Statement(tenant, period, billed, tuple(lines), adjustments=adjust(lines, held, run))


def with_passed_on(
    issued: Sequence[Statement],
    items: Iterable[PassedOn],
    period: BillingPeriod,
    card: RateCard,
    adjustments: Terms = NO_TERMS,
) -> list[Statement]:
    """The statements of `period` with what providers billed for it added, by tenant; it is never adjusted.

    Raises Inapplicable for a bill in another currency than its tenant's.
    """
    by_tenant = of_tenant(items)
    found = {statement.tenant: statement for statement in issued}
    for tenant, passed in by_tenant.items():
        billed = adjustments.billed_card(card, tenant, period.name)
        wrong = other_currency(passed, billed)
        if wrong:
            raise Inapplicable(wrong)
        held = found.get(tenant) or Statement(tenant, period, billed, ())
        found[tenant] = replace(held, passed_on=passed)
    return [found[tenant] for tenant in sorted(found)]


def corrections(before: Iterable[Statement], after: Iterable[Statement]) -> list[Correction]:
    """What the closed statements `before` must be corrected by to become `after`.

    Both are about the same periods at the same grain: as known when they were closed (or last
    corrected), and as known now. Lines and adjustments are matched by id, and those that did not change
    have none. Raises ValueError where an amount was in another currency before.
    """
    old, new = _by_id(before), _by_id(after)
    found = [
        Correction(old.get(key), new.get(key))
        for key in [*old, *(key for key in new if key not in old)]
        if _facts(old.get(key)) != _facts(new.get(key))
    ]
    for correction in found:
        _refuse_two_currencies(correction)
    return found


def with_corrections(
    issued: Sequence[Statement],
    late: Iterable[Correction],
    period: BillingPeriod,
    card: RateCard,
    adjustments: Terms = NO_TERMS,
) -> list[Statement]:
    """The statements of `period` with corrections of earlier ones added, by tenant.

    A tenant with corrections and no lines gets a statement of corrections; `adjustments` say in which
    currency. Corrections are never adjusted again: they are differences of what was. Raises ValueError
    for a statement of another period and a correction in another currency.
    """
    by_tenant = defaultdict(list)
    for correction in late:
        theirs, ours = correction.card, adjustments.billed_card(card, correction.tenant, period.name)
        if (theirs.currency, theirs.minor_digits) != (ours.currency, ours.minor_digits):
            msg = f"cannot book a correction in {theirs.currency} on a statement in {ours.currency}"
            raise ValueError(msg)
        by_tenant[correction.tenant].append(correction)
    found = {
        tenant: Statement(tenant, period, adjustments.billed_card(card, tenant, period.name), ())
        for tenant in by_tenant
    }
    for statement in issued:
        if statement.period != period:
            msg = f"statement {statement.id} is not of {period.name}"
            raise ValueError(msg)
        found[statement.tenant] = statement
    return [
        replace(found[tenant], corrections=found[tenant].corrections + tuple(by_tenant[tenant]))
        for tenant in sorted(found)
    ]


def _in_currency_of(billed: RateCard, card: RateCard) -> RateCard:
    """`card`, which has prices in the currency of the base card, as it is billed."""
    if (card.currency, card.minor_digits) == (billed.currency, billed.minor_digits):
        return card
    return card.model_copy(update={"currency": billed.currency, "minor_digits": billed.minor_digits})


def _minor(nanos: Fraction, card: RateCard, conversion: Conversion | None) -> int:
    if conversion:
        return conversion.minor(nanos, card.minor_digits, card.rounding)
    return round_to_minor(nanos, card.minor_digits, card.rounding)


def _amount(side: Item | None) -> int:
    return side.amount_minor if side else 0


def _facts(side: Item | None) -> tuple[object, ...] | None:
    """What a correction is made for where it differs."""
    if side is None:
        return None
    money = (side.card.currency, side.card.minor_digits, side.amount_minor, side.list_amount_minor)
    return (
        money if not isinstance(side, Line) else (side.charge.quantity_seconds, side.charge.seconds, *money)
    )


def _refuse_two_currencies(correction: Correction) -> None:
    before, after = correction.before, correction.after
    if before and after and before.card.currency != after.card.currency:
        msg = (
            f"{correction.corrects} was stated in {before.card.currency} and would now be in "
            f"{after.card.currency}; a tenant's currency changes only from an open month on"
        )
        raise ValueError(msg)


def _shown(side: Item | None) -> str:
    if side is None:
        return "nothing"
    if not isinstance(side, Line):
        return side.note
    fx = f" ({side.note})" if side.note else ""
    return f"{side.quantity} {side.charge.rate.unit} x {side.charge.rate.price_text} = {side.amount}{fx}"


def _by_id(issued: Iterable[Statement]) -> dict[str, Item]:
    return {item.id: item for statement in issued for item in statement.items}

"""From usage to a month's statements in one call: cards, earlier months that credits depend on, adjustments."""

from collections.abc import Callable, Sequence
from typing import Any

from chargeback.charges import Charge
from chargeback.engines.contract import Engine
from chargeback.engines.rows import ROWS_MAX, RowsEngine
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.rating import DUCKDB, Grain, rate
from chargeback.rating_stacks import rate_stack
from chargeback.stacks import Stack
from chargeback.statements import Statement, statements
from chargeback.terms import NO_TERMS, Terms


def bill(
    usage: Any,
    card: RateCard,
    period: BillingPeriod,
    known_at: int,
    terms: Terms = NO_TERMS,
    *,
    grain: Grain = Grain.MACHINE,
    engine: Engine = DUCKDB,
) -> list[Statement]:
    """All tenants' statements of `period`, as usage, rates and terms were known at `known_at`.

    `usage` must go back as far as `terms.history(period)`. With stacked cards, `card` is the base card.
    Raises what `rate` and `statements` raise.
    """
    charges = priced(
        usage, card, (*terms.history(period), period), known_at, terms, grain=grain, engine=engine
    )
    return _of(period, charges, card, known_at, terms)


def bill_month_by_month(
    usage_of: Callable[[BillingPeriod], Any],
    card: RateCard,
    period: BillingPeriod,
    known_at: int,
    terms: Terms = NO_TERMS,
    *,
    grain: Grain = Grain.MACHINE,
    engine: Engine = DUCKDB,
) -> list[Statement]:
    """The same where each month's usage is read by itself: `usage_of` gives all rows that overlap a month."""
    charges = [
        charge
        for month in (*terms.history(period), period)
        for charge in priced(usage_of(month), card, [month], known_at, terms, grain=grain, engine=engine)
    ]
    return _of(period, charges, card, known_at, terms)


def priced(
    usage: Any,
    card: RateCard,
    periods: Sequence[BillingPeriod],
    known_at: int,
    terms: Terms = NO_TERMS,
    *,
    grain: Grain = Grain.MACHINE,
    engine: Engine = DUCKDB,
) -> list[Charge]:
    """The charges of several months, by the stacked cards where there are any. Raises as `rate` does.

    A few rows are priced without the engine, which is the same and sooner.
    """
    if hasattr(usage, "num_rows") and usage.num_rows <= ROWS_MAX:
        engine = RowsEngine()
    if terms.stack is None:
        return rate(usage, card, periods, known_at, grain=grain, engine=engine)
    return rate_stack(usage, _on(card, terms.stack), periods, known_at, grain=grain, engine=engine)


def _of(
    period: BillingPeriod, charges: Sequence[Charge], card: RateCard, known_at: int, terms: Terms
) -> list[Statement]:
    months = (*terms.history(period), period)
    found = statements(charges, card, terms, known_at=known_at, periods=months)
    return [statement for statement in found if statement.period == period]


def _on(card: RateCard, stack: Stack) -> Stack:
    """The stack in the card's time zone: a month that was billed in another one stays the month that it was."""
    if stack.base.label != card.label:
        msg = f"the stack stands on rate card {stack.base.label}, not on {card.label}; price by that one"
        raise ValueError(msg)
    zone = {"time_zone": card.time_zone}
    layers = tuple(
        layer.model_copy(update={"card": layer.card.model_copy(update=zone)}) for layer in stack.layers
    )
    return stack.model_copy(update={"base": card, "layers": layers})

"""From usage to a month's statements in one call: cards, earlier months that credits depend on, adjustments."""

from collections.abc import Sequence
from typing import Any

from chargeback.charges import Charge
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.rating import Grain, rate
from chargeback.rating_stacks import rate_stack
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
) -> list[Statement]:
    """All tenants' statements of `period`, as usage, rates and terms were known at `known_at`.

    With stacked cards, `card` is the base card. Raises what `rate` and `statements` raise.
    """
    periods = (*terms.history(period), period)
    charges = priced(usage, card, periods, known_at, terms, grain=grain)
    found = statements(charges, card, terms, known_at=known_at, periods=periods)
    return [statement for statement in found if statement.period == period]


def priced(
    usage: Any,
    card: RateCard,
    periods: Sequence[BillingPeriod],
    known_at: int,
    terms: Terms = NO_TERMS,
    *,
    grain: Grain = Grain.MACHINE,
) -> list[Charge]:
    """The charges of several months, by the stacked cards where there are any. Raises as `rate` does."""
    if terms.stack is None:
        return rate(usage, card, periods, known_at, grain=grain)
    if terms.stack.base != card:
        msg = f"the stack stands on rate card {terms.stack.base.label}, not on {card.label}; price by that one"
        raise ValueError(msg)
    return rate_stack(usage, terms.stack, periods, known_at, grain=grain)

"""Stacked rate cards: a base card, cards of cost centres above it, cards of tenants above those.

A card above either overrides what it prices, or charges it in addition; `rating_stacks` does it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Name, Value
from chargeback.charges import Charge
from chargeback.rates import RateCard
from chargeback.units import Per


class StackMode(StrEnum):
    """What becomes of the price that the cards below have for the same usage: replaced, or charged too."""

    OVERRIDE = "override"
    CUMULATIVE = "cumulative"


class Layer(Value):
    """A card above the base card, for one tenant or one cost centre, wherever and whenever it has a rate."""

    card: RateCard
    mode: StackMode
    tenant: Name | None = None
    cost_centre: Name | None = None

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.tenant is None) == (self.cost_centre is None):
            msg = "a layer is for a tenant or for a cost centre; name one of both"
            raise ValueError(msg)
        return self

    @property
    def whose(self) -> str:
        """``tenant shop``."""
        return f"tenant {self.tenant}" if self.tenant else f"cost centre {self.cost_centre}"


class Stack(Value):
    """Precedence: a tenant's card before its cost centre's card before the base card."""

    base: RateCard
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        found = stack_breaches(self.base, self.layers)
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def from_the_top(self) -> list[Layer]:
        """The layers, the most special ones first."""
        return sorted(self.layers, key=lambda layer: (layer.tenant is None, layer.whose))


@dataclass(frozen=True, slots=True)
class StackedCharge(Charge):
    """A charge by a card of a stack. `list_nanos` is what the base card asks for the same, None if it is that card's."""

    card: RateCard | None = None
    list_nanos: Fraction | None = None


def stack_breaches(base: RateCard, layers: Sequence[Layer]) -> list[str]:
    """What keeps cards from being stacked: another currency, calendar or rounding, shared names of rates."""
    found = []
    for layer in layers:
        for field in ("currency", "minor_digits", "time_zone", "rounding"):
            theirs, ours = getattr(layer.card, field), getattr(base, field)
            if theirs != ours:
                found.append(
                    f"rate card {layer.card.label} has {field} {theirs}, and the base card {base.label} "
                    f"{ours}; stacked cards must agree"
                )
    found += [
        f"rate '{rate.id}' is paid once, which stacked cards cannot charge: usage is cut where a card above begins; "
        "charge it as a monthly fee, or take the stack away"
        for card in {card.label: card for card in (base, *(layer.card for layer in layers))}.values()
        for rate in card.rates
        if rate.per is Per.ONCE
    ]
    times = Counter(layer.whose for layer in layers)
    found += [f"{whose} has {n} cards; stack one" for whose, n in times.items() if n > 1]
    cards = {card.label: card for card in (base, *(layer.card for layer in layers))}
    ids = Counter(rate.id for card in cards.values() for rate in card.rates)
    shared = sorted(name for name, n in ids.items() if n > 1)
    if shared:
        found.append(f"stacked cards share the rate ids {', '.join(shared)}; each rate needs its own")
    return found

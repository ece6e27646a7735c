"""What some tiers charge changes by a percentage."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tierwise.planner.change import Change
from tierwise.planner.changes.price import Percent
from tierwise.planner.selecting import Known, Mistake, Text, unknown
from tierwise.planner.world import World


class Rate(Change):
    """The rates of tiers change; what they cost, and so where machines run, does not."""

    summary: ClassVar[str] = "what some tiers charge by the document's rates changes by a percentage"
    example: ClassVar[str] = "{kind: rate, tiers: [tier-1], percent: 20}"
    kind: Literal["rate"]
    tiers: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="Which tiers; all where not given."
    )
    percent: Percent = Field(description="By how much, in percent: -100 takes all of it away.")

    def __str__(self) -> str:
        of = f" of {', '.join(self.tiers)}" if self.tiers else ""
        return f"rates{of} {self.percent:+}%"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown tiers, and a document that has no rates."""
        if not known.rates:
            yield ("kind",), "needs the document's 'rates', which say what tiers charge"
        yield from unknown(("tiers",), self.tiers or (), known.tiers)

    def touches(self, known: Known) -> frozenset[str]:
        """The rates of each tier."""
        return frozenset(f"the rates of {tier}" for tier in self._named(known))

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Any pool of the tiers."""
        named = self._named(known)
        return (frozenset(name for name, pool in known.pools.items() if pool.tier in named),)

    def apply(self, world: World) -> World:
        """The world with the rates changed."""
        named = self.tiers or tuple(dict.fromkeys(one.like.tier for one in world.pools.values()))
        factor = 1 + Fraction(self.percent) / 100
        return replace(
            world, rates={**world.rates, **{tier: world.rates.get(tier, 1) * factor for tier in named}}
        )

    def _named(self, known: Known) -> tuple[str, ...]:
        return self.tiers or known.tiers

"""What things cost on some pools changes by a percentage."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, PoolSelector, unknown
from tierwise.planner.world import Factor, World

LICENCES = "licences"
Percent = Annotated[Decimal, Field(ge=-100, le=10_000, max_digits=12, allow_inf_nan=False)]


class Price(Change):
    """Costs of pools, of one term or of all, change by a percentage."""

    summary: ClassVar[str] = (
        "what hosts, machines, moves and the pool itself cost changes by a percentage, in one term or in all"
    )
    example: ClassVar[str] = "{kind: price, of: {tiers: [tier-1]}, percent: 20}"
    kind: Literal["price"]
    of: PoolSelector | None = Field(default=None, description="Which pools; all where not given.")
    term: str = Field(default="", description="Which term, such as power; all where not given.")
    percent: Percent = Field(description="By how much, in percent: -100 takes all of it away.")

    def __str__(self) -> str:
        return f"{self.term or 'prices'}{f' of {self.of}' if self.of else ''} {self.percent:+}%"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown pools or terms."""
        if self.of is not None:
            yield from ((("of", *path), why) for path, why in self.of.mistakes(known))
        if self.term == LICENCES and LICENCES not in known.terms:
            why = (
                "licences are no cost of hosts, machines or pools; change their price by "
                "{kind: licence, product: ..., percent: ...}"
            )
            yield ("term",), why
        elif self.term:
            yield from ((("term",), why) for _, why in unknown((), (self.term,), known.terms))

    def touches(self, known: Known) -> frozenset[str]:
        """Each term of each pool."""
        pools = self.of.names(known) if self.of else known.pools
        return frozenset(f"the price of {self.term or 'everything'} on {pool}" for pool in pools)

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Any of the pools."""
        return (self.of.names(known),) if self.of else ()

    def apply(self, world: World) -> World:
        """The world with the prices changed."""
        return replace(world, factors=(*world.factors, Factor(self.percent, self.of, self.term)))

"""Tier bounds: the worst and the best tier that requests may run on."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from catalog.base import Name
from catalog.catalog import Catalog
from catalog.wording import known_names
from policies.facts import PoolFacts
from policies.rule import Finding, PoolRule


class TierBounds(PoolRule):
    """A floor, a ceiling or both, by tier name; tiers compare by rank, and rank 1 is the highest."""

    kind: Literal["tier_bounds"]
    floor: Name | None = Field(default=None, description="The lowest tier that will do.")
    ceiling: Name | None = Field(default=None, description="The highest tier that is allowed.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.floor is None and self.ceiling is None:
            msg = "needs a floor, a ceiling or both"
            raise ValueError(msg)
        return self

    def mistakes(self, catalog: Catalog) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Tiers that do not exist, and a floor above the ceiling."""
        bounds = {"floor": self.floor, "ceiling": self.ceiling}
        unknown = [(f, n) for f, n in bounds.items() if n is not None and n not in catalog.tiers]
        for name, tier in unknown:
            yield (name,), f"unknown tier '{tier}'; {known_names(tier, catalog.tiers)}"
        if self.floor is None or self.ceiling is None or unknown:
            return
        if catalog.tiers[self.ceiling].rank > catalog.tiers[self.floor].rank:
            msg = f"the floor {self.floor} is above the ceiling {self.ceiling}, so no tier is left"
            yield ("floor",), msg

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """The floor, where the pool's tier is below it; the ceiling, where it is above."""
        if self.floor and pool.tier_rank > catalog.tiers[self.floor].rank:
            yield _finding(pool, self.floor, "or higher", "below")
        if self.ceiling and pool.tier_rank < catalog.tiers[self.ceiling].rank:
            yield _finding(pool, self.ceiling, "or lower", "above")


def _finding(pool: PoolFacts, bound: str, direction: str, side: str) -> Finding:
    return Finding(
        dimension="tier",
        limit=f"{bound} {direction}",
        need=pool.tier,
        claim=f"the tier must be {bound} {direction}",
        fact=f"{pool.name} is {pool.tier}, {side} {bound}",
        remedy=f"choose {bound} {direction}",
    )

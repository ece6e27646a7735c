"""Forbidden traits: what must not be true of the pool."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from catalog.base import Trait
from catalog.catalog import Catalog
from policies.facts import PoolFacts
from policies.requirements import unwanted_traits
from policies.rule import Finding, PoolRule


class ForbidTraits(PoolRule):
    """No listed trait may be there."""

    kind: Literal["forbid_traits"]
    traits: Annotated[frozenset[Trait], Field(min_length=1)]

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """One for each trait that the pool has."""
        return unwanted_traits("these machines must not be on a pool with", self.traits, pool)

"""Required traits: what must be true of the pool."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from catalog.base import Trait
from catalog.catalog import Catalog
from policies.facts import PoolFacts
from policies.requirements import missing_traits
from policies.rule import Finding, PoolRule


class RequireTraits(PoolRule):
    """Every listed trait must be there."""

    kind: Literal["require_traits"]
    traits: Annotated[frozenset[Trait], Field(min_length=1)]

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """One for each trait that the pool does not have."""
        return missing_traits("these machines need", self.traits, pool)

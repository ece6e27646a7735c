"""Required capabilities: what must work on the pool."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from catalog.capabilities import Capability
from catalog.catalog import Catalog
from policies.facts import PoolFacts
from policies.requirements import missing_capabilities
from policies.rule import Finding, PoolRule


class RequireCapabilities(PoolRule):
    """Every listed capability must work; a refusal gives the reason why it does not."""

    kind: Literal["require_capabilities"]
    capabilities: Annotated[frozenset[Capability], Field(min_length=1)]

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """One for each capability that the pool lacks."""
        return missing_capabilities("these machines need", self.capabilities, pool)

"""Forbid: whatever the predicate describes is refused."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.catalog import Catalog
from policies.facts import PoolFacts
from policies.rule import Finding, PoolRule


class Forbid(PoolRule):
    """The rule for what no other kind says; `when` names facts of the request, the pool or both."""

    kind: Literal["forbid"]
    message: Annotated[str, Field(min_length=5, max_length=300)]
    remedy: Annotated[str, Field(min_length=5, max_length=300)]

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if "when" not in self.model_fields_set:
            msg = "needs a 'when'; without one, every request would be refused"
            raise ValueError(msg)
        return self

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """Always one: `when` has chosen already."""
        yield Finding(
            dimension="when",
            limit=self.when,
            need="not forbidden",
            claim=self.message,
            fact=f"{pool.name} is refused",
            remedy=self.remedy,
        )

"""What every rule document has, and the two families that kinds of rule belong to.

A kind of rule is one file in `policies.rules` with one class that derives from `PoolRule` or
`QuotaRule`. How to add one: ``docs/how-to/add-a-rule.md``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from catalog.base import Name, Value
from catalog.catalog import Catalog
from catalog.frozen import FrozenMapping
from catalog.resources import ResourceClass, Resources
from policies.decisions import Rejection
from policies.facts import PoolFacts
from policies.predicates import Predicate

GivenFact = StrictBool | StrictInt | str | tuple[str, ...]


class Expectation(StrEnum):
    """What an example says the rule does."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class Example(Value):
    """A case that is tried whenever the rule is loaded.

    Facts stand without their prefix: ``request: {tenant: payroll}``. Only what the rule looks at must
    be given; a pool's country and tier rank, and a tenant's cost centre, follow from the catalog.
    """

    request: FrozenMapping[str, GivenFact] = Field(default_factory=dict)
    pool: FrozenMapping[str, GivenFact] = Field(default_factory=dict)
    used: Resources | None = Field(
        default=None, description="Quotas only: what counts against the limit before the order."
    )
    expect: Expectation


class RuleDocument(Value):
    """What an administrator writes about one rule."""

    name: Name
    kind: str
    summary: Annotated[str, Field(min_length=10, max_length=200)]
    when: Annotated[str, Field(min_length=1, max_length=4000)] = Field(
        default="true", description="CEL: the requests that the rule is for; left out: all of them."
    )
    message: Annotated[str, Field(min_length=5, max_length=300)] | None = Field(
        default=None, description="What a refused person reads first, in place of the kind's own words."
    )
    remedy: Annotated[str, Field(min_length=5, max_length=300)] | None = Field(
        default=None, description="What would make it possible, in place of the kind's own words."
    )
    examples: tuple[Example, ...]

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    @model_validator(mode="after")
    def _both_ways(self) -> Self:
        shown = {example.expect for example in self.examples}
        missing = [e.value for e in Expectation if e not in shown]
        if missing:
            msg = f"examples need at least one case that is {' and one that is '.join(missing)}"
            raise ValueError(msg)
        return self

    def mistakes(self, catalog: Catalog) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not fit the catalog: the field's path in the document, and the problem in words."""
        yield from ()


@dataclass(frozen=True)
class Finding:
    """Why a pool does not do, in the two halves of a sentence: what is asked, what there is.

    `claim` is what a rule's own `message` replaces: "machines of this kind must be in DE"; `fact`
    names the pool: "hosted-nl is in NL". The other fields are those of `Rejection`.
    """

    dimension: str
    limit: str
    need: str
    claim: str
    fact: str
    remedy: str


class PoolRule(RuleDocument, ABC):
    """A rule about where: `when` says which requests, the kind says what their pool must be."""

    @abstractmethod
    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """Everything that speaks against this pool; nothing where it will do.

        The answer must depend on the arguments only, because it is kept and used again. In examples a
        fact may be missing; reading it raises AttributeError and the author is asked to give it.
        """


class QuotaRule(RuleDocument, ABC):
    """A rule about how much: what tenants may have in all, with what they have already.

    `when` may name only the tenant and its cost centre, because existing machines are counted by tenant.
    """

    together: bool = Field(
        default=False, description="true: one limit for all these tenants; false: each has its own."
    )

    @abstractmethod
    def limits(self) -> Mapping[ResourceClass, int]:
        """The most there may be of each resource class; no limit for what is left out."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule document with its predicate, checked against a catalog and tried on its examples."""

    document: RuleDocument
    predicate: Predicate

    @property
    def name(self) -> str:
        """The rule's name, as refusals cite it."""
        return self.document.name


def rejection(document: RuleDocument, pool: str, finding: Finding) -> Rejection:
    """What a refused person reads: the rule's words where it has some, its name, and the pool's fact."""
    return Rejection(
        rule_id=document.name,
        pool=pool,
        dimension=finding.dimension,
        limit=finding.limit,
        need=finding.need,
        why=f"{document.message or finding.claim} (rule {document.name}); {finding.fact}",
        remedy=document.remedy or finding.remedy,
    )


def undecided(document: RuleDocument, pool: str, reason: str) -> Rejection:
    """A rule that could not be evaluated refuses, and says so."""
    return Rejection(
        rule_id=document.name,
        pool=pool,
        dimension="when",
        limit=document.when,
        need="a yes or no",
        why=f"rule {document.name} could not be decided, so it refuses: {reason}",
        remedy=f"have the 'when' of rule {document.name} corrected",
    )

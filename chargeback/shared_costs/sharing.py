"""Shared tenants: what a platform team's own machines cost is borne by those whom it serves.

Its idle cost goes with it, by the same weights. Filters come after: whoever looks at one tenant alone
sees the idle cost that is this tenant's, and never that of all (OpenCost issue 1124).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction
from typing import Self

from pydantic import Field, model_validator

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from chargeback.shared_costs.costs import CUSTOM_MISSING, CUSTOM_UNUSED, Weight
from chargeback.shared_costs.parts import Kind, Part, proportional


class Among(StrEnum):
    """How what a shared tenant costs is divided: by what the others' machines cost, evenly, or as stated."""

    COST = "cost"
    EVEN = "even"
    CUSTOM = "custom"


class SharedTenant(Value):
    """A tenant whose cost others bear: all that are not shared themselves, or those of `custom`."""

    tenant: Name
    by: Among = Among.COST
    custom: FrozenMapping[Name, Weight] = Field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.tenant)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.by is Among.CUSTOM) != bool(self.custom):
            raise ValueError(CUSTOM_UNUSED if self.custom else CUSTOM_MISSING)
        return self


_Payer = tuple[str, str]


def share_out(parts: Sequence[Part], shared: Iterable[SharedTenant]) -> list[Part]:
    """The same cost with every shared tenant's parts borne by others, or by nobody where none is there."""
    rules = {rule.tenant: rule for rule in shared}
    held: dict[_Payer, Fraction] = defaultdict(Fraction)
    for part in parts:
        if part.kind is Kind.HELD and part.tenant and part.tenant not in rules:
            held[part.tenant, part.cost_centre] += part.exact
    found: list[Part] = []
    for part in parts:
        rule = rules.get(part.tenant)
        found += _passed_on(part, rule, held) if rule else (part,)
    return found


def _passed_on(part: Part, rule: SharedTenant, held: Mapping[_Payer, Fraction]) -> Iterator[Part]:
    weights = _weights(rule, held)
    whole = sum(weights.values(), Fraction(0))
    absent = sorted(set(rule.custom) - {tenant for tenant, _ in held})
    missing = sum(rule.custom[tenant] for tenant in absent)
    # Nothing is held, or nothing is left of what is: it stays to be seen, borne by nobody.
    if not whole:
        yield replace(part, tenant="", cost_centre="", via=rule.tenant, why="no tenant to share it with")
        return
    *shares, rest = proportional(part.exact, [*weights.values(), missing])
    for (tenant, cost_centre), share in zip(weights, shares, strict=True):
        if share:
            yield replace(part, tenant=tenant, cost_centre=cost_centre, via=rule.tenant, exact=share)
    if rest:
        why = f"the share of {', '.join(absent)}, who held nothing"
        yield replace(part, tenant="", cost_centre="", via=rule.tenant, why=why, exact=rest)


def _weights(rule: SharedTenant, held: Mapping[_Payer, Fraction]) -> dict[_Payer, Fraction]:
    """A weight for each payer; a tenant's own is cut by what its cost centres' machines cost."""
    if rule.by is Among.COST:
        return dict(held)
    tenants: dict[str, Fraction] = defaultdict(Fraction)
    for (tenant, _), cost in held.items():
        tenants[tenant] += cost
    return {
        (tenant, cost_centre): _weight(rule, tenant) * cost * Fraction(1, tenants[tenant])
        for (tenant, cost_centre), cost in held.items()
    }


def _weight(rule: SharedTenant, tenant: str) -> int:
    return 1 if rule.by is Among.EVEN else rule.custom.get(tenant, 0)

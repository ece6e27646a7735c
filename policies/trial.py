"""Tries a rule on the examples it carries; an example that comes out otherwise is a mistake in its document."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from catalog.capabilities import Capability, Gap, GapReason
from catalog.catalog import Catalog
from catalog.documents import Path
from catalog.resources import ResourceClass, Resources
from policies.facts import Fact, PoolFacts
from policies.predicates import Undecided
from policies.quotas import counter
from policies.rule import Example, Expectation, PoolRule, QuotaRule, Rule

Mistake = tuple[Path, str]
"""Where in the example, and what is wrong."""

_EXAMPLE_GAP = Gap(reason=GapReason.NOT_CONFIGURED, detail="the example does not list it")


class _Untold(Exception):
    """The rule looks at a fact that the example does not give."""


def try_example(
    rule: Rule, example: Example, vocabulary: Mapping[str, Fact], catalog: Catalog
) -> Iterator[Mistake]:
    """Everything that is wrong with one example, or nothing where the rule does what it says."""
    given = [("request", n, v) for n, v in example.request.items()]
    given += [("pool", n, v) for n, v in example.pool.items()]
    bad: list[Mistake] = [
        ((part, name), m) for part, name, v in given if (m := _bad(part, name, v, vocabulary, catalog))
    ]
    if example.pool and isinstance(rule.document, QuotaRule):
        bad.append((("pool",), "a quota looks at no pool; give 'request' and 'used'"))
    if bad:
        yield from bad
        return
    written = {f"{part}.{name}": _plain(value) for part, name, value in given}
    facts = _derived(written, catalog) | written
    yield from _contradictions(facts, catalog)
    try:
        reason = _refusal(rule, example, facts, catalog)
    except _Untold as untold:
        yield (), f"{untold}; give the example what the rule looks at"
        return
    if (reason is None) != (example.expect is Expectation.ALLOWED):
        outcome = f"refuses this: {reason}" if reason else "allows this"
        yield ("expect",), f"the example expects {example.expect}, and the rule {outcome}"


def _bad(
    part: str, name: str, value: object, vocabulary: Mapping[str, Fact], catalog: Catalog
) -> str | None:
    fact = vocabulary.get(f"{part}.{name}")
    if fact is None:
        known = ", ".join(n.removeprefix(f"{part}.") for n in vocabulary if n.startswith(f"{part}."))
        return f"unknown fact '{name}' of the {part}; known are {known}"
    return fact.problem_with(value, catalog)


def _plain(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _derived(facts: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """What the catalog says about the entries that are named, an offering's class first."""
    found: dict[str, Any] = {}
    if "request.offering" in facts:
        found["request.workload_class"] = catalog.offerings[facts["request.offering"]].workload_class
    named = {**found, **facts}
    if "request.workload_class" in named:
        found["request.availability"] = catalog.classes[named["request.workload_class"]].availability.value
    if "request.tenant" in named:
        found["request.cost_centre"] = catalog.tenants[named["request.tenant"]].cost_centre
    if "pool.tier" in named:
        found["pool.tier_rank"] = catalog.tiers[named["pool.tier"]].rank
    if "pool.site" in named:
        found["pool.country"] = catalog.sites[named["pool.site"]].country
    return found


def _contradictions(facts: Mapping[str, Any], catalog: Catalog) -> Iterator[Mistake]:
    for name, value in _derived(facts, catalog).items():
        if facts[name] != value:
            part, _, short = name.partition(".")
            yield (part, short), f"contradicts the catalog, where it is {value!r}"


def _refusal(rule: Rule, example: Example, facts: Mapping[str, Any], catalog: Catalog) -> str | None:
    """Why the rule refuses, or None where it does not. Raises _Untold."""
    applies = rule.predicate.holds(facts)
    if isinstance(applies, Undecided):
        msg = f"'when' could not be decided: {applies.reason}"
        raise _Untold(msg)
    if not applies:
        return None
    if isinstance(rule.document, QuotaRule):
        return _over_quota(rule.document, example, facts)
    if not isinstance(rule.document, PoolRule):
        msg = f"rule {rule.name} belongs to no family that can be tried"
        raise TypeError(msg)
    return _against_pool(rule.document, facts, catalog)


def _against_pool(document: PoolRule, facts: Mapping[str, Any], catalog: Catalog) -> str | None:
    pool = _pool(facts)
    try:
        found = list(document.findings(pool, catalog))
    except AttributeError as error:
        if error.obj is not pool:
            raise
        name = "capabilities" if error.name == "gaps" else error.name
        msg = f"the rule looks at the pool's {name}"
        raise _Untold(msg) from None
    return found[0].fact if found else None


def _over_quota(document: QuotaRule, example: Example, facts: Mapping[str, Any]) -> str | None:
    missing = [rc.value for rc in document.limits() if f"request.{rc.value}" not in facts]
    if missing:
        msg = f"the rule limits {', '.join(missing)} of the request"
        raise _Untold(msg)
    need = Resources(**{rc.value: facts.get(f"request.{rc.value}", 0) for rc in ResourceClass})
    refused = list(counter(document, "the tenant", example.used or Resources()).refuse(need))
    return refused[0].why if refused else None


def _pool(facts: Mapping[str, Any]) -> PoolFacts:
    """The given facts only: what is not given stays missing, so that reading it is noticed."""
    pool = object.__new__(PoolFacts)
    values: dict[str, Any] = {"name": "the example's pool"}
    values |= {f.name: facts[f"pool.{f.name}"] for f in fields(PoolFacts) if f"pool.{f.name}" in facts}
    for name, value in values.items():
        object.__setattr__(pool, name, tuple(value) if isinstance(value, list) else value)
    if "pool.capabilities" in facts:
        gaps = tuple((c, _EXAMPLE_GAP) for c in Capability if c.value not in facts["pool.capabilities"])
        object.__setattr__(pool, "gaps", gaps)
    return pool

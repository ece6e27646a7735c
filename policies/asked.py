"""What is required of a pool beyond its choice: what a driver can still heed within the pool."""

from collections.abc import Iterable

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.facts import named, pool_facts, request_facts
from policies.rule import Rule
from policies.rules.require_traits import RequireTraits


def trait_rules(rules: Iterable[Rule]) -> tuple[tuple[Rule, RequireTraits], ...]:
    """The rules that require traits."""
    return tuple((rule, rule.document) for rule in rules if isinstance(rule.document, RequireTraits))


def required_traits(
    catalog: Catalog, rules: Iterable[tuple[Rule, RequireTraits]], request: Request, pool: Pool | None
) -> frozenset[str]:
    """The traits that the request's class requires, and the rules that hold for it in this pool.

    Without a `pool` the rules that look at it are left out.
    """
    facts = named(request_facts(request, catalog)) | (named(pool_facts(pool, catalog)) if pool else {})
    workload_class = catalog.classes.get(request.workload_class)
    found = workload_class.required_traits if workload_class else frozenset()
    holding = (document for rule, document in rules if rule.predicate.holds(facts) is True)
    return found.union(*(document.traits for document in holding))

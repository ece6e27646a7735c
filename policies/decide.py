"""Requests x pools -> every reason against each pair.

A predicate is evaluated once for equal values of the facts that it names, and a rule is tried on a pool
once, however many requests it is for; so the work grows with what differs, not with the size of the batch.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.built_in import built_in, template_says
from policies.decisions import Rejection
from policies.facts import RequestFacts, named, pool_facts, request_facts
from policies.predicates import Undecided
from policies.quotas import check_quotas
from policies.rule import PoolRule, Rule, rejection, undecided
from policies.rules.require_traits import RequireTraits

__all__ = ["check_quotas", "decide"]

Reasons = tuple[Rejection, ...]
Row = tuple[tuple[int, Reasons], ...]
"""The refused pools of a request: index and reasons."""

_Outcomes = tuple[bool | Undecided, ...]
"""What a predicate says: once for each pool, or once for all where it does not look at them."""


def decide(
    catalog: Catalog,
    rules: Sequence[Rule],
    requests: Sequence[Request],
    pools: Sequence[Pool],
    *,
    made: bool = False,
) -> Mapping[tuple[int, int], Reasons]:
    """(request index, pool index) -> all reasons against the pair; a pair that is not here is allowed.

    The catalog's own reasons come first, then those of rules by name, whatever order they are given in.
    Where the machines are to be `made`, the template that is required of them must fit into their disk; one that
    exists keeps what it was made of. Capacity is not looked at, and quotas are `check_quotas`'s.
    """
    board = _Board(catalog, rules, pools, made=made)
    refused: dict[tuple[int, int], Reasons] = {}
    for i, request in enumerate(requests):
        for j, reasons in board.row(request_facts(request, catalog)):
            refused[i, j] = reasons
    return refused


class _Board:
    """What has been decided already, at each step by what the step depends on and nothing more."""

    def __init__(
        self, catalog: Catalog, rules: Iterable[Rule], pools: Sequence[Pool], *, made: bool
    ) -> None:
        self._catalog = catalog
        by_name = sorted(rules, key=lambda rule: rule.name)
        self._rules = [(r.document, r.predicate) for r in by_name if isinstance(r.document, PoolRule)]
        self._pools = [pool_facts(pool, catalog) for pool in pools]
        self._pool_names = [named(pool) for pool in self._pools]
        self._templates = made and any(pool.templates for pool in pools)
        self._built_in: dict[tuple[str | bool, ...], list[Reasons]] = {}
        self._outcomes: dict[Hashable, _Outcomes] = {}
        self._findings: dict[tuple[int, int], Reasons] = {}
        self._rows: dict[Hashable, Row] = {}

    def row(self, request: RequestFacts) -> Row:
        """Every refused pool of a request, with all reasons."""
        facts = named(request)
        outcomes = [self._outcomes_of(k, facts) for k in range(len(self._rules))]
        key = (*_asked_of_the_catalog(request), self._templates and request.disk_gib, *outcomes)
        if key not in self._rows:
            self._rows[key] = tuple(self._refused(request, outcomes))
        return self._rows[key]

    def _outcomes_of(self, k: int, facts: dict[str, Any]) -> _Outcomes:
        when = self._rules[k][1]
        key = (k, *(_hashable(facts.get(name)) for name in when.names))
        if key not in self._outcomes:
            sides = self._pool_names if when.reads_pool else [{}]
            self._outcomes[key] = tuple(when.holds({**facts, **pool}) for pool in sides)
        return self._outcomes[key]

    def _catalog_says(self, request: RequestFacts) -> list[Reasons]:
        key = _asked_of_the_catalog(request)
        if key not in self._built_in:
            self._built_in[key] = [built_in(request, pool, self._catalog) for pool in self._pools]
        return self._built_in[key]

    def _refused(
        self, request: RequestFacts, outcomes: Sequence[_Outcomes]
    ) -> Iterator[tuple[int, Reasons]]:
        for j, first in enumerate(self._catalog_says(request)):
            reasons = list(first)
            here = [
                one[j] if rule.reads_pool else one[0]
                for one, (_, rule) in zip(outcomes, self._rules, strict=True)
            ]
            if self._templates:
                reasons += template_says(request.disk_gib, self._required(request, here), self._pools[j])
            for k, outcome in enumerate(here):
                reasons += self._rule_says(k, j, outcome)
            if reasons:
                yield j, tuple(reasons)

    def _required(self, request: RequestFacts, outcomes: Iterable[bool | Undecided]) -> frozenset[str]:
        """The traits that the class and the rules that hold require of a pool."""
        workload_class = self._catalog.classes.get(request.workload_class)
        documents = (
            document
            for outcome, (document, _) in zip(outcomes, self._rules, strict=True)
            if outcome is True and isinstance(document, RequireTraits)
        )
        found = workload_class.required_traits if workload_class else frozenset[str]()
        return found.union(*(document.traits for document in documents))

    def _rule_says(self, k: int, j: int, outcome: bool | Undecided) -> Reasons:
        if outcome is False:
            return ()
        document, pool = self._rules[k][0], self._pools[j]
        if isinstance(outcome, Undecided):
            return (undecided(document, pool.name, outcome.reason),)
        if (k, j) not in self._findings:
            found = document.findings(pool, self._catalog)
            self._findings[k, j] = tuple(rejection(document, pool.name, finding) for finding in found)
        return self._findings[k, j]


def _asked_of_the_catalog(request: RequestFacts) -> tuple[str | bool, ...]:
    """All that the catalog's own decisions depend on."""
    return request.tenant, request.workload_class, request.tier, request.seeded


def _hashable(value: Any) -> Hashable:
    """A key for a fact; with its type, because 1 and true are equal but not to a predicate."""
    return tuple(value) if isinstance(value, list) else (type(value), value)

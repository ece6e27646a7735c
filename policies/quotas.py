"""Quotas: what tenants may have in all, counted over what they have and what a batch admits.

A quota is not about a pool, so its rejections have an empty `pool`. What is counted is the resolved
request, with its offering's defaults applied.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.resources import ResourceClass, Resources
from policies.decisions import Rejection
from policies.predicates import Predicate, Undecided
from policies.rule import QuotaRule, Rule, undecided

_UNIT = {
    ResourceClass.VCPU: "vCPU",
    ResourceClass.MEMORY_MIB: "MiB memory",
    ResourceClass.DISK_GIB: "GiB disk",
}

TENANT_QUOTA = "tenant quota"


@dataclass
class Counter:
    """One limit on one group of tenants, and how much of it is taken."""

    rule_id: str
    whose: str
    limits: Mapping[ResourceClass, int]
    used: Resources
    claim: str | None = None
    remedy: str | None = None
    admitted: Resources = field(default_factory=Resources)

    def refuse(self, need: Resources) -> Iterator[Rejection]:
        """A rejection for each resource class that `need` would take above its limit."""
        taken = self.used + self.admitted
        for rc, limit in self.limits.items():
            if need.amount(rc) and taken.amount(rc) + need.amount(rc) > limit:
                yield self._rejection(rc, limit, need.amount(rc))

    def _rejection(self, rc: ResourceClass, limit: int, need: int) -> Rejection:
        used, admitted, unit = self.used.amount(rc), self.admitted.amount(rc), _UNIT[rc]
        free = max(0, limit - used - admitted)
        batch = f" and {admitted:,} in orders before this one" if admitted else ""
        return Rejection(
            rule_id=self.rule_id,
            pool="",
            dimension=rc.value,
            limit=str(limit),
            need=str(used + admitted + need),
            why=(
                f"{self.claim or f'{self.whose} may have {limit:,} {unit} in all'} ({self._cited()}); "
                f"{used:,} of {limit:,} {unit} in use{batch}, and this order needs {need:,}"
            ),
            remedy=self.remedy or self._ways_out(f"{free:,} {unit}", f"{need - free:,} {unit}"),
        )

    def _cited(self) -> str:
        return self.rule_id if self.rule_id == TENANT_QUOTA else f"rule {self.rule_id}"

    def _ways_out(self, free: str, short: str) -> str:
        order = "" if free.startswith("0 ") else f"order at most {free}, or "
        return f"{order}give back {short}, or have the limit raised"


def check_quotas(
    catalog: Catalog,
    rules: Sequence[Rule],
    requests: Sequence[Request],
    used_by_tenant: Mapping[str, Resources],
) -> Mapping[int, tuple[Rejection, ...]]:
    """Admit requests in the given order while they fit; index -> every reason of each that does not.

    A request that is not admitted takes nothing, so a smaller one after it may still fit.
    """
    board = _Board(catalog, rules, used_by_tenant)
    refused: dict[int, tuple[Rejection, ...]] = {}
    for i, request in enumerate(requests):
        counters, errors = board.of(request.tenant)
        reasons = (*errors, *(r for c in counters for r in c.refuse(request.resources)))
        if reasons:
            refused[i] = reasons
            continue
        for counter in counters:
            counter.admitted += request.resources
    return refused


class _Board:
    """The counters of each tenant, made when it is first asked for."""

    def __init__(self, catalog: Catalog, rules: Iterable[Rule], used: Mapping[str, Resources]) -> None:
        self._catalog = catalog
        self._used = used
        by_name = sorted(rules, key=lambda rule: rule.name)
        self._rules = [(r.document, r.predicate) for r in by_name if isinstance(r.document, QuotaRule)]
        self._shared: dict[str, Counter] = {}
        self._of: dict[str, tuple[list[Counter], list[Rejection]]] = {}

    def of(self, tenant: str) -> tuple[list[Counter], list[Rejection]]:
        """The counters that an order of this tenant fills, and what could not be decided about it."""
        if tenant not in self._of:
            self._of[tenant] = self._make(tenant)
        return self._of[tenant]

    def _make(self, tenant: str) -> tuple[list[Counter], list[Rejection]]:
        entry = self._catalog.tenants.get(tenant)
        if entry is None:
            return [], [_no_such_tenant(tenant)]
        counters, errors = [], []
        if entry.quota is not None:
            limits = entry.quota.as_mapping()
            counters.append(Counter(TENANT_QUOTA, f"tenant {tenant}", limits, self._used_by(tenant)))
        for document, when in self._rules:
            applies = when.holds(self._party(tenant))
            if isinstance(applies, Undecided):
                errors.append(undecided(document, "", applies.reason))
            elif applies:
                counters.append(self._counter(document, when, tenant))
        return counters, errors

    def _counter(self, document: QuotaRule, when: Predicate, tenant: str) -> Counter:
        if not document.together:
            return counter(document, f"tenant {tenant}", self._used_by(tenant))
        if document.name not in self._shared:
            members = [t for t in sorted(self._used) if when.holds(self._party(t)) is not False]
            total = sum((self._used_by(t) for t in members), Resources())
            self._shared[document.name] = counter(document, "these tenants together", total)
        return self._shared[document.name]

    def _used_by(self, tenant: str) -> Resources:
        return self._used.get(tenant, Resources())

    def _party(self, tenant: str) -> dict[str, str]:
        """The facts of a tenant; one that left the catalog has no cost centre, and is counted if in doubt."""
        entry = self._catalog.tenants.get(tenant)
        centre = {"request.cost_centre": entry.cost_centre} if entry else {}
        return {"request.tenant": tenant, **centre}


def counter(document: QuotaRule, whose: str, used: Resources) -> Counter:
    """The counter of a quota rule, with nothing admitted yet."""
    return Counter(document.name, whose, document.limits(), used, document.message, document.remedy)


def _no_such_tenant(tenant: str) -> Rejection:
    return Rejection(
        rule_id="catalog",
        pool="",
        dimension="tenant",
        limit="tenants of the catalog",
        need=tenant,
        why=f"tenant '{tenant}' is not in the catalog, so nothing can be ordered for it",
        remedy="order for a tenant of the catalog, or have this one added",
    )

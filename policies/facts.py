"""The facts that a rule can name: what they are called, what type they have, and what they mean.

One table is read by the predicates' type check, by the examples of rules and by the reference in
``docs/reference/rules.md``. A fact is a field of `RequestFacts` or `PoolFacts`; the parameters of
the catalog's offerings come on top as ``request.param.<name>``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from catalog.capabilities import Capability, Gap
from catalog.catalog import Catalog
from catalog.offerings import DATA, Parameter, ParameterKind
from catalog.orders import ParameterValue, Request
from catalog.pools import Hypervisor, Pool, Template
from catalog.resources import ResourceClass
from catalog.wording import known_names
from catalog.workload_classes import Availability, DataClassification

FactValue = str | int | bool | tuple[str, ...]
Domain = Callable[[Catalog], Collection[str]]

_HAVE_THEIR_OWN_FACT = frozenset({*(rc.value for rc in ResourceClass), DATA})


@dataclass(frozen=True)
class Fact:
    """One name that predicates and examples can use.

    `type` is one of ``string``, ``int``, ``bool``, ``list(string)`` and ``dyn`` (a parameter that
    has different kinds in different offerings). `domain` gives the only values a text can have
    in a catalog; None where any text is possible.
    """

    name: str
    type: str
    meaning: str
    domain: Domain | None = None

    def problem_with(self, value: object, catalog: Catalog) -> str | None:
        """Why `value` cannot be this fact's, in words; None where it can."""
        if not _has_type(value, self.type):
            return f"{self.name} must be {_A_TYPE[self.type]}"
        if self.domain is None:
            return None
        known = self.domain(catalog)
        values = value if isinstance(value, list | tuple) else (value,)
        unknown = [v for v in values if v not in known]
        if not unknown:
            return None
        return self.never(unknown[0], known)

    def never(self, value: str, known: Iterable[str]) -> str:
        """That no request or pool of this catalog has such a value, and which ones there are."""
        return f"{self.name} is never '{value}'; {known_names(value, sorted(filter(None, known)))}"


_A_TYPE = {
    "string": "a text",
    "int": "a whole number",
    "bool": "true or false",
    "list(string)": "a list of texts",
    "dyn": "a text, a whole number, or true or false",
}


def _has_type(value: object, kind: str) -> bool:
    if kind == "dyn":
        return isinstance(value, str | int)
    if kind == "list(string)":
        return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
    return type(value) is {"string": str, "int": int, "bool": bool}[kind]


def _fact(meaning: str, domain: Domain | None = None) -> Any:
    return field(metadata={"meaning": meaning, "domain": domain})


@dataclass(frozen=True)
class RequestFacts:
    """What rules can know of a request; requests with equal facts get equal decisions."""

    tenant: str = _fact("the tenant who orders", lambda c: c.tenants)
    cost_centre: str = _fact("the cost centre of that tenant", lambda c: c.cost_centres)
    offering: str = _fact("the offering that was ordered", lambda c: c.offerings)
    workload_class: str = _fact("the workload class of that offering", lambda c: c.classes)
    availability: str = _fact(
        "the availability of that class", lambda _: tuple(a.value for a in Availability)
    )
    data_classification: str = _fact(
        "how sensitive the machine's data is", lambda _: tuple(d.value for d in DataClassification)
    )
    tier: str = _fact("the tier the order insists on; '' where it leaves it open", lambda c: ("", *c.tiers))
    vcpu: int = _fact("virtual processors")
    memory_mib: int = _fact("memory in MiB")
    disk_gib: int = _fact("disk in GiB")
    parameter_names: tuple[str, ...] = _fact("the names of the order's other parameters")
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    seeded: bool = False


@dataclass(frozen=True)
class PoolFacts:
    """What rules can know of a pool, in the order of `Pool`; `tier_rank` 1 is the highest tier."""

    name: str = _fact("the pool's name", lambda c: c.pools)
    tier: str = _fact("the tier the pool belongs to", lambda c: c.tiers)
    tier_rank: int = _fact("that tier's rank; 1 is the highest")
    hypervisor: str = _fact("the kind of hypervisor", lambda _: tuple(h.value for h in Hypervisor))
    endpoint: str = _fact("the endpoint that manages it", lambda c: c.endpoints)
    site: str = _fact("the site where it stands", lambda c: c.sites)
    country: str = _fact("that site's country (ISO 3166-1, two letters)")
    traits: tuple[str, ...] = _fact("its traits, sorted")
    capabilities: tuple[str, ...] = _fact("what works there", lambda _: tuple(c.value for c in Capability))
    gaps: tuple[tuple[Capability, Gap], ...] = ()
    templates: tuple[Template, ...] = ()

    def gap(self, capability: Capability) -> Gap | None:
        """Why `capability` is missing here, or None where it works."""
        return dict(self.gaps).get(capability)


def first_class_facts() -> tuple[Fact, ...]:
    """The facts that exist in every catalog, requests first."""
    return (*_declared("request", RequestFacts), *_declared("pool", PoolFacts))


def request_vocabulary(catalog: Catalog) -> dict[str, Fact]:
    """Everything a predicate can name of a request, the offerings' parameters included."""
    declared = _declared("request", RequestFacts)
    return {fact.name: fact for fact in (*declared, *_parameters(catalog))}


def pool_vocabulary() -> dict[str, Fact]:
    """Everything a predicate can name of a pool."""
    return {fact.name: fact for fact in _declared("pool", PoolFacts)}


def party_vocabulary(catalog: Catalog) -> dict[str, Fact]:
    """What the predicate of a quota can name: who orders, not what."""
    known = request_vocabulary(catalog)
    return {name: known[name] for name in ("request.tenant", "request.cost_centre")}


def request_facts(request: Request, catalog: Catalog) -> RequestFacts:
    """The facts of one request; a tenant or class that left the catalog gives empty texts."""
    tenant = catalog.tenants.get(request.tenant)
    workload_class = catalog.classes.get(request.workload_class)
    others = tuple(sorted((n, v) for n, v in request.parameters.items() if n not in _HAVE_THEIR_OWN_FACT))
    return RequestFacts(
        tenant=request.tenant,
        cost_centre=tenant.cost_centre if tenant else "",
        offering=request.offering,
        workload_class=request.workload_class,
        availability=workload_class.availability.value if workload_class else "",
        data_classification=request.data_classification.value,
        tier=request.tier or "",
        vcpu=request.resources.vcpu,
        memory_mib=request.resources.memory_mib,
        disk_gib=request.resources.disk_gib,
        parameter_names=tuple(name for name, _ in others),
        parameters=others,
        seeded=request.seed is not None,
    )


def pool_facts(pool: Pool, catalog: Catalog) -> PoolFacts:
    """The facts of one pool; a tier that left the catalog has rank 0."""
    tier = catalog.tiers.get(pool.tier)
    return PoolFacts(
        name=pool.name,
        tier=pool.tier,
        tier_rank=tier.rank if tier else 0,
        hypervisor=pool.hypervisor.value,
        endpoint=pool.endpoint,
        site=pool.site,
        country=pool.country,
        traits=tuple(sorted(pool.traits)),
        capabilities=tuple(c.value for c in Capability if pool.capabilities.has(c)),
        gaps=tuple(pool.capabilities.gaps.items()),
        templates=pool.templates,
    )


def named(facts: RequestFacts | PoolFacts) -> dict[str, Any]:
    """The facts under the names that predicates use, with lists where CEL wants lists."""
    prefix = "request" if isinstance(facts, RequestFacts) else "pool"
    values = {f.name: f"{prefix}.{f.name}" for f in fields(facts) if f.metadata}
    found = {fact: _plain(getattr(facts, attribute)) for attribute, fact in values.items()}
    if isinstance(facts, RequestFacts):
        found |= {f"request.param.{name}": value for name, value in facts.parameters}
    return found


def _plain(value: FactValue) -> str | int | list[str]:
    return list(value) if isinstance(value, tuple) else value


def _declared(prefix: str, facts: type[RequestFacts | PoolFacts]) -> tuple[Fact, ...]:
    kinds: Mapping[Any, str] = {str: "string", int: "int", tuple[str, ...]: "list(string)"}
    return tuple(
        Fact(f"{prefix}.{f.name}", kinds[f.type], f.metadata["meaning"], f.metadata["domain"])
        for f in fields(facts)
        if f.metadata
    )


def _parameters(catalog: Catalog) -> Iterable[Fact]:
    found: dict[str, list[Parameter]] = {}
    for offering in catalog.offerings.values():
        for name, parameter in offering.parameters.items():
            if name not in _HAVE_THEIR_OWN_FACT:
                found.setdefault(name, []).append(parameter)
    return [_parameter(name, found[name]) for name in sorted(found)]


def _parameter(name: str, uses: Sequence[Parameter]) -> Fact:
    spelt = {ParameterKind.INTEGER: "int", ParameterKind.STRING: "string", ParameterKind.BOOLEAN: "bool"}
    kinds = {spelt[parameter.kind] for parameter in uses}
    choices = {choice for parameter in uses for choice in parameter.choices}
    closed = kinds == {"string"} and all(parameter.choices for parameter in uses)
    return Fact(
        f"request.param.{name}",
        kinds.pop() if len(kinds) == 1 else "dyn",
        f"the parameter '{name}' of the offerings that have it",
        (lambda _: choices) if closed else None,
    )

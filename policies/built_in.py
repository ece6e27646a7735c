"""What the catalog itself decides, always: the class's tiers, capabilities and traits, the order's tier."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from catalog.capabilities import Capability
from catalog.catalog import Catalog
from catalog.workload_classes import WorkloadClass
from policies.decisions import Rejection
from policies.facts import PoolFacts, RequestFacts
from policies.requirements import missing_capabilities, missing_traits, too_little_disk, unwanted_traits
from policies.rule import Finding

CONTAINERS = "CUSTOM_CONTAINERS"
"""The trait of pools whose machines are containers: a weaker boundary, so a class has to ask for it."""


def built_in(request: RequestFacts, pool: PoolFacts, catalog: Catalog) -> tuple[Rejection, ...]:
    """Every reason of the catalog against the pair; it depends on tenant, class, insisted tier and seed only."""
    reasons = [*_left_the_catalog(request, pool, catalog), *_insisted(request, pool)]
    workload_class = catalog.classes.get(request.workload_class)
    if workload_class is not None:
        reasons += _class_says(workload_class, pool)
    if request.seeded:
        asked = missing_capabilities("the order's seed needs", [Capability.SEED_DISK], pool)
        reasons += [("order seed", finding) for finding in asked]
    return tuple(_rejection(rule_id, pool, finding) for rule_id, finding in reasons)


def template_says(disk_gib: int, traits: Collection[str], pool: PoolFacts) -> tuple[Rejection, ...]:
    """Why no machine with so much disk can be made of the templates among the traits that are required of it."""
    found = too_little_disk(disk_gib, traits, pool)
    return tuple(_rejection("pool template", pool, finding) for finding in found)


def _class_says(workload_class: WorkloadClass, pool: PoolFacts) -> Iterator[tuple[str, Finding]]:
    who = f"class {workload_class.name}"
    rule_id = f"class:{workload_class.name}"
    for finding in _tiers(workload_class, pool):
        yield f"{rule_id} allowed-tiers", finding
    for finding in missing_capabilities("every machine needs", [Capability.CREATE], pool):
        yield "pool create", finding
    needed = workload_class.required_capabilities - {Capability.CREATE}
    for finding in missing_capabilities(f"{who} needs", needed, pool):
        yield f"{rule_id} required-capabilities", finding
    for finding in missing_traits(f"{who} needs", workload_class.required_traits, pool):
        yield f"{rule_id} required-traits", finding
    for finding in unwanted_traits(f"{who} must not be on", workload_class.forbidden_traits, pool):
        yield f"{rule_id} forbidden-traits", finding
    if CONTAINERS in set(pool.traits) - workload_class.required_traits:
        yield "pool containers", _containers(who, pool)


def _containers(who: str, pool: PoolFacts) -> Finding:
    return Finding(
        dimension=CONTAINERS,
        limit=CONTAINERS,
        need="machines with a kernel of their own",
        claim=f"{who} needs machines",
        fact=f"{pool.name} runs containers of its hosts' kernel",
        remedy=f"if containers will do, add {CONTAINERS} to the required traits of a class for them",
    )


def _tiers(workload_class: WorkloadClass, pool: PoolFacts) -> Iterator[Finding]:
    if pool.tier in workload_class.allowed_tiers:
        return
    allowed = " or ".join(workload_class.allowed_tiers)
    yield Finding(
        dimension="tier",
        limit=allowed,
        need=pool.tier,
        claim=f"class {workload_class.name} runs on {allowed}",
        fact=f"{pool.name} is {pool.tier}",
        remedy=f"choose {allowed}, or have {pool.tier} added to the allowed tiers of the class",
    )


def _insisted(request: RequestFacts, pool: PoolFacts) -> Iterator[tuple[str, Finding]]:
    if request.tier and request.tier != pool.tier:
        yield (
            "order tier",
            Finding(
                dimension="tier",
                limit=request.tier,
                need=pool.tier,
                claim=f"the order insists on {request.tier}",
                fact=f"{pool.name} is {pool.tier}",
                remedy=f"order it for {pool.tier}, or leave the tier open",
            ),
        )


@dataclass(frozen=True)
class _Entry:
    noun: str
    name: str
    known: bool


def _left_the_catalog(
    request: RequestFacts, pool: PoolFacts, catalog: Catalog
) -> Iterator[tuple[str, Finding]]:
    """An order can be older than the catalog; what its decision would rest on is then missing."""
    entries = (
        _Entry("tenant", request.tenant, request.tenant in catalog.tenants),
        _Entry("class", request.workload_class, request.workload_class in catalog.classes),
        _Entry("tier", pool.tier, pool.tier in catalog.tiers),
    )
    for entry in entries:
        if not entry.known:
            yield (
                "catalog",
                Finding(
                    dimension=entry.noun,
                    limit="entries of the catalog",
                    need=entry.name,
                    claim=f"{entry.noun} '{entry.name}' is not in the catalog",
                    fact=f"{pool.name} cannot be judged for it",
                    remedy=f"have {entry.noun} '{entry.name}' put back, or order again",
                ),
            )


def _rejection(rule_id: str, pool: PoolFacts, finding: Finding) -> Rejection:
    return Rejection(
        rule_id=rule_id,
        pool=pool.name,
        dimension=finding.dimension,
        limit=finding.limit,
        need=finding.need,
        why=f"{finding.claim}; {finding.fact}",
        remedy=finding.remedy,
    )

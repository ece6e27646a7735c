"""What must hold for every set of rules, requests and pools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.capabilities import Capability
from catalog.catalog import Catalog, load_catalog
from catalog.orders import Request
from catalog.pools import Pool
from catalog.resources import ResourceClass, Resources
from policies.decide import check_quotas, decide
from policies.decisions import Rejection
from policies.documents import load_rules
from policies.rule import Rule

COMPANY = Path(__file__).parents[1] / "unit" / "policies" / "company.yaml"

RULES = """
rules:
  a-floor:
    kind: tier_bounds
    summary: databases run on the two best tiers
    when: request.workload_class == 'db'
    floor: tier-2
    examples:
      - {request: {workload_class: db}, pool: {tier: tier-3}, expect: refused}
      - {request: {workload_class: db}, pool: {tier: tier-2}, expect: allowed}
  a-ceiling:
    kind: tier_bounds
    summary: small machines stay off the best tier
    when: request.vcpu < 2 && request.tenant != 'payroll'
    ceiling: tier-2
    examples:
      - {request: {vcpu: 1, tenant: ledger}, pool: {tier: tier-1}, expect: refused}
      - {request: {vcpu: 2, tenant: ledger}, pool: {tier: tier-1}, expect: allowed}
  home:
    kind: residency
    summary: confidential data stays in Germany
    when: request.data_classification in ['confidential', 'restricted']
    countries: [DE]
    examples:
      - {request: {data_classification: restricted}, pool: {country: NL}, expect: refused}
      - {request: {data_classification: internal}, pool: {country: NL}, expect: allowed}
  way-back:
    kind: require_capabilities
    summary: payroll wants to be able to go back
    when: request.tenant == 'payroll'
    capabilities: [snapshot, revert]
    examples:
      - {request: {tenant: payroll}, pool: {capabilities: [snapshot, revert]}, expect: allowed}
      - {request: {tenant: payroll}, pool: {capabilities: [snapshot]}, expect: refused}
  fast:
    kind: require_traits
    summary: large machines have fast storage
    when: request.memory_mib >= 4096
    traits: [STORAGE_SSD]
    examples:
      - {request: {memory_mib: 4096}, pool: {traits: []}, expect: refused}
      - {request: {memory_mib: 4096}, pool: {traits: [STORAGE_SSD]}, expect: allowed}
  alone:
    kind: forbid_traits
    summary: nothing runs beside the shared processors
    traits: [SHARED_GPU]
    examples:
      - {pool: {traits: [SHARED_GPU]}, expect: refused}
      - {pool: {traits: []}, expect: allowed}
  pair:
    kind: forbid
    summary: a predicate over both sides that fails for some
    when: 8 / (request.vcpu - 3) > 2 && pool.site == 'ams'
    message: not on that site
    remedy: choose another site
    examples:
      - {request: {vcpu: 4}, pool: {site: ams}, expect: refused}
      - {request: {vcpu: 4}, pool: {site: fra}, expect: allowed}
  finance:
    kind: quota
    summary: finance has one limit together
    when: request.cost_centre == 'cc-finance'
    together: true
    limit: {vcpu: 20, memory_mib: 60000}
    examples:
      - {request: {tenant: payroll, vcpu: 1, memory_mib: 1}, used: {vcpu: 20}, expect: refused}
      - {request: {tenant: payroll, vcpu: 1, memory_mib: 1}, used: {vcpu: 19}, expect: allowed}
  everyone:
    kind: quota
    summary: each tenant has a limit of its own
    limit: {vcpu: 15, disk_gib: 500}
    examples:
      - {request: {tenant: payroll, vcpu: 1, disk_gib: 1}, used: {vcpu: 15}, expect: refused}
      - {request: {tenant: payroll, vcpu: 1, disk_gib: 1}, used: {vcpu: 14}, expect: allowed}
"""
COUNTRY = {"fra": "DE", "muc": "DE", "ams": "NL"}
TENANTS = ("payroll", "ledger", "research")


def _load() -> tuple[Catalog, tuple[Rule, ...]]:
    catalog = load_catalog({COMPANY.name: COMPANY.read_text(encoding="utf-8")})
    return catalog, load_rules({"rules.yaml": RULES}, catalog)


CATALOG, ALL_RULES = _load()

amounts = st.builds(
    Resources,
    vcpu=st.integers(0, 8),
    memory_mib=st.integers(0, 32).map(lambda n: n * 1024),
    disk_gib=st.integers(0, 200),
)
requests = st.builds(
    Request,
    order_id=st.integers(0, 2**64).map(lambda n: UUID(int=n)),
    machine_name=st.just("m"),
    tenant=st.sampled_from(TENANTS),
    offering=st.sampled_from(["db-small", "web-small"]),
    workload_class=st.sampled_from(["db", "web"]),
    resources=amounts,
    data_classification=st.sampled_from(["public", "internal", "confidential", "restricted"]),
    tier=st.sampled_from([None, "tier-1", "tier-2", "tier-3"]),
)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    site = draw(st.sampled_from(sorted(COUNTRY)))
    missing = draw(st.sets(st.sampled_from(["snapshot", "revert", "ha_restart", "create"]), max_size=2))
    gap = {"reason": draw(st.sampled_from(["never", "not_yet", "not_licensed", "not_configured"]))}
    return Pool(
        name="p",
        tier=draw(st.sampled_from(["tier-1", "tier-2", "tier-3"])),
        hypervisor="vsphere",
        endpoint="vc",
        provider="p",
        site=site,
        country=COUNTRY[site],
        inventories={},
        traits=draw(st.sets(st.sampled_from(["STORAGE_SSD", "SHARED_GPU", "NETWORK_PROD"]))),
        capabilities={"gaps": {c: gap | {"detail": f"no {c} in this example"} for c in missing}},
    )


some_rules = st.lists(st.sampled_from(ALL_RULES), unique_by=lambda rule: rule.name)
batches = st.lists(requests, max_size=6)
parks = st.lists(pools(), max_size=4)
usage = st.dictionaries(st.sampled_from(TENANTS), amounts)


@settings(deadline=None)
@given(some_rules, st.sampled_from(ALL_RULES), batches, parks)
def test_adding_a_rule_takes_no_reason_away_and_so_never_allows_more(
    rules: list[Rule], more: Rule, batch: list[Request], park: list[Pool]
) -> None:
    before = decide(CATALOG, rules, batch, park)
    after = decide(CATALOG, [*(r for r in rules if r is not more), more], batch, park)
    assert all(set(why) <= set(after[pair]) for pair, why in before.items())


@settings(deadline=None)
@given(some_rules.flatmap(lambda r: st.tuples(st.just(r), st.permutations(r))), batches, parks, usage)
def test_the_order_of_rules_changes_nothing(
    both: tuple[list[Rule], list[Rule]], batch: list[Request], park: list[Pool], used: dict[str, Resources]
) -> None:
    one, other = both
    first, second = decide(CATALOG, one, batch, park), decide(CATALOG, other, batch, park)
    assert list(first.items()) == list(second.items())
    assert check_quotas(CATALOG, one, batch, used) == check_quotas(CATALOG, other, batch, used)


@settings(deadline=None)
@given(some_rules, batches, parks, usage)
def test_every_refusal_has_reasons_and_each_says_what_would_help(
    rules: list[Rule], batch: list[Request], park: list[Pool], used: dict[str, Resources]
) -> None:
    refusals: list[tuple[Rejection, ...]] = list(decide(CATALOG, rules, batch, park).values())
    refusals += check_quotas(CATALOG, rules, batch, used).values()
    for reasons in refusals:
        assert reasons
        for reason in reasons:
            assert all((reason.rule_id, reason.dimension, reason.why, reason.remedy))


@settings(deadline=None)
@given(batches, parks)
def test_a_pair_is_decided_alike_alone_and_in_a_batch(batch: list[Request], park: list[Pool]) -> None:
    together = decide(CATALOG, ALL_RULES, batch, park)
    for i, request in enumerate(batch):
        for j, pool in enumerate(park):
            alone = decide(CATALOG, ALL_RULES, [request], [pool])
            assert together.get((i, j)) == alone.get((0, 0))


@settings(deadline=None, max_examples=300)
@given(batches, parks)
def test_exactly_those_pairs_are_refused_that_the_rules_in_plain_python_refuse(
    batch: list[Request], park: list[Pool]
) -> None:
    found = decide(CATALOG, ALL_RULES, batch, park)
    naive = {
        (i, j)
        for i, request in enumerate(batch)
        for j, pool in enumerate(park)
        if _refused_in_plain_words(request, pool)
    }
    assert set(found) == naive


def _refused_in_plain_words(request: Request, pool: Pool) -> bool:
    """Company and rules, written down a second time without catalog, CEL or rule classes."""
    rank = int(pool.tier[-1])
    lacks = {c.value for c in Capability if not pool.capabilities.has(c)}
    need, is_db = request.resources, request.workload_class == "db"
    breaches = [
        request.tier not in {None, pool.tier},
        "create" in lacks,
        is_db and (rank > 2 or "ha_restart" in lacks),
        is_db and ("STORAGE_SSD" not in pool.traits or "SHARED_GPU" in pool.traits),
        need.vcpu < 2 and request.tenant != "payroll" and rank < 2,
        request.data_classification in {"confidential", "restricted"} and pool.country != "DE",
        request.tenant == "payroll" and bool(lacks & {"snapshot", "revert"}),
        need.memory_mib >= 4096 and "STORAGE_SSD" not in pool.traits,
        "SHARED_GPU" in pool.traits,
        pool.site == "ams" and (need.vcpu == 3 or int(8 / (need.vcpu - 3)) > 2),
    ]
    return any(breaches)


@settings(deadline=None, max_examples=300)
@given(st.lists(requests, max_size=20), usage)
def test_what_is_admitted_stays_within_every_quota_and_what_is_not_would_not_have(
    batch: list[Request], used: dict[str, Resources]
) -> None:
    refused = check_quotas(CATALOG, ALL_RULES, batch, used)
    admitted: list[Request] = []
    for i, request in enumerate(batch):
        over = {rc for group in _limits(request) for rc in _over([*admitted, request], used, *group)}
        needs = {rc for rc in over if request.resources.amount(rc)}
        assert (i in refused) == bool(needs)
        assert {r.dimension for r in refused.get(i, ())} == {rc.value for rc in needs}
        if i not in refused:
            admitted.append(request)


def _limits(request: Request) -> list[tuple[Sequence[str], Mapping[ResourceClass, int]]]:
    """(the tenants that count, the limits) of every quota on this request, as the texts above say."""
    vcpu, memory, disk = ResourceClass.VCPU, ResourceClass.MEMORY_MIB, ResourceClass.DISK_GIB
    found: list[Any] = [([request.tenant], {vcpu: 15, disk: 500})]
    if request.tenant in {"payroll", "ledger"}:
        found.append((["payroll", "ledger"], {vcpu: 20, memory: 60_000}))
    if request.tenant == "ledger":
        found.append((["ledger"], {vcpu: 10, memory: 40_960, disk: 1000}))
    return found


def _over(
    batch: Sequence[Request],
    used: Mapping[str, Resources],
    tenants: Sequence[str],
    limits: Mapping[ResourceClass, int],
) -> list[ResourceClass]:
    """The resource classes of which these tenants would have more than the limit, counted from scratch."""
    have = [used[t] for t in tenants if t in used] + [r.resources for r in batch if r.tenant in tenants]
    return [rc for rc, limit in limits.items() if sum(h.amount(rc) for h in have) > limit]

"""Quotas: what tenants have already, plus what the batch admits, against every limit."""

from collections.abc import Callable

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.resources import Resources
from policies.quotas import check_quotas
from policies.rule import Rule

EACH = """
  it:
    kind: quota
    summary: each finance tenant has its own limit
    when: request.cost_centre == 'cc-finance'
    limit: {vcpu: 8}
    examples:
      - {request: {tenant: payroll, vcpu: 2}, used: {vcpu: 6}, expect: allowed}
      - {request: {tenant: payroll, vcpu: 3}, used: {vcpu: 6}, expect: refused}
      - {request: {tenant: research, vcpu: 3}, used: {vcpu: 6}, expect: allowed}
"""
TOGETHER = EACH.replace("limit:", "together: true\n    limit:")


def test_without_quotas_everything_is_admitted(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    assert check_quotas(catalog, (), [request_of(vcpu=10_000)], {}) == {}


def test_a_tenants_own_quota_names_dimension_limit_and_current_use(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    used = {"ledger": Resources(vcpu=7, memory_mib=1024, disk_gib=10)}
    found = check_quotas(catalog, (), [request_of(tenant="ledger", vcpu=4)], used)
    (why,) = found[0]
    assert (why.rule_id, why.pool, why.dimension, why.limit, why.need) == (
        "tenant quota", "", "vcpu", "10", "11",
    )  # fmt: skip
    assert why.why == (
        "tenant ledger may have 10 vCPU in all (tenant quota); 7 of 10 vCPU in use, and this order needs 4"
    )
    assert why.remedy == "order at most 3 vCPU, or give back 1 vCPU, or have the limit raised"


def test_every_dimension_that_is_over_is_named(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    request = request_of(tenant="ledger", vcpu=11, memory_mib=40961, disk_gib=1000)
    found = check_quotas(catalog, (), [request], {})
    assert [r.dimension for r in found[0]] == ["vcpu", "memory_mib"]


def test_the_batch_counts_against_the_quota_in_the_given_order(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    asks = [request_of(tenant="ledger", vcpu=n) for n in (6, 5, 4, 1)]
    found = check_quotas(catalog, (), asks, {})
    assert list(found) == [1, 3]
    assert "0 of 10 vCPU in use and 6 in orders before this one, and this order needs 5" in found[1][0].why
    assert found[3][0].remedy == "give back 1 vCPU, or have the limit raised"


def test_a_tenant_over_its_limit_may_still_order_what_is_not_over(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    used = {"ledger": Resources(vcpu=1, memory_mib=99_999, disk_gib=1)}
    assert check_quotas(catalog, (), [request_of(tenant="ledger", memory_mib=0)], used) == {}


def test_each_tenant_of_a_rule_has_its_own_limit(
    catalog: Catalog, request_of: Callable[..., Request], rules: Callable[[str], tuple[Rule, ...]]
) -> None:
    asks = [request_of(tenant=t, vcpu=6) for t in ("payroll", "ledger", "payroll", "research")]
    assert list(check_quotas(catalog, rules(EACH), asks, {})) == [2]


def test_tenants_together_share_one_limit_and_one_use(
    catalog: Catalog, request_of: Callable[..., Request], rules: Callable[[str], tuple[Rule, ...]]
) -> None:
    used = {"payroll": Resources(vcpu=2), "ledger": Resources(vcpu=2), "research": Resources(vcpu=50)}
    asks = [request_of(tenant=t, vcpu=n) for t, n in (("payroll", 3), ("ledger", 2), ("ledger", 1))]
    found = check_quotas(catalog, rules(TOGETHER), asks, used)
    assert list(found) == [1]
    assert found[1][0].why == (
        "these tenants together may have 8 vCPU in all (rule it); "
        "4 of 8 vCPU in use and 3 in orders before this one, and this order needs 2"
    )


def test_a_tenant_that_left_the_catalog_counts_where_it_cannot_be_told(
    catalog: Catalog, request_of: Callable[..., Request], rules: Callable[[str], tuple[Rule, ...]]
) -> None:
    used = {"gone": Resources(vcpu=8)}
    assert list(check_quotas(catalog, rules(TOGETHER), [request_of(vcpu=1)], used)) == [0]


def test_a_tenant_that_left_the_catalog_orders_nothing(
    catalog: Catalog, request_of: Callable[..., Request]
) -> None:
    found = check_quotas(catalog, (), [request_of(tenant="gone")], {})
    assert found[0][0].why == "tenant 'gone' is not in the catalog, so nothing can be ordered for it"


def test_a_quota_whose_predicate_fails_refuses(
    catalog: Catalog, request_of: Callable[..., Request], rules: Callable[[str], tuple[Rule, ...]]
) -> None:
    text = EACH.replace(
        "request.cost_centre == 'cc-finance'",
        "request.tenant == 'payroll' || 1 / (request.tenant.size() - 6) > 5",
    ).replace("tenant: research", "tenant: research")
    broken = text.replace("request.tenant.size() - 6", "request.tenant.size() - size('ledger')")
    found = check_quotas(catalog, rules(broken), [request_of(tenant="ledger"), request_of()], {})
    assert list(found) == [0]
    assert found[0][0].why == "rule it could not be decided, so it refuses: divide by zero"


def test_a_rules_own_words_come_first_in_its_refusal(
    catalog: Catalog, request_of: Callable[..., Request], rules: Callable[[str], tuple[Rule, ...]]
) -> None:
    text = EACH.replace(
        "limit:", "message: finance shares a small farm\n    remedy: ask finance-it\n    limit:"
    )
    found = check_quotas(catalog, rules(text), [request_of(vcpu=9)], {})
    assert found[0][0].why.startswith("finance shares a small farm (rule it); 0 of 8 vCPU in use, and")
    assert found[0][0].remedy == "ask finance-it"

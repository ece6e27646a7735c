"""The worked example: acme's rules load with acme's catalog, and say what its people are told."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from catalog.catalog import Catalog, load_catalog
from catalog.orders import Order, Request
from catalog.pools import Hypervisor, Pool
from catalog.resolve import resolve
from catalog.resources import Resources
from policies.decide import check_quotas, decide
from policies.documents import load_rules
from policies.kinds import rule_kinds
from policies.rule import Rule

ACME = Path(__file__).parents[3] / "examples" / "acme"
HYPERVISOR = {
    "fra-vcenter": Hypervisor.VSPHERE,
    "fra-hyperv": Hypervisor.HYPERV,
    "hosted-xen": Hypervisor.XEN,
}
NO_CLUSTER = {"reason": "not_configured", "detail": "no failover cluster is configured"}
NO_RESTART = {"reason": "never", "detail": "libvirt restarts nothing by itself"}
GAPS: dict[str, dict[str, Any]] = {
    "fra-test-1": {"ha_restart": NO_CLUSTER},
    "fra-kvm-b": {"ha_restart": NO_RESTART},
}


@pytest.fixture(scope="module")
def acme() -> Catalog:
    return load_catalog(_texts())


@pytest.fixture(scope="module")
def acme_rules(acme: Catalog) -> tuple[Rule, ...]:
    return load_rules(_texts(), acme)


def _texts() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in ACME.glob("*.yaml")}


def _pools(catalog: Catalog) -> list[Pool]:
    return [
        Pool(
            name=entry.name,
            tier=entry.tier,
            hypervisor=HYPERVISOR.get(entry.endpoint, Hypervisor.LIBVIRT),
            endpoint=entry.endpoint,
            provider=entry.provider,
            site=entry.site,
            country=catalog.sites[entry.site].country,
            inventories={},
            traits=entry.traits,
            capabilities={"gaps": GAPS.get(entry.name, {})},
        )
        for entry in catalog.pools.values()
    ]


def _request(catalog: Catalog, offering: str, tenant: str, **parameters: int | str | bool) -> Request:
    order = Order(
        id=UUID(int=7),
        offering=offering,
        tenant=tenant,
        machine_name="m",
        parameters=parameters,
        ordered_by="anna",
        ordered_at=datetime(2026, 10, 1, tzinfo=UTC),
    )
    return resolve(catalog, order)


def _allowed(catalog: Catalog, rules: tuple[Rule, ...], request: Request) -> set[str]:
    pools = _pools(catalog)
    refused = decide(catalog, rules, [request], pools)
    return {pool.name for j, pool in enumerate(pools) if (0, j) not in refused}


def test_acme_has_a_rule_of_every_kind(acme_rules: tuple[Rule, ...]) -> None:
    assert {rule.document.kind for rule in acme_rules} == set(rule_kinds())


@pytest.mark.parametrize(
    ("offering", "tenant", "parameters", "pools"),
    [
        ("db-medium", "payroll", {}, {"fra-prod-1", "fra-prod-2"}),
        ("db-medium", "web-shop", {"data": "internal"}, {"fra-prod-1", "fra-prod-2"}),
        ("web-small", "web-shop", {}, {"fra-prod-1", "fra-prod-2", "fra-test-1", "fra-kvm-b", "hosted-nl"}),
        ("web-small", "web-shop", {"data": "confidential"}, {"fra-prod-1", "fra-prod-2"}),
        ("sap-app", "finance-apps", {"sap_system": "erp-production"}, {"fra-prod-1", "fra-prod-2"}),
        ("sap-app", "finance-apps", {}, {"fra-prod-1", "fra-prod-2"}),
        ("build-agent", "dev-platform", {}, {"fra-test-1", "fra-kvm-b", "hosted-nl"}),
        ("batch-worker", "research", {"vcpu": 18}, {"fra-test-1", "fra-kvm-b"}),
        ("batch-worker", "research", {"vcpu": 16}, {"fra-test-1", "fra-kvm-b", "hosted-nl"}),
    ],
)  # fmt: skip
def test_an_order_may_go_where_acme_wants_it(
    acme: Catalog,
    acme_rules: tuple[Rule, ...],
    offering: str,
    tenant: str,
    parameters: dict[str, Any],
    pools: set[str],
) -> None:
    assert _allowed(acme, acme_rules, _request(acme, offering, tenant, **parameters)) == pools


def test_a_payroll_database_is_told_every_reason_against_the_test_cluster(
    acme: Catalog, acme_rules: tuple[Rule, ...]
) -> None:
    pools = _pools(acme)
    at = [pool.name for pool in pools].index("fra-test-1")
    found = decide(acme, acme_rules, [_request(acme, "db-medium", "payroll")], pools)[0, at]
    assert [f"{reason.rule_id}: {reason.why}" for reason in found] == [
        (
            "class:database required-capabilities: class database needs ha_restart; "
            "fra-test-1 has none: no failover cluster is configured (not_configured)"
        ),
        (
            "db-tier-floor: databases of finance and administration run on tier-1 (rule db-tier-floor); "
            "fra-test-1 is tier-2, below tier-1"
        ),
        (
            "no-prod-data-on-test: confidential and restricted data must not enter a test network "
            "(rule no-prod-data-on-test); fra-test-1 has NETWORK_TEST"
        ),
    ]


def test_research_is_stopped_by_its_own_limit_and_by_that_of_its_cost_centre(
    acme: Catalog, acme_rules: tuple[Rule, ...]
) -> None:
    used = {"research": Resources(vcpu=150), "dev-platform": Resources(vcpu=325)}
    asks = [_request(acme, "batch-worker", "research", vcpu=n) for n in (12, 6, 4)]
    found = check_quotas(acme, acme_rules, asks, used)
    assert {i: [r.rule_id for r in why] for i, why in found.items()} == {
        0: ["development-quota", "research-quota"],
        1: ["development-quota"],
    }

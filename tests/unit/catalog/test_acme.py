"""The worked example: what it promises to those who start from it."""

import re

from catalog.capabilities import Capability
from catalog.catalog import Catalog
from catalog.pools import Hypervisor
from catalog.resources import ResourceClass
from catalog.workload_classes import Availability


def test_the_tiers_are_the_three_of_the_design(acme: Catalog) -> None:
    assert {name: tier.rank for name, tier in acme.tiers.items()} == {"tier-1": 1, "tier-2": 2, "tier-3": 3}
    countries = {
        tier: {acme.sites[p.site].country for p in acme.pools.values() if p.tier == tier}
        for tier in acme.tiers
    }
    assert countries == {"tier-1": {"DE"}, "tier-2": {"DE"}, "tier-3": {"NL"}}


def test_all_four_hypervisors_are_there(acme: Catalog) -> None:
    played = {str(e.options.get("hypervisor", e.driver)) for e in acme.endpoints.values()}
    assert played == set(Hypervisor)


def test_there_are_the_offerings_that_people_order(acme: Catalog) -> None:
    assert set(acme.offerings) == {
        *("db-small", "db-medium", "db-large", "web-small", "web-medium", "app-medium", "sap-app"),
        *("domain-controller", "build-agent", "vdi-dev", "batch-worker", "sandbox-small"),
    }
    assert {offering.workload_class for offering in acme.offerings.values()} == set(acme.classes)


def test_every_trait_that_a_class_requires_is_on_a_pool_of_its_default_tier(acme: Catalog) -> None:
    for entry in acme.classes.values():
        pools = [p for p in acme.pools.values() if p.tier == entry.default_tier]
        assert any(
            entry.required_traits <= p.traits and not entry.forbidden_traits & p.traits for p in pools
        )


def test_every_forbidden_trait_is_one_that_some_pool_has(acme: Catalog) -> None:
    written = frozenset().union(*(p.traits for p in acme.pools.values()))
    for entry in acme.classes.values():
        assert entry.forbidden_traits <= written


def test_databases_restart_after_a_host_failure_and_are_confidential(acme: Catalog) -> None:
    database = acme.classes[acme.offerings["db-medium"].workload_class]
    assert database.availability is Availability.RESTART
    assert Capability.HA_RESTART in database.required_capabilities
    assert "STORAGE_SSD" in database.required_traits
    assert database.data_classification == "confidential"


def test_build_agents_are_leased_for_30_days(acme: Catalog) -> None:
    assert acme.classes[acme.offerings["build-agent"].workload_class].lease_days == 30


def test_every_tenant_can_order_something_within_its_quota(acme: Catalog) -> None:
    sizes = [acme.classes[o.workload_class].sizes[o.size] for o in acme.offerings.values()]
    for tenant in acme.tenants.values():
        quota = tenant.quota
        if quota is not None:
            assert any(all(s.amount(rc) <= quota.amount(rc) for rc in ResourceClass) for s in sizes)


def test_there_are_five_to_eight_tenants_of_three_cost_centres(acme: Catalog) -> None:
    assert 5 <= len(acme.tenants) <= 8
    assert {t.cost_centre for t in acme.tenants.values()} == set(acme.cost_centres)
    assert len(acme.cost_centres) == 3


def test_every_endpoint_and_every_site_has_a_pool(acme: Catalog) -> None:
    assert {p.endpoint for p in acme.pools.values()} == set(acme.endpoints)
    assert {p.site for p in acme.pools.values()} == set(acme.sites)


def test_no_password_and_no_reachable_address_is_in_the_example(
    acme: Catalog, acme_texts: dict[str, str]
) -> None:
    assert not re.search(r"(?m)password\s*:", "\n".join(acme_texts.values()))
    for endpoint in acme.endpoints.values():
        assert endpoint.secret is None or endpoint.secret.startswith("env:")
        assert endpoint.driver == "simulated" or ".example" in endpoint.address  # RFC 2606

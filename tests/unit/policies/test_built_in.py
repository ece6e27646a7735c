"""What the catalog decides by itself, with no rule loaded."""

from collections.abc import Callable

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.decide import decide
from policies.decisions import Rejection
from policies.rule import Rule

FIT = {"tier": "tier-1", "traits": ["STORAGE_SSD"]}
DB = {"workload_class": "db", "offering": "db-small"}


Rules = Callable[..., tuple[Rule, ...]]


def reasons(catalog: Catalog, request: Request, pool: Pool) -> tuple[Rejection, ...]:
    return decide(catalog, (), [request], [pool]).get((0, 0), ())


def test_a_pool_that_has_all_a_class_needs_is_allowed(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    assert decide(catalog, (), [request_of(**DB)], [pool_of(**FIT)]) == {}


def test_a_missing_capability_gives_the_connectors_own_reason(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    gaps = {"ha_restart": ("not_configured", "no failover cluster is configured")}
    (why,) = reasons(catalog, request_of(**DB), pool_of(name="fra-test-1", gaps=gaps, **FIT))
    assert why.rule_id == "class:db required-capabilities"
    assert why.why == (
        "class db needs ha_restart; fra-test-1 has none: no failover cluster is configured (not_configured)"
    )
    assert why.remedy == "have ha_restart set up on fra-test-1, or choose a pool that has ha_restart"
    assert (why.dimension, why.limit) == ("ha_restart", "missing (not_configured)")


def test_a_pool_that_cannot_create_machines_takes_none(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    gaps = {"create": ("never", "this endpoint is read-only")}
    (why,) = reasons(catalog, request_of(), pool_of(gaps=gaps))
    assert (why,) == reasons(catalog, request_of(**DB), pool_of(gaps=gaps, **FIT))
    assert why.why == "every machine needs create; fra-prod-1 has none: this endpoint is read-only (never)"


def test_a_tier_the_class_does_not_allow_is_refused(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    (why,) = reasons(catalog, request_of(**DB), pool_of(**FIT | {"tier": "tier-3"}))
    assert why.rule_id == "class:db allowed-tiers"
    assert why.why == "class db runs on tier-1 or tier-2; fra-prod-1 is tier-3"


def test_the_tier_an_order_insists_on_refuses_all_others(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    request = request_of(tier="tier-2")
    (why,) = reasons(catalog, request, pool_of(tier="tier-1"))
    assert why.why == "the order insists on tier-2; fra-prod-1 is tier-1"
    assert why.remedy == "order it for tier-1, or leave the tier open"
    assert reasons(catalog, request, pool_of(tier="tier-2")) == ()


def test_required_and_forbidden_traits_of_the_class_are_kept(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    found = reasons(catalog, request_of(**DB), pool_of(tier="tier-1", traits=["SHARED_GPU"]))
    assert [(r.rule_id, r.dimension) for r in found] == [
        ("class:db required-traits", "STORAGE_SSD"),
        ("class:db forbidden-traits", "SHARED_GPU"),
    ]
    assert found[0].why == "class db needs STORAGE_SSD; fra-prod-1 has SHARED_GPU"


def test_a_template_that_a_rule_or_the_class_requires_must_fit_into_the_disk_of_a_machine_to_be_made(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool], rules: Rules
) -> None:
    told = {"trait": "CUSTOM_TEMPLATE_A", "size_bytes": 20 * 2**30 + 1, "minimum_disk_gib": 21}
    traits = ["CUSTOM_TEMPLATE_A", "CUSTOM_TEMPLATE_B"]
    pool = pool_of(traits=traits, templates=[told, {"trait": "CUSTOM_TEMPLATE_B"}])
    untold = pool_of(name="fra-prod-2", traits=traits)
    large, small = request_of(disk_gib=21), request_of(disk_gib=20)
    other = request_of(disk_gib=20, tenant="research")
    requiring = rules(
        """
  a-is-installed:
    kind: require_traits
    summary: payroll's machines have A installed
    when: request.tenant == 'payroll'
    traits: [CUSTOM_TEMPLATE_A, CUSTOM_TEMPLATE_B]
    examples:
      - {request: {tenant: payroll}, pool: {traits: [CUSTOM_TEMPLATE_A, CUSTOM_TEMPLATE_B]}, expect: allowed}
      - {request: {tenant: payroll}, pool: {traits: []}, expect: refused}
"""
    )
    requests = [large, small, other]
    found = decide(catalog, requiring, requests, [pool, untold], made=True)
    assert list(found) == [(1, 0)]
    ((why,),) = found.values()
    assert (why.rule_id, why.dimension, why.limit, why.need) == (
        "pool template", "disk_gib", "at least 21", "20",
    )  # fmt: skip
    assert why.why == (
        "CUSTOM_TEMPLATE_A of fra-prod-1 (20481 MiB) needs a disk of at least 21 GiB; the order has 20 GiB"
    )
    assert decide(catalog, requiring, requests, [pool, untold]) == {}, (
        "machines that exist keep what they are"
    )
    of_class = catalog.model_copy(
        update={
            "classes": {
                **catalog.classes,
                "web": catalog.classes["web"].model_copy(
                    update={"required_traits": frozenset({"CUSTOM_TEMPLATE_A"})}
                ),
            }
        }
    )
    assert list(decide(of_class, (), requests, [pool, untold], made=True)) == [(1, 0), (2, 0)]


def test_all_reasons_are_given_and_not_only_the_first(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    gaps = {"ha_restart": ("never", "this hypervisor has no restart")}
    pool = pool_of(tier="tier-3", traits=["SHARED_GPU"], gaps=gaps)
    found = reasons(catalog, request_of(tier="tier-1", **DB), pool)
    assert [r.dimension for r in found] == ["tier", "tier", "ha_restart", "STORAGE_SSD", "SHARED_GPU"]


def test_an_order_older_than_the_catalog_is_refused_and_not_a_crash(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    gone = request_of(tenant="gone", workload_class="gone-too")
    found = reasons(catalog, gone, pool_of(tier="tier-9"))
    assert [(r.rule_id, r.dimension, r.need) for r in found] == [
        ("catalog", "tenant", "gone"),
        ("catalog", "class", "gone-too"),
        ("catalog", "tier", "tier-9"),
    ]


def test_equal_requests_share_a_decision_and_keep_their_own_pairs(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    pools = [pool_of(**FIT), pool_of(name="x", **FIT | {"tier": "tier-3"})]
    found = decide(catalog, (), [request_of(**DB), request_of(), request_of(**DB)], pools)
    assert list(found) == [(0, 1), (2, 1)]
    assert found[0, 1] == found[2, 1]


def test_a_pool_of_containers_takes_only_classes_that_ask_for_it(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    boxes = pool_of(name="boxes", tier="tier-1", traits=["CUSTOM_CONTAINERS", "STORAGE_SSD"])
    (why,) = reasons(catalog, request_of(**DB), boxes)
    assert why.why == "class db needs machines; boxes runs containers of its hosts' kernel"
    assert "add CUSTOM_CONTAINERS to the required traits" in why.remedy
    asking = catalog.classes["db"].model_copy(
        update={"required_traits": frozenset({"CUSTOM_CONTAINERS"}), "name": "db"}
    )
    other = catalog.model_copy(update={"classes": {**catalog.classes, "db": asking}})
    assert reasons(other, request_of(**DB), boxes) == ()

"""Each kind of rule alone: these facts, this one rule, this refusal."""

from collections.abc import Callable

import pytest

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.decide import decide
from policies.decisions import Rejection
from policies.rule import Rule

Ask = Callable[[str, Request, Pool], tuple[Rejection, ...]]


@pytest.fixture
def ask(catalog: Catalog, rules: Callable[[str], tuple[Rule, ...]]) -> Ask:
    """What one rule, given as text, says about one pair."""

    def reasons(text: str, request: Request, pool: Pool) -> tuple[Rejection, ...]:
        found = decide(catalog, rules(text), [request], [pool]).get((0, 0), ())
        return tuple(r for r in found if r.rule_id == "it")

    return reasons


TIER = """
  it:
    kind: tier_bounds
    summary: web servers stay in a band of tiers
    {bounds}
    examples:
      - {{request: {{}}, pool: {{tier: {yes}}}, expect: allowed}}
      - {{request: {{}}, pool: {{tier: {no}}}, expect: refused}}
"""


@pytest.mark.parametrize(
    ("bounds", "yes", "no", "refused"),
    [
        ("floor: tier-2", "tier-2", "tier-3", {"tier-3"}),
        ("floor: tier-1", "tier-1", "tier-3", {"tier-2", "tier-3"}),
        ("ceiling: tier-2", "tier-2", "tier-1", {"tier-1"}),
        ("ceiling: tier-3", "tier-3", "tier-1", {"tier-1", "tier-2"}),
        ("{floor: tier-2, ceiling: tier-2}", "tier-2", "tier-1", {"tier-1", "tier-3"}),
    ],
)
def test_a_tier_is_refused_exactly_outside_floor_and_ceiling(
    ask: Ask,
    request_of: Callable[..., Request],
    pool_of: Callable[..., Pool],
    bounds: str,
    yes: str,
    no: str,
    refused: set[str],
) -> None:
    text = TIER.format(bounds=bounds.strip("{}").replace(", ", "\n    "), yes=yes, no=no)
    tiers = ("tier-1", "tier-2", "tier-3")
    assert {t for t in tiers if ask(text, request_of(), pool_of(tier=t))} == refused


def test_a_floor_refusal_names_rule_tier_and_what_would_do(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    text = TIER.format(bounds="floor: tier-2", yes="tier-1", no="tier-3")
    (why,) = ask(text, request_of(), pool_of(name="fra-test-1", tier="tier-3"))
    assert why == Rejection(
        rule_id="it",
        pool="fra-test-1",
        dimension="tier",
        limit="tier-2 or higher",
        need="tier-3",
        why="the tier must be tier-2 or higher (rule it); fra-test-1 is tier-3, below tier-2",
        remedy="choose tier-2 or higher",
    )


def residency(places: str) -> str:
    return f"""
  it:
    kind: residency
    summary: confidential data stays near
    when: request.data_classification == 'confidential'
    message: confidential data must stay in DE
    {places}
    examples:
      - {{request: {{data_classification: confidential}}, pool: {{site: fra}}, expect: allowed}}
      - {{request: {{data_classification: internal}}, pool: {{site: ams}}, expect: allowed}}
      - {{request: {{data_classification: confidential}}, pool: {{site: ams}}, expect: refused}}
"""


def test_residency_refuses_a_country_that_is_not_listed(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    hosted = pool_of(name="hosted-nl", site="ams", country="NL")
    (why,) = ask(residency("countries: [DE]"), request_of(data_classification="confidential"), hosted)
    assert why.why == "confidential data must stay in DE (rule it); hosted-nl is in NL"
    assert (why.dimension, why.limit, why.need) == ("country", "DE", "NL")
    assert why.remedy == "choose a pool in DE"


def test_residency_leaves_requests_alone_that_its_predicate_does_not_choose(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    hosted = pool_of(name="hosted-nl", site="ams", country="NL")
    assert not ask(residency("countries: [DE]"), request_of(data_classification="internal"), hosted)


def test_residency_by_site_refuses_another_site_of_the_same_country(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    request = request_of(data_classification="confidential")
    assert not ask(residency("sites: [fra]"), request, pool_of(site="fra"))
    (why,) = ask(residency("sites: [fra]"), request, pool_of(site="muc"))
    assert (why.dimension, why.limit, why.need) == ("site", "fra", "muc")


def test_residency_allows_a_listed_country_or_a_listed_site(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    text = residency("countries: [AT]\n    sites: [fra]")
    request = request_of(data_classification="confidential")
    assert not ask(text, request, pool_of(site="wien", country="AT"))
    assert not ask(text, request, pool_of(site="fra", country="DE"))
    assert ask(text, request, pool_of(site="muc", country="DE"))


CAPABILITIES = """
  it:
    kind: require_capabilities
    summary: payroll wants to be able to go back
    when: request.tenant == 'payroll'
    capabilities: [snapshot, revert]
    examples:
      - {request: {tenant: payroll}, pool: {capabilities: [snapshot, revert]}, expect: allowed}
      - {request: {tenant: payroll}, pool: {capabilities: [snapshot]}, expect: refused}
"""


def test_each_missing_capability_is_refused_with_the_gaps_own_reason(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    gaps = {
        "snapshot": ("never", "containers have no snapshots"),
        "revert": ("not_licensed", "the edition lacks it"),
        "clone": ("never", "nobody asked for this one"),
    }
    revert, snapshot = ask(CAPABILITIES, request_of(), pool_of(gaps=gaps))
    assert snapshot.why == (
        "these machines need snapshot (rule it); fra-prod-1 has none: containers have no snapshots (never)"
    )
    assert snapshot.remedy == "choose a pool that has snapshot"
    assert revert.remedy == "license revert on fra-prod-1, or choose a pool that has revert"


@pytest.mark.parametrize(
    ("kind", "has", "refused"),
    [
        ("require_traits", ["NETWORK_PROD", "STORAGE_SSD"], set()),
        ("require_traits", ["NETWORK_PROD"], {"STORAGE_SSD"}),
        ("require_traits", [], {"NETWORK_PROD", "STORAGE_SSD"}),
        ("forbid_traits", [], set()),
        ("forbid_traits", ["OTHER"], set()),
        ("forbid_traits", ["STORAGE_SSD", "OTHER"], {"STORAGE_SSD"}),
    ],
)
def test_traits_are_required_or_forbidden_one_by_one(
    ask: Ask,
    request_of: Callable[..., Request],
    pool_of: Callable[..., Pool],
    kind: str,
    has: list[str],
    refused: set[str],
) -> None:
    none, both = ("refused", "allowed") if kind == "require_traits" else ("allowed", "refused")
    text = f"""
  it:
    kind: {kind}
    summary: a rule about traits
    traits: [NETWORK_PROD, STORAGE_SSD]
    examples:
      - {{pool: {{traits: []}}, expect: {none}}}
      - {{pool: {{traits: [NETWORK_PROD, STORAGE_SSD]}}, expect: {both}}}
"""
    assert {r.dimension for r in ask(text, request_of(), pool_of(traits=has))} == refused


FORBID = """
  it:
    kind: forbid
    summary: confidential data never runs on test tiers
    when: request.data_classification == 'confidential' && pool.tier_rank > 2
    message: test tiers take no confidential data
    remedy: choose tier-1 or tier-2
    examples:
      - {request: {data_classification: confidential}, pool: {tier: tier-3}, expect: refused}
      - {request: {data_classification: confidential}, pool: {tier: tier-1}, expect: allowed}
"""


def test_forbid_refuses_what_its_predicate_says_of_request_and_pool(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    secret, plain = request_of(data_classification="confidential"), request_of()
    (why,) = ask(FORBID, secret, pool_of(tier="tier-3"))
    assert why.why == "test tiers take no confidential data (rule it); fra-prod-1 is refused"
    assert why.remedy == "choose tier-1 or tier-2"
    assert not ask(FORBID, secret, pool_of(tier="tier-2"))
    assert not ask(FORBID, plain, pool_of(tier="tier-3"))


def test_a_rule_that_cannot_be_decided_refuses_and_says_so(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    text = """
  it:
    kind: forbid
    summary: a predicate that fails for some requests
    when: 10 / (request.vcpu - 3) > 100
    message: never reached
    remedy: never reached
    examples:
      - {request: {vcpu: 2}, expect: allowed}
      - {request: {vcpu: 3}, expect: refused}
"""
    fine = text.replace("{request: {vcpu: 3}", "{request: {vcpu: 4}").replace("> 100", "> 5")
    assert not ask(fine, request_of(vcpu=5), pool_of())
    (why,) = ask(fine, request_of(vcpu=3), pool_of())
    assert why.why == "rule it could not be decided, so it refuses: divide by zero"
    assert why.dimension == "when"
    assert "corrected" in why.remedy


def test_a_predicate_that_costs_too_much_refuses(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
    loops = "".join(f"{ten}.all({v}, " for v in "abcdef") + "a + b + c + d + e + f > 0" + ")" * 6
    text = f"""
  it:
    kind: forbid
    summary: a million steps for machines above 8 vCPU
    when: "request.vcpu == 1 || (request.vcpu > 8 && {loops})"
    message: single processors are not offered
    remedy: order two
    examples:
      - {{request: {{vcpu: 1}}, expect: refused}}
      - {{request: {{vcpu: 2}}, expect: allowed}}
"""
    (why,) = ask(text, request_of(vcpu=9), pool_of())
    assert why.why == "rule it could not be decided, so it refuses: Iteration budget exceeded"


PARAMETER = """
  it:
    kind: require_traits
    summary: daily backups need a backup network
    when: request.offering == 'db-small' && request.param.backup == 'daily'
    traits: [NETWORK_BACKUP]
    examples:
      - {request: {offering: db-small, param.backup: daily}, pool: {traits: []}, expect: refused}
      - {request: {offering: db-small, param.backup: weekly}, pool: {traits: []}, expect: allowed}
      - {request: {offering: web-small}, pool: {traits: []}, expect: allowed}
"""


def test_a_parameter_can_be_named_and_a_guard_keeps_other_offerings_out(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    daily = request_of(offering="db-small", parameters={"backup": "daily"})
    weekly = request_of(offering="db-small", parameters={"backup": "weekly"})
    assert ask(PARAMETER, daily, pool_of())
    assert not ask(PARAMETER, weekly, pool_of())
    assert not ask(PARAMETER, request_of(offering="web-small"), pool_of())


def test_a_parameter_without_a_guard_refuses_offerings_that_do_not_have_it(
    ask: Ask, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    text = PARAMETER.replace("request.offering == 'db-small' && ", "").replace(
        "      - {request: {offering: web-small}, pool: {traits: []}, expect: allowed}\n", ""
    )
    (why,) = ask(text, request_of(offering="web-small"), pool_of())
    assert 'No value with name "request.param.backup"' in why.why


def test_one_and_true_are_decided_apart_in_one_batch(
    catalog: Catalog,
    rules: Callable[[str], tuple[Rule, ...]],
    request_of: Callable[..., Request],
    pool_of: Callable[..., Pool],
) -> None:
    text = """
  it:
    kind: forbid
    summary: a parameter that is a number in one offering and a text in another
    when: "'replicas' in request.parameter_names && request.param.replicas == 1"
    message: one replica is none
    remedy: order two
    examples:
      - {request: {parameter_names: [replicas], param.replicas: 1}, expect: refused}
      - {request: {parameter_names: [replicas], param.replicas: one}, expect: allowed}
"""
    asks = [request_of(parameters={"replicas": value}) for value in (True, 1, "one", 1)]
    assert list(decide(catalog, rules(text), asks, [pool_of()])) == [(1, 0), (3, 0)]

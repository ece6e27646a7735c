"""Shared and idle cost: OpenCost's own figures, a month by hand, and what must be seen when nobody pays."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from chargeback.fx import MissingFxRate
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.shared_costs.allocation import Allocation, Place, WrongCurrency, allocate
from chargeback.shared_costs.consumption import Consumption
from chargeback.shared_costs.costs import By, Charged, CostFx, PoolCost, due
from chargeback.shared_costs.rows import NOBODY, allocated, charged, headline, margins, rows
from chargeback.shared_costs.sharing import Among, SharedTenant
from chargeback.statements import COLUMNS
from chargeback.usage import Metric

CASES = Path(__file__).parents[3] / ".." / "shared" / "data" / "chargeback-cases.json"
OCTOBER = BillingPeriod(year=2026, month=10, time_zone="UTC")
SECONDS = OCTOBER.t_to - OCTOBER.t_from
CPU, RAM, OTHER = Metric.VCPU, Metric.MEMORY_MIB, Metric.MACHINE


def cost(name: str, amount: int, split: dict[Metric, int], **fields: Any) -> PoolCost:
    """A cost of a pool of the same name, in whole units of the currency, known and valid for ever."""
    place = {} if {"tier", "site"} & fields.keys() else {"pool": name}
    return PoolCost.model_validate(
        {"name": name, "currency": "EUR", "month_nanos": amount * 10**9, "split": split, "valid_from": 0,
         "recorded_at": 0, "source": "a contract", **place, **fields}
    )  # fmt: skip


def held(tenant: str, pool: str, metric: Metric, amount: int, **fields: Any) -> Consumption:
    """So many units, held for the whole of October."""
    values = {"cost_centre": "cc", "tier": "tier-1", "allocated": amount * SECONDS, **fields}
    return Consumption(tenant=tenant, pool=pool, metric=metric, **values)


def shared(
    costs: list[PoolCost], found: list[Consumption], places: list[Place], digits: int = 2, **more: Any
) -> Allocation:
    dues = due(costs, OCTOBER, minor_digits=digits, rounding=Rounding.HALF_UP)
    return allocate(dues, found, places, OCTOBER, currency="EUR", minor_digits=digits, **more)


# The clusters of OpenCost's cases: each unit of a resource costs 1, and idle is what is not held.
CLUSTERS = [
    held("ns1", "cluster1", CPU, 3), held("ns1", "cluster1", RAM, 13), held("ns1", "cluster1", OTHER, 12),
    held("ns2", "cluster1", CPU, 3), held("ns2", "cluster1", RAM, 3), held("ns2", "cluster1", OTHER, 12),
    held("ns2", "cluster2", CPU, 3), held("ns2", "cluster2", RAM, 3), held("ns2", "cluster2", OTHER, 12),
    held("ns3", "cluster2", CPU, 3), held("ns3", "cluster2", RAM, 3), held("ns3", "cluster2", OTHER, 12),
]  # fmt: skip
PLACES = [
    Place("cluster1", "tier-1", "fra", {CPU: 11, RAM: 31}),
    Place("cluster2", "tier-1", "fra", {CPU: 11, RAM: 11}),
]


def clusters(idle: By | None, **more: Any) -> Allocation:
    costs = [
        cost("cluster1", 66, {CPU: 11, RAM: 31, OTHER: 24}, idle=idle),
        cost("cluster2", 46, {CPU: 11, RAM: 11, OTHER: 24}, idle=idle),
    ]
    return shared(costs, CLUSTERS, PLACES, digits=9, **more)


def case(name: str) -> dict[str, str]:
    if not CASES.exists():
        pytest.skip("the cases are not in ../shared/data")
    found: dict[str, str] = next(c for c in json.loads(CASES.read_text())["cases"] if c["id"] == name)[
        "expect"
    ]
    return found


def units(found: Allocation, **wanted: str) -> Fraction:
    return Fraction(found.amount_minor(**wanted), 10**found.minor_digits)


def test_idle_cost_goes_by_each_resource_s_weight_inside_its_own_pool() -> None:
    expected, found = case("oc-01-idle-by-weight"), clusters(By.ALLOCATION)
    for tenant in ("ns1", "ns2", "ns3"):
        assert units(found, tenant=tenant) == Fraction(expected[tenant])
    assert units(found) == Fraction(expected["total"])


def test_a_shared_tenant_is_borne_evenly_while_idle_cost_stays_apart() -> None:
    expected = case("oc-02-shared-evenly")
    found = clusters(None, shared=[SharedTenant(tenant="ns3", by=Among.EVEN)])
    assert units(found, tenant="ns1") == Fraction(expected["ns1"])
    assert units(found, tenant="ns2") == Fraction(expected["ns2"])
    assert units(found, tenant="", kind="idle") == Fraction(expected["idle"])
    assert units(found) == Fraction(expected["total"])


def test_looking_at_one_tenant_does_not_show_the_idle_cost_of_all() -> None:
    expected = case("oc-06-filter-must-not-inflate-idle")
    found = clusters(By.ALLOCATION, shared=[SharedTenant(tenant="ns1")])
    for kind, figure in (("held", "ns2"), ("idle", "idle")):
        assert abs(units(found, tenant="ns2", kind=kind) - Fraction(expected[figure])) < Fraction(1, 10**9)
    assert units(found, tenant="ns2") + units(found, tenant="ns3") == units(found) == 112
    assert units(found, kind="idle") == 30


def test_a_cost_is_split_over_resources_by_their_list_prices() -> None:
    expected = case("oc-08-normalise-node-price")
    # The case's GPU stands for machines here, which have no capacity to be idle either.
    (one,) = [cost("node", 35, {OTHER: 30, CPU: 30, RAM: 10})]
    by_metric = shared([one], [held("a", "node", m, 1) for m in (OTHER, CPU, RAM)], []).by("metric")
    assert by_metric["machine",] == Fraction(expected["gpu"]) * 100
    assert by_metric["vcpu",] == Fraction(expected["cpu"]) * 100
    assert by_metric["memory_mib",] == Fraction(expected["ram"]) * 100


POOL = [Place("p", "tier-1", "fra", {CPU: 10})]


def test_what_is_held_beyond_the_capacity_leaves_no_idle_cost_rather_than_a_negative_one() -> None:
    found = shared([cost("p", 100, {CPU: 1})], [held("a", "p", CPU, 9), held("b", "p", CPU, 6)], POOL)
    assert found.by("tenant", "kind") == {("a", "held"): 6000, ("b", "held"): 4000}


def test_the_last_cents_go_to_the_largest_remainders_and_of_equal_ones_to_the_first() -> None:
    thirds = [held(name, "p", CPU, 1) for name in ("c", "a", "b")]
    found = shared([cost("p", 100, {CPU: 1})], thirds, [])
    assert found.by("tenant") == {("a",): 3334, ("b",): 3333, ("c",): 3333}


@pytest.mark.parametrize("by", [By.USE, By.PRICE])
def test_idle_cost_without_a_weight_is_borne_by_nobody_and_said_so(by: By) -> None:
    found = shared([cost("p", 100, {CPU: 1}, idle=by)], [held("a", "p", CPU, 4)], POOL)
    (nobody,) = found.where(tenant="")
    assert (nobody.amount_minor, nobody.why) == (6000, f"no weight by {by} is above zero")
    assert found.amount_minor() == 10000


def test_a_pool_that_nobody_used_costs_what_it_costs() -> None:
    for places, why in (
        (POOL, "idle, kept apart"),
        ([], "nothing was held, and its capacity is not known"),
    ):
        (part,) = shared([cost("p", 100, {CPU: 1})], [], places).parts
        assert (part.tenant, part.amount_minor, part.why) == ("", 10000, why)


def test_an_absent_tenant_s_custom_share_is_not_put_on_the_others() -> None:
    one = cost("p", 100, {CPU: 1}, share=By.CUSTOM, custom={"a": 3, "b": 1})
    found = shared([one], [held("a", "p", CPU, 10), held("c", "p", CPU, 10)], [])
    assert found.by("tenant") == {("a",): 7500, ("",): 2500}
    assert found.where(tenant="")[0].why == "the share of b, who held nothing here"


def test_an_even_split_counts_tenants_and_not_their_cost_centres_or_pools() -> None:
    one = cost("site", 90, {CPU: 1}, share=By.EVEN, site="fra")
    places = [
        Place("p", "tier-1", "fra", {}),
        Place("q", "tier-2", "fra", {}),
        Place("r", "tier-1", "ams", {}),
    ]
    found = shared(
        [one],
        [
            held("a", "p", CPU, 1), held("a", "q", CPU, 1, tier="tier-2"), held("a", "p", CPU, 1, cost_centre="other"),
            held("b", "q", CPU, 50, tier="tier-2"), held("c", "r", CPU, 9),
        ],
        places,
    )  # fmt: skip
    assert found.by("tenant", "cost_centre", "pool") == {
        ("a", "cc", "p"): 1500, ("a", "cc", "q"): 1500, ("a", "other", "p"): 1500, ("b", "cc", "q"): 4500,
    }  # fmt: skip


def test_use_beside_allocation_leaves_more_idle() -> None:
    found = [held("a", "p", CPU, 5, used=1 * SECONDS), held("b", "p", CPU, 5, used=3 * SECONDS)]
    one = cost("p", 100, {CPU: 1}, share=By.USE, idle=By.ALLOCATION)
    assert shared([one], found, POOL).by("tenant", "kind") == {
        ("a", "held"): 1000, ("b", "held"): 3000, ("a", "idle"): 3000, ("b", "idle"): 3000,
    }  # fmt: skip


def test_a_shared_tenant_with_nobody_to_share_with_is_not_lost() -> None:
    found = shared(
        [cost("p", 100, {CPU: 1})], [held("a", "p", CPU, 5)], [], shared=[SharedTenant(tenant="a")]
    )
    (part,) = found.parts
    assert (part.tenant, part.via, part.amount_minor) == ("", "a", 10000)


def test_a_cost_that_begins_or_is_replaced_within_the_month_counts_by_its_seconds() -> None:
    tenth = OCTOBER.t_from + 10 * 86400
    old = cost("old", 310, {CPU: 1})
    new = cost("new", 620, {CPU: 1}, pool="old", valid_from=tenth, recorded_at=5, replaces=("old",))
    late = cost("late", 31, {CPU: 1}, valid_from=tenth, valid_to=tenth + 86400)
    dues = due([old, new, late], OCTOBER, minor_digits=2, rounding=Rounding.HALF_UP)
    assert [(d.cost.name, d.total_minor) for d in dues] == [("old", 10000), ("new", 42000), ("late", 100)]
    known = due([old, new], OCTOBER, 4, minor_digits=2, rounding=Rounding.HALF_UP)
    assert [(d.cost.name, d.total_minor) for d in known] == [("old", 31000)]


def test_a_cost_in_another_currency_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        WrongCurrency, match=r"the bill is in EUR, but not the pool cost of p \(USD\); write it in EUR"
    ):
        shared([cost("p", 1, {CPU: 1}, currency="USD")], [], [])


def test_rows_keep_the_contract_and_add_up_with_the_unallocated_one_among_them() -> None:
    one = cost("p", 100, {CPU: 1}, idle=By.USE, share=By.ALLOCATION)
    found = shared([one], [held("a", "p", CPU, 4)], POOL)
    made = rows(found, "acme v1")
    assert [tuple(row) for row in made] == [COLUMNS] * 2
    assert sum(int(row["amount_minor"]) for row in made) == found.total_minor
    assert made[0]["note"] == "held vcpu of pool p: 40.00 % of EUR 100.00 (p, by allocation)"
    assert made[1]["statement"] == f"2026-10/{NOBODY}"
    assert made[1]["note"] == (
        "idle vcpu of pool p: 60.00 % of EUR 100.00 (p, by use); borne by nobody: no weight by use is above zero"
    )
    assert len({row["line"] for row in made}) == 2


def test_only_what_the_document_says_is_charged_to_a_tenant() -> None:
    for rule, kinds in ((Charged.NOTHING, []), (Charged.IDLE, ["idle"]), (Charged.ALL, ["held", "idle"])):
        one = cost("p", 100, {CPU: 1}, idle=By.ALLOCATION, charge=rule)
        parts = shared([one], [held("a", "p", CPU, 4)], POOL).parts
        assert [part.kind for part in parts if charged(part)] == kinds


def test_ratios_of_a_split_cost_add_up_to_exactly_one() -> None:
    one = cost("p", 100, {CPU: 1}, idle=By.ALLOCATION)
    details = allocated(shared([one], [held(t, "p", CPU, 1) for t in "abc"], POOL))
    elements = [json.loads(each["AllocatedMethodDetails"], parse_float=str)["Elements"] for each in details]
    assert sum(Fraction(element["AllocatedRatio"]) for (element,) in elements) == 1
    assert {each["AllocatedMethodId"] for each in details} == {"held-by-allocation", "idle-by-allocation"}
    assert allocated(shared([cost("p", 100, {CPU: 1})], [], POOL))[0]["AllocatedMethodId"] == ""


def test_each_tier_s_margin_is_what_it_recovered_less_what_it_cost() -> None:
    costs = [
        cost("p", 100, {CPU: 1}, idle=By.ALLOCATION, charge=Charged.IDLE),
        cost("q", 50, {CPU: 1}, tier="tier-2"),
    ]
    found = shared(costs, [held("a", "p", CPU, 4), held("a", "q", CPU, 1, tier="tier-2")], POOL)
    lines: list[dict[str, str | int]] = [
        {"tier": "tier-1", "amount_minor": 7000}, {"tier": "tier-2", "amount_minor": 4000},
        {"tier": "tier-3", "amount_minor": 5},
    ]  # fmt: skip
    one, two, three = margins(found, lines)
    assert (one.cost_minor, one.idle_minor, one.recovered_minor, one.margin_minor) == (
        10000,
        6000,
        13000,
        3000,
    )
    assert (two.cost_minor, two.recovered_minor, two.margin_minor) == (5000, 4000, -1000)
    assert (three.tier, three.cost_minor, three.margin_minor) == ("tier-3", 0, 5)


def test_the_headline_is_the_one_of_the_month_s_close() -> None:
    one = cost("p", 15198, {CPU: 1}, idle=By.USE)
    found = shared([one], [held("a", "p", CPU, 4, used=SECONDS)], POOL)
    assert headline(found, 318_204_17) == "idle cost not passed on EUR 9,118.80 (2.9 %), shared by use"
    apart = shared([cost("p", 100, {CPU: 1})], [held("a", "p", CPU, 4)], POOL)
    assert headline(apart, 0) == "idle cost not passed on EUR 60.00, kept apart", "of nothing, no part"
    passed_on = shared(
        [cost("p", 100, {CPU: 1}, idle=By.ALLOCATION, charge=Charged.IDLE)], [held("a", "p", CPU, 4)], POOL
    )
    assert headline(passed_on, 60000) == "idle cost passed on EUR 60.00 (10.0 %), shared by allocation"


def dollars(*rates: tuple[str, str, int], **more: Any) -> CostFx:
    body = {"name": "dollars", "from_currency": "USD", "to_currency": "EUR"} | more
    rows = [{"day": day, "rate": rate, "source": "ECB", "recorded_at": at} for day, rate, at in rates]
    return CostFx.model_validate({**body, "rates": rows})


def in_euros(costs: list[PoolCost], fx: list[CostFx], known_at: int = OCTOBER.t_to, **more: Any) -> Any:
    given = {"minor_digits": 2, "rounding": Rounding.HALF_UP, "currency": "EUR", "fx": fx} | more
    return due(costs, OCTOBER, known_at, **given)


def test_a_cost_in_another_currency_is_converted_exactly_and_rounded_once() -> None:
    """Half of October of USD 1000.01 a month is 500.005, x 0.92235 = 461.17961...: 461.18."""
    lease = cost("p", 0, {CPU: 1}, currency="USD", valid_to=OCTOBER.t_from + SECONDS // 2)
    lease = lease.model_copy(update={"month_nanos": 1_000_010_000_000})
    (found,) = in_euros([lease], [dollars(("2026-10-31", "0.92235", 0))])
    assert (found.total_minor, found.currency) == (46118, "EUR")
    assert found.converted == "USD 500.005 x 0.92235 EUR of 2026-10-31 (ECB)"
    result = allocate(
        [found],
        [held("shop", "p", CPU, 1)],
        [Place("p", "tier-1", "fra", {CPU: 2})],
        OCTOBER,
        currency="EUR",
        minor_digits=2,
    )
    made = rows(result, "card v1")
    assert sum(int(row["amount_minor"]) for row in made) == 46118
    assert {row["currency"] for row in made} == {"EUR"}
    assert all(str(row["note"]).endswith("; USD 500.005 x 0.92235 EUR of 2026-10-31 (ECB)") for row in made)


def test_costs_of_several_currencies_stand_in_one_report_each_by_its_own_rates() -> None:
    francs = dollars(
        ("2026-10-01", "1.5", 0), name="francs", from_currency="CHF", use_rate_of="period-start"
    )
    costs = [
        cost("a", 10, {CPU: 1}, currency="USD"),
        cost("b", 10, {CPU: 1}),
        cost("c", 10, {CPU: 1}, currency="CHF"),
    ]
    found = in_euros(costs, [dollars(("2026-10-30", "0.9", 0), max_age_days=1), francs])
    assert [each.total_minor for each in found] == [900, 1000, 1500]
    assert [bool(each.converted) for each in found] == [True, False, True]
    assert allocate(found, [], [], OCTOBER, currency="EUR", minor_digits=2).total_minor == 3400


def test_a_rate_that_becomes_known_later_changes_what_is_known_then_and_not_before() -> None:
    lease = cost("p", 100, {CPU: 1}, currency="USD")
    fx = [dollars(("2026-10-31", "0.9", 0), ("2026-10-31", "0.8", OCTOBER.t_to + 10))]
    assert [in_euros([lease], fx, at)[0].total_minor for at in (OCTOBER.t_to + 9, OCTOBER.t_to + 10)] == [
        9000,
        8000,
    ]


def test_without_a_rate_of_the_day_there_is_no_cost_and_without_a_way_it_is_refused() -> None:
    lease = cost("p", 100, {CPU: 1}, currency="USD")
    with pytest.raises(
        MissingFxRate, match=r"fx 'dollars' has no known rate from USD to EUR of 2026-10-31"
    ):
        in_euros([lease], [dollars(("2026-10-30", "0.9", 0))])
    back = dollars(("2026-10-31", "0.9", 0), from_currency="EUR", to_currency="USD")
    (foreign,) = in_euros([lease], [back])
    with pytest.raises(WrongCurrency, match=r"write it in EUR, or its exchange rates in 'cost_fx:'"):
        allocate([foreign], [], [], OCTOBER, currency="EUR", minor_digits=2)


def test_before_the_month_is_over_the_last_rate_so_far_counts() -> None:
    lease = cost("p", 100, {CPU: 1}, currency="USD")
    fx = [dollars(("2026-10-02", "0.9", 0), ("2026-10-20", "0.7", 0))]
    (found,) = in_euros([lease], fx, OCTOBER.t_from + 10 * 86400)
    assert found.total_minor == 9000

"""Cash by month, break-even and present value, against small tables worked out by hand."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.economics.cash import (
    CashFlow,
    Comparison,
    Payment,
    compared,
    migration,
    present_value,
    purchases,
    running,
    subscriptions,
)
from chargeback.economics.costing import HostFacts, PoolFacts, host_costs, open_costs, products, unit_costs
from chargeback.economics.document import Economics, load_economics

EUR = 10**6
START = date(2026, 12, 1)
TEXT = """
format: tierwise-economics/1
currency: EUR
host_types:
  any: {purchase_price: 6000, depreciation_months: 60, bought_on: 2025-01-01, maintenance_per_year: 100}
sites: {a: {pue: 1, price_per_kwh: 1, space_per_host_per_month: {value: 10, changes: [{value: 20, from: 2027-02-01}]}}}
storage: {any: {per_gib_per_month: 0.0000007}}
opening: {array: {term: storage, purchase_price: 600, depreciation_months: 6, per_month: 3}}
licences:
  suite:
    layer: hypervisor
    alternatives:
      - name: year
        metric: per_core
        prices: [{amount: 120, period: year}]
        owned: [{packs: 10, until: 2027-03-01}]
        add_on: {name: disk, amount: tib, prices: [{amount: 5, period: month}]}
      - {name: bought, metric: per_core, prices: [{amount: 500, period: once, write_off_months: 50}]}
"""
HOST = HostFacts("xen", "p", "a", "m", 2, 16, 65536)
POOL = PoolFacts("p", "xen", "a")


def economics() -> Economics:
    return load_economics(TEXT, "e.yaml")


def by_month(payments: object, months: int = 12) -> dict[str, tuple[int, ...]]:
    return dict(CashFlow(months, tuple(payments)).by_term)  # type: ignore[call-overload] # any iterable of payments


def test_hosts_pay_their_purchase_at_once_and_the_rest_by_the_month() -> None:
    found = host_costs(economics(), HOST, START, 12)
    assert by_month(purchases(found.lines, 2)) == {"hardware": (12_000 * EUR,) + (0,) * 11}
    monthly = by_month(running(found.lines, START, 3))
    assert monthly["space"] == (30 * EUR, 30 * EUR) + (60 * EUR,) * 10
    assert sum(monthly["maintenance"]) == 300 * EUR
    assert max(monthly["maintenance"]) - min(monthly["maintenance"]) <= 3
    assert set(monthly) == {"space", "maintenance"}, "what is sunk or written off is no cash"


def test_cash_of_what_runs_is_what_it_costs() -> None:
    found = host_costs(economics(), HOST, START, 12)
    assert sum(one.micros for one in running(found.lines, START)) == sum(found.kept.values())
    opened = open_costs(economics(), POOL, START, 12)
    assert by_month(purchases(opened.lines)) == {"storage": (600 * EUR,) + (0,) * 11}
    assert sum(one.micros for one in running(opened.lines, START)) == 36 * EUR


def test_units_that_cost_less_than_a_micro_add_up_exactly() -> None:
    disk = unit_costs(economics(), POOL, START, 12)
    assert by_month(running(disk.lines, START, 3)) == {"storage": (2,) * 9 + (3, 2, 2)}
    assert disk.per_unit["storage"]["disk_gib"] * 3 == Fraction(252, 10)


def test_subscriptions_are_paid_when_due_and_only_beyond_what_is_owned() -> None:
    first, second = products(economics(), START, 27)
    assert by_month(subscriptions(first, "year", 10), 27) == {}
    assert by_month(subscriptions(first, "year", 12), 27)["licences"][:4] == (
        60 * EUR,
        0,
        0,
        0,
    )  # until March
    paid = by_month(subscriptions(second, "year", 12), 27)["licences"]
    assert {n: micros for n, micros in enumerate(paid) if micros} == {3: 1440 * EUR, 15: 1440 * EUR}
    assert by_month(subscriptions(first, "bought", 2), 27)["licences"][0] == 1000 * EUR
    assert by_month(subscriptions(second, "bought", 2), 27) == {}, "it was bought at the start"
    assert by_month(subscriptions(first, "year", 4, add_on="disk"), 27)["licences"][:4] == (
        20 * EUR,
    ) * 3 + (0,)


def test_moving_is_paid_in_the_months_in_which_machines_move() -> None:
    assert by_month(migration(100, (0, 2, 1)), 3) == {"migration": (0, 67, 33)}
    assert by_month(migration(100, ()), 3) == {"migration": (100, 0, 0)}
    assert list(migration(0, (1,))) == []


def flow(*micros: int) -> CashFlow:
    return CashFlow(len(micros), tuple(Payment(n, "power", paid) for n, paid in enumerate(micros)))


CENT = EUR // 100


@pytest.mark.parametrize(
    ("base", "plan", "month"),
    [
        ((10, 10, 10, 10), (25, 4, 4, 4), 4),  # -15, -9, -3, 3
        ((10, 10, 10), (25, 4, 4), None),
        ((10, 10, 10), (10, 10, 10), 1),
        ((10, 10, 10), (5, 20, 1), 3),  # 5, -5, 4: ahead, behind, and ahead for good
        ((10, 10, 10), (20, 0, 10), 2),
        ((10, 10, 10), (11, 9, 10), 2),  # a single cent is still a cost
    ],
)
def test_break_even_is_the_month_from_whose_end_on_a_plan_costs_no_more(
    base: tuple[int, ...], plan: tuple[int, ...], month: int | None
) -> None:
    by_cents = [flow(*(CENT * cents for cents in plan)) for plan in (base, plan)]
    assert compared(*by_cents).break_even_month == month


def test_a_plan_that_is_behind_by_rounding_alone_never_costs_more() -> None:
    # A pool's disk costs 1/3 of a micro-unit a month. Three pools pay 0, 0, 1 each; together they pay 1, 1, 1.
    apart, together = flow(0, 0, 3), flow(1, 1, 1)
    assert compared(apart, together).break_even_month == 1
    assert compared(apart, together).cumulative == (-1, -2, 0)


def test_present_value_discounts_each_month_and_rounds_once() -> None:
    # 12 % a year: 100, 100/1.01 and 100/1.0201, of a million micro-units each
    assert present_value((100 * EUR,) * 3, Fraction(12)) == 297_039_506
    assert present_value((1, 1, 1), Fraction(0)) == 3
    assert Comparison((-100 * EUR, 0, 0, 101 * EUR)).present_value(Fraction(12)) == -1_970_395


@settings(deadline=None)
@given(st.lists(st.integers(-(10**12), 10**12), max_size=60), st.integers(0, 50))
def test_present_value_is_never_further_from_zero_for_what_comes_later(
    flows: list[int], percent: int
) -> None:
    rate = Fraction(percent)
    assert abs(present_value([0, *map(abs, flows)], rate)) <= present_value([*map(abs, flows), 0], rate)


def test_plans_of_different_times_are_not_compared() -> None:
    with pytest.raises(ValueError, match="a plan over 2 months cannot be compared with one over 3"):
        compared(flow(1, 2, 3), flow(1, 2))
    with pytest.raises(ValueError, match="power is paid in month 3, outside of 3 months"):
        CashFlow(3, (Payment(3, "power", 1),))

"""Rates that recover a tier's cost: worked out by hand, and priced by the rating engine itself."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.economics.document import Economics, load_economics
from chargeback.economics.fleet import TierCost, tier_cost
from chargeback.economics.rates import InvalidRates, Proposal, card_text, propose
from chargeback.economics.trace import MissingFigure
from chargeback.metering import intervals
from chargeback.money import Rounding, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import load_rate_cards
from chargeback.rating import rate
from chargeback.usage import to_table

EUR = 10**6
OCTOBER = date(2026, 10, 1)
TEXT = """
format: tierwise-economics/1
currency: EUR
host_types:
  any: {purchase_price: 4800, depreciation_months: 48, bought_on: 2026-01-01, maintenance_per_year: 120}
labour: {cost_per_hour: 60, hours_per_month: 140, machines_per_admin: 210}
storage: {any: {per_gib_per_month: 0.1}}
opening: {array: {term: storage, per_month: 500}}
tiers:
  tier-1:
    target_utilisation_percent: {vcpu: 50, memory_mib: 80, disk_gib: 75}
    split:
      hardware: {vcpu: 3, memory_mib: 1}
      maintenance: {vcpu: 1}
      labour: {machine: 1}
      storage: {disk_gib: 1}
      licences: {vcpu: 1}
fleet:
  a: {tier: tier-1, pool: p, hypervisor: xen, hosts: 4, spare_hosts: 1, cores: 16, memory_mib: 65536, disk_gib: 4000, vcpu_per_core: 2, machines: 1, used: {vcpu: 8, memory_mib: 16384, disk_gib: 100}}
  b: {tier: tier-1, pool: p, hypervisor: xen, hosts: 1, cores: 8, memory_mib: 32768, memory_ratio: 1.5}
"""


@cache
def economics(text: str = TEXT) -> Economics:
    return load_economics(text, "e.yaml")


def proposal(licences: int = 0, decimals: int = 6, text: str = TEXT) -> Proposal:
    known = economics(text)
    return propose(known, tier_cost(known, "tier-1", OCTOBER, 1, {"p": licences, "elsewhere": 7}), decimals)


def test_a_tier_costs_all_that_stands_in_it_and_sells_what_is_not_spare() -> None:
    found = tier_cost(economics(), "tier-1", OCTOBER, 1)
    assert found.terms == {
        "hardware": 5 * 100 * EUR,  # sunk, and recovered all the same
        "maintenance": 50 * EUR,
        "labour": 40 * EUR,
        "storage": 400 * EUR + 500 * EUR,  # the pool is opened once
    }
    assert found.sunk_micros == 500 * EUR
    assert found.capacity == {
        "vcpu": 3 * 32 + 8,
        "memory_mib": 3 * 65536 + 49152,
        "disk_gib": 4000,
        "machine": 1,
    }
    assert sum(one.micros for one in found.traced) == found.total
    assert found.hours == 744


def test_a_host_whose_purchase_nobody_dates_counts_as_bought() -> None:
    known = economics(TEXT.replace("bought_on: 2026-01-01, ", ""))
    assert tier_cost(known, "tier-1", OCTOBER, 1).terms["hardware"] == 500 * EUR
    assert tier_cost(known, "tier-1", OCTOBER, 1).sunk_micros == 0


def test_rates_are_cost_over_what_is_meant_to_be_sold() -> None:
    rates = {one.resource: one for one in proposal(licences=30 * EUR).rates}
    assert {name: one.cost_micros for name, one in rates.items()} == {
        "vcpu": (375 + 50 + 30) * EUR,
        "memory_mib": 125 * EUR,
        "disk_gib": 900 * EUR,
        "machine": 40 * EUR,
    }
    assert rates["vcpu"].exact == Fraction(455 * 10**9, 52 * 744)
    assert rates["memory_mib"].exact == Fraction(125 * 10**9, 240 * 744) * 100 / 80
    assert rates["vcpu"].rate_nanos == 11_761_000  # 0.0117607...
    assert rates["machine"].rate_nanos == 53_763_000
    assert [proposal(decimals=n).rates[0].rate_nanos for n in (9, 4, 0)] == [
        10_985_318,
        11_000_000,
        0,
    ]  # 425 / 38688 = 0.0109853184...


def test_what_use_does_not_recover_is_a_line_of_its_own_and_all_lines_add_up_to_the_cent() -> None:
    lines = proposal().recovery()
    assert [line.resource for line in lines] == ["vcpu", "memory_mib", "disk_gib", "machine", ""]
    assert sum(line.cost_minor for line in lines) == 149_000
    assert sum(line.recovered_minor for line in lines) == 149_000
    by_resource = {line.resource: line.recovered_minor for line in lines}
    # 0.010985 x 8 x 744, 0.000875 x 16 x 744, 0.000403 x 100 x 744, 0.053763 x 744
    assert by_resource == {"vcpu": 6538, "memory_mib": 1042, "disk_gib": 2998, "machine": 4000, "": 134_422}


def test_the_rating_engine_bills_what_the_proposal_says_it_recovers(
    event: Callable[..., Any], at: Callable[[str], int]
) -> None:
    found = proposal()
    text = card_text(
        [found], name="proposed", currency="EUR", valid_from=OCTOBER, recorded_at="2026-09-01T00:00:00"
    )
    (card,) = load_rate_cards({"rates.yaml": text}, ("tier-1",))
    machine = Resources(vcpu=8, memory_mib=16384, disk_gib=100)
    usage = to_table(
        intervals([event(0, "created", at("2026-10-01"), resources=machine)], at("2026-11-01"))
    )
    charges = rate(usage, card, [BillingPeriod.parse("2026-10", "UTC")], 2**40)
    billed = {c.rate.metric: round_to_minor(c.amount_nanos, 2, Rounding.HALF_UP) for c in charges}
    assert billed == {line.resource: line.recovered_minor for line in found.recovery() if line.resource}


@settings(deadline=None)
@given(
    vcpu=st.integers(1, 5000), memory=st.integers(1, 10**7), disk=st.integers(1, 10**6), machines=st.integers(1, 500)
)  # fmt: skip
def test_any_use_and_what_it_does_not_recover_come_to_the_cost(
    vcpu: int, memory: int, disk: int, machines: int
) -> None:
    used = {"vcpu": vcpu, "memory_mib": memory, "disk_gib": disk, "machine": machines}
    terms = {"hardware": 123_456_789, "labour": 1, "storage": 77_777_777}
    cost = TierCost("tier-1", OCTOBER, 12, terms, 0, used, used, ())
    found = propose(economics(), cost, decimals=9)
    assert sum(one.cost_micros for one in found.rates) == cost.total
    lines = found.recovery()
    total = round_to_minor(Fraction(cost.total * 1000), 2, Rounding.HALF_UP)
    assert (sum(x.cost_minor for x in lines), sum(x.recovered_minor for x in lines)) == (total, total)


def test_a_tier_that_is_as_full_as_meant_recovers_its_cost_but_for_the_rounding_of_rates() -> None:
    cost = tier_cost(economics(), "tier-1", OCTOBER, 1)
    full = {"vcpu": 52, "memory_mib": 196608, "disk_gib": 3000, "machine": 1}
    found = propose(economics(), TierCost("tier-1", OCTOBER, 1, cost.terms, 0, cost.capacity, full, ()), 9)
    assert abs(found.recovery()[-1].recovered_minor) <= 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      storage: {disk_gib: 1}\n", "", r"tiers\.tier-1\.split\.storage: is missing, and storage costs 900; say what pays for it"),
        ("labour: {machine: 1}", "labour: {disk_gib: 1}", ""),
        ("machines: 1, used", "used", ""),
        ("disk_gib: 4000, ", "", r"has no disk_gib to sell, and split lets it pay for 500; let another resource pay"),
    ],
)  # fmt: skip
def test_what_is_missing_for_rates_is_told(old: str, new: str, said: str) -> None:
    assert old in TEXT
    if not said:
        assert proposal(text=TEXT.replace(old, new)).recovery()
        return
    with pytest.raises(InvalidRates, match=said):
        proposal(text=TEXT.replace(old, new))


def test_a_tier_in_which_nothing_stands_is_told() -> None:
    with pytest.raises(MissingFigure, match="fleet: nothing stands in tier 'tier-9'; add what does"):
        tier_cost(economics(), "tier-9", OCTOBER, 1)


def test_so_many_hosts_cost_what_each_of_them_costs_alone() -> None:
    one = "{tier: tier-1, pool: p, hypervisor: xen, hosts: 1, cores: 16, memory_mib: 65536}"
    before, _, _ = TEXT.partition("fleet:")
    many = economics(f"{before}fleet:\n  a: {one.replace('hosts: 1', 'hosts: 7')}\n")
    each = economics(f"{before}fleet:\n" + "".join(f"  h{n}: {one}\n" for n in range(7)))
    first, second = (tier_cost(known, "tier-1", OCTOBER, 7) for known in (many, each))
    assert (first.terms, first.sunk_micros, first.capacity) == (
        second.terms,
        second.sunk_micros,
        second.capacity,
    )


def test_every_micro_of_a_tiers_cost_stands_on_a_line_licences_too() -> None:
    found = proposal(licences=30 * EUR).cost
    assert sum(one.micros for one in found.traced) == found.total
    assert found.terms["licences"] == 30 * EUR

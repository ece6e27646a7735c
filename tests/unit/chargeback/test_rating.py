from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod, months
from chargeback.rate_cards import RateCard
from chargeback.rating import Grain, UnpricedUsage, rate
from chargeback.usage import InvalidUsage, to_table

HOUR = 3600
FOREVER = 2**40
VCPU = "id: v, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: 0.02, valid_from: 2026-01-01"
MEMORY = "id: m, tier: tier-1, metric: memory_mib, unit: GiB-hour, price: 0.0042, valid_from: 2026-01-01"


def utc(*names: str) -> list[BillingPeriod]:
    return [BillingPeriod.parse(name, "UTC") for name in names]


def amounts(charges: Any) -> dict[tuple[str, str, str], Fraction]:
    return {(c.period.name, c.tenant, c.rate.id): c.amount_nanos / 10**9 for c in charges}


def test_a_resize_in_the_middle_is_charged_as_a_person_would_add_it_up(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    # 96 GiB x 412 h + 128 GiB x 333 h = 82,176 GiB-hours; x 0.0042 = 345.1392
    life = [
        event(0, "created", at("2026-10-01"), resources=Resources(vcpu=1, memory_mib=96 * 1024)),
        event(1, "resized", at("2026-10-01") + 412 * HOUR, resources=Resources(vcpu=1, memory_mib=128 * 1024)),
        event(2, "deleted", at("2026-10-01") + 745 * HOUR),
    ]  # fmt: skip
    usage = to_table(intervals(life, at("2027-01-01")))
    (october, november) = rate(usage, card_of(MEMORY), utc("2026-10", "2026-11"), FOREVER)
    assert october.quantity_seconds == (96 * 412 + 128 * 332) * 1024 * HOUR
    assert november.quantity_seconds == 128 * 1024 * HOUR
    assert october.amount_nanos + november.amount_nanos == Fraction("345.1392") * 10**9
    assert october.seconds == 744 * HOUR


def test_a_price_change_within_the_month_cuts_the_charge_there(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    card = card_of(
        VCPU + ", valid_to: '2026-10-10T13:00:00Z'",
        VCPU.replace("id: v", "id: w").replace("0.02", "0.03").replace("2026-01-01", "'2026-10-10T13:00:00Z'"),
    )  # fmt: skip
    usage = to_table(intervals([event(0, "created", at("2026-10-01"))], at("2026-11-01")))
    first = 9 * 24 + 13
    assert amounts(rate(usage, card, utc("2026-10"), FOREVER)) == {
        ("2026-10", "shop", "v"): Fraction(2 * first * 2, 100),
        ("2026-10", "shop", "w"): Fraction(2 * (744 - first) * 3, 100),
    }


def test_a_month_is_charged_in_the_cards_own_time_zone(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    usage = to_table(intervals([event(0, "created", at("2026-09-30"))], at("2026-11-02")))
    berlin = card_of(VCPU, zone="Europe/Berlin")
    (charge,) = rate(usage, berlin, [BillingPeriod.parse("2026-10", "Europe/Berlin")], FOREVER)
    assert charge.seconds == 745 * HOUR
    (charge,) = rate(usage, card_of(VCPU), utc("2026-10"), FOREVER)
    assert charge.seconds == 744 * HOUR


def test_a_rate_for_running_machines_does_not_charge_the_hours_they_were_off(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    start = at("2026-10-01")
    life = [
        event(0, "created", start),
        event(1, "powered_on", start + 2 * HOUR),
        event(2, "powered_off", start + 5 * HOUR),
    ]
    usage = to_table(intervals(life, start + 10 * HOUR))
    (running,) = rate(usage, card_of(VCPU + ", power: powered-on"), utc("2026-10"), FOREVER)
    (always,) = rate(usage, card_of(VCPU), utc("2026-10"), FOREVER)
    assert (running.seconds, always.seconds) == (3 * HOUR, 10 * HOUR)


def test_only_what_was_known_then_is_charged_usage_and_prices_alike(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    start = at("2026-10-01")
    life = [event(0, "created", start)]
    stored = reconcile([], intervals(life, start + 10 * HOUR), recorded_at=at("2026-11-01"), source="s")
    late = event(1, "owner_changed", start + 4 * HOUR, tenant="bank", cost_centre="cc-2")
    stored += reconcile(
        stored, intervals([*life, late], start + 10 * HOUR), recorded_at=at("2026-11-05"), source="s"
    )
    card = card_of(
        VCPU,
        VCPU.replace("id: v", "id: w").replace("0.02", "0.05") + ", recorded_at: 2026-11-09T00:00:00Z, replaces: [v]",
    )  # fmt: skip
    usage = to_table(stored)

    def as_known(day: str) -> dict[tuple[str, str, str], Fraction]:
        return amounts(rate(usage, card, utc("2026-10"), at(day)))

    assert as_known("2026-10-31") == {}
    assert as_known("2026-11-02") == {("2026-10", "shop", "v"): Fraction(40, 100)}
    assert as_known("2026-11-06") == {
        ("2026-10", "shop", "v"): Fraction(16, 100),
        ("2026-10", "bank", "v"): Fraction(24, 100),
    }
    assert as_known("2026-11-10") == {
        ("2026-10", "shop", "w"): Fraction(40, 100),
        ("2026-10", "bank", "w"): Fraction(60, 100),
    }


def test_an_hour_that_was_taken_back_and_added_again_counts_once(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    start = at("2026-10-01")
    life = [event(0, "created", start)]
    stored = reconcile([], intervals(life, start + 10 * HOUR), recorded_at=1, source="s")
    grown = event(1, "resized", start, resources=Resources(vcpu=8, memory_mib=1024, disk_gib=1))
    stored += reconcile(stored, intervals([*life, grown], start + 10 * HOUR), recorded_at=2, source="s")
    (charge,) = rate(to_table(stored), card_of(VCPU), utc("2026-10"), FOREVER)
    assert (charge.quantity_seconds, charge.seconds) == (80 * HOUR, 10 * HOUR)


def test_the_grain_of_a_machine_adds_up_to_the_grain_of_the_tenant(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    start = at("2026-10-01")
    rows = []
    for name, cores in (("web-1", 2), ("web-2", 3)):
        size = Resources(vcpu=cores, memory_mib=1024, disk_gib=1)
        rows += intervals([event(0, "created", start, machine=name, resources=size)], start + 7 * HOUR)
    (whole,) = rate(to_table(rows), card_of(VCPU), utc("2026-10"), FOREVER)
    parts = rate(to_table(rows), card_of(VCPU), utc("2026-10"), FOREVER, grain=Grain.MACHINE)
    assert whole.machine is None
    assert [(c.machine, c.quantity_seconds // HOUR) for c in parts] == [("web-1", 14), ("web-2", 21)]
    assert sum(c.amount_nanos for c in parts) == whole.amount_nanos


def test_a_rate_that_another_interrupted_gives_one_charge(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    card = card_of(
        VCPU,
        VCPU.replace("id: v", "id: w").replace("2026-01-01", "2026-10-05")
        + ", valid_to: 2026-10-06, recorded_at: 2026-09-01T00:00:00Z, replaces: [v]",
    )
    usage = to_table(intervals([event(0, "created", at("2026-10-01"))], at("2026-11-01")))
    charges = rate(usage, card, utc("2026-10"), FOREVER)
    assert [(c.rate.id, c.seconds // HOUR) for c in charges] == [("v", 720), ("w", 24)]


def test_usage_without_a_rate_stops_the_bill_and_is_named(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    start = at("2025-12-31")
    rows = intervals([event(0, "created", start)], start + 48 * HOUR)
    rows += intervals([event(0, "created", start, machine="web-2", tier="tier-9")], start + 25 * HOUR)
    with pytest.raises(UnpricedUsage, match="card test v1 has no rate") as caught:
        rate(to_table(rows), card_of(VCPU), utc("2025-12", "2026-01"), FOREVER)
    assert [str(usage) for usage in caught.value.unpriced] == [
        "tenant shop: 172800 vcpu-seconds on tier-1 between 2025-12-01T00:00:00Z and 2026-01-01T00:00:00Z",
        "tenant shop: 172800 vcpu-seconds on tier-9 between 2025-12-01T00:00:00Z and 2026-01-01T00:00:00Z",
        "tenant shop: 7200 vcpu-seconds on tier-9 between 2026-01-01T00:00:00Z and 2026-02-01T00:00:00Z",
    ]


def test_sums_beyond_63_bits_stay_exact(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    # 2**53 MiB for a year, four times: the sum of quantity x seconds needs 80 bits.
    huge = Resources(vcpu=1, memory_mib=2**53, disk_gib=0)
    start, end = at("2026-01-01"), at("2027-01-01")
    rows = [
        row
        for i in range(4)
        for row in intervals([event(0, "created", start, machine=f"m-{i}", resources=huge)], end)
    ]
    charges = rate(to_table(rows), card_of(MEMORY), months(utc("2026-01")[0], 12), FOREVER)
    total = sum(charge.quantity_seconds for charge in charges)
    assert total == 4 * 2**53 * (end - start) > 2**63


def test_wrong_periods_and_wrong_tables_are_refused_in_words(
    event: Callable[..., MachineEvent], card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    usage = to_table(intervals([event(0, "created", at("2026-10-01"))], at("2026-11-01")))
    with pytest.raises(ValueError, match="2026-10 is a month in UTC, but test v1 bills in Europe/Berlin"):
        rate(usage, card_of(VCPU, zone="Europe/Berlin"), utc("2026-10"), FOREVER)
    with pytest.raises(ValueError, match="2026-10 would be charged twice"):
        rate(usage, card_of(VCPU), utc("2026-10", "2026-10"), FOREVER)
    with pytest.raises(InvalidUsage, match="no column tier"):
        rate(usage.drop_columns(["tier"]), card_of(VCPU), utc("2026-10"), FOREVER)
    assert rate(to_table([]), card_of(VCPU), utc("2026-10"), FOREVER) == []
    assert rate(usage, card_of(VCPU), [], FOREVER) == []

"""Worked cases of other products' test suites, through the real engine: what kinds of rates must come to.

Each case is run as it is given, and again with other numbers, whose results a plain loop works out.
"""

import json
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from chargeback.money import exact_text
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from chargeback.rating import Grain, rate
from chargeback.shapes import shape_of
from chargeback.statements import statements
from chargeback.usage import SCHEMA

CASES = Path(__file__).parents[2] / ".." / "shared" / "data" / "chargeback-cases.json"
HOUR = 3600
FOREVER = 2**40

pytestmark = pytest.mark.skipif(not CASES.is_file(), reason="chargeback-cases.json is not there")


@cache
def case(name: str) -> Any:
    return next(one for one in json.loads(CASES.read_text())["cases"] if one["id"] == name)


def card_of(*rates: str, zone: str = "UTC", conventions: str = "", minor_digits: int = 4) -> RateCard:
    text = (
        f"rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: {minor_digits}\n"
        f"    time_zone: {zone}\n    recorded_at: 2000-01-01\n    conventions: {{{conventions}}}\n    rates:\n"
    )
    for number, one in enumerate(rates):
        text += f"      - {{id: r{number}, tier: t, valid_from: 2000-01-01, {one}}}\n"
    (card,) = load_rate_cards({"card.yaml": text}, ("t",))
    return card


def month(name: str, zone: str = "UTC") -> BillingPeriod:
    return BillingPeriod.parse(name, zone)


SEPTEMBER = month("2012-09")


def row(metric: str, quantity: int, t_from: int, seconds: int, **fields: object) -> dict[str, object]:
    return {
        "machine": "m", "tenant": "shop", "cost_centre": "cc", "tier": "t", "pool": "p", "metric": metric,
        "quantity": quantity, "power": "on", "t_from": t_from, "t_to": t_from + seconds, "recorded_at": 0,
        "source": "case", "sequence": 0, "labels": "",
    } | fields  # fmt: skip


def charged(
    card: RateCard, period: BillingPeriod, rows: list[dict[str, object]], key: str = "metric"
) -> dict[str, str]:
    """The exact amounts by a column of the bill; the lines' rounded amounts must add up to the same."""
    charges = rate(pa.Table.from_pylist(rows, schema=SCHEMA), card, [period], FOREVER, grain=Grain.MACHINE)
    found: dict[str, Fraction] = {}
    for statement in statements(charges, card):
        for line in statement.lines:
            name = str(line.row("")[key])
            found[name] = found.get(name, Fraction(0)) + line.charge.amount_nanos * Fraction(1, 10**9)
    return {name: exact_text(amount) for name, amount in found.items()}


def same(amount: str, expected: object) -> bool:
    return Fraction(amount) == Fraction(str(expected))


def sampled(
    period: BillingPeriod, every_h: int, count: int, start_h: int = 0, **values: int
) -> list[dict[str, object]]:
    return [
        row(metric, value, period.t_from + (start_h + n * every_h) * HOUR, HOUR)
        for metric, value in values.items()
        for n in range(count)
    ]


ALL_METRICS = (
    "metric: vcpu, unit: vcpu-hour, price: {cpu_alloc}", "metric: cpu_mhz, unit: MHz-hour, price: {cpu_used}",
    "metric: memory_mib, unit: MiB-hour, price: {mem_alloc}",
    "metric: memory_mib, unit: MiB-hour, price: {mem_used}, basis: usage",
    "metric: disk_io_kbps, unit: KBps-hour, price: {disk_io}", "metric: net_io_kbps, unit: KBps-hour, price: {net_io}",
    "metric: disk_gib, unit: GiB-hour, price: {storage_alloc}",
    "metric: storage_used_gib, unit: GiB-hour, price: {storage_used}",
)  # fmt: skip
IDS = (
    "cpu_alloc",
    "cpu_used",
    "mem_alloc",
    "mem_used",
    "disk_io",
    "net_io",
    "storage_alloc",
    "storage_used",
)


def day_with_samples(rates: dict[str, str], values: dict[str, int], samples: int) -> dict[str, str]:
    card = card_of(*(one.format(**rates) for one in ALL_METRICS))
    day = SEPTEMBER.t_to - 24 * HOUR
    allocated = {"vcpu": "vcpu", "mem_alloc_mib": "memory_mib", "storage_alloc_gib": "disk_gib"}
    used = {
        "cpu_used_mhz": "cpu_mhz", "mem_used_mib": "memory_mib:usage", "disk_io_kbps": "disk_io_kbps",
        "net_io_kbps": "net_io_kbps", "storage_used_gib": "storage_used_gib",
    }  # fmt: skip
    rows = [row(metric, values[name], day, 24 * HOUR) for name, metric in allocated.items()]
    for name, metric in used.items():
        rows += [row(metric, values[name], day + (7 + n) * HOUR, HOUR) for n in range(samples)]
    found = charged(card, SEPTEMBER, rows, "rate_id")
    return {name: found[f"r{number}"] for number, name in enumerate(IDS)}


def test_what_is_allocated_counts_all_day_and_what_is_used_while_there_are_samples() -> None:
    given = case("miq-01-day-with-3-samples")
    rates = {name: text.partition(" ")[0] for name, text in given["given"]["rates"].items()}
    found = day_with_samples(rates, given["given"]["values"], 3)
    assert all(same(found[name], given["expect"][name]) for name in IDS)
    other = {name: 3 * value for name, value in given["given"]["values"].items()}
    again = day_with_samples(rates, other, 5)
    for name in IDS:
        times = 3 if name.endswith("alloc") else 5
        assert Fraction(again[name]) == Fraction(found[name]) * times


def fixed_and_variable(
    fixed: str, alloc: str, used: str, vcpu: int, mhz: int, every_h: int
) -> dict[str, str]:
    shape = f"window: moment, shape: {{kind: fixed_variable, fixed: {fixed}, price: PRICE}}"
    card = card_of(
        f"metric: vcpu, unit: vcpu-hour, {shape.replace('PRICE', alloc)}",
        f"metric: cpu_mhz, unit: MHz-hour, {shape.replace('PRICE', used)}",
        conventions="fixed_needs: existence",
    )
    hours = int(SEPTEMBER.hours)
    rows = [
        row(metric, quantity, SEPTEMBER.t_from, hours * HOUR)
        for metric, quantity in (("vcpu", vcpu), ("machine", 1))
    ]
    rows += sampled(SEPTEMBER, every_h, hours // every_h, cpu_mhz=mhz)
    return charged(card, SEPTEMBER, rows)


def test_a_fixed_part_is_charged_for_each_hour_that_the_machine_exists() -> None:
    expected = case("miq-03-fixed-plus-variable")["expect"]
    found = fixed_and_variable("10.00", "1.00", "0.01", 1, 50, 12)
    assert same(found["vcpu"], expected["cpu_alloc"])
    assert same(found["cpu_mhz"], expected["cpu_used"])
    other = fixed_and_variable("0.25", "0.5", "0.003", 6, 70, 8)
    assert same(other["vcpu"], 720 * (Fraction("0.25") + 6 * Fraction("0.5")))
    assert same(other["cpu_mhz"], 720 * Fraction("0.25") + 90 * 70 * Fraction("0.003"))


@pytest.mark.parametrize(
    ("conventions", "key"), [("", "time_weighted"), ("allocated: maximum", "maximum_method")]
)
def test_a_resize_counts_by_time_or_by_its_highest(conventions: str, key: str) -> None:
    expected = case("miq-05-resize-mid-month-average")["expect"][key]["cost"]
    card = card_of("metric: vcpu, unit: vcpu-hour, price: 1.00", conventions=conventions)
    rows = [
        row("vcpu", 1, SEPTEMBER.t_from, 240 * HOUR),
        row("vcpu", 2, SEPTEMBER.t_from + 240 * HOUR, 480 * HOUR),
    ]
    assert same(charged(card, SEPTEMBER, rows)["vcpu"], expected)
    sizes = [5, 3, 9, 1]
    rows = [
        row("vcpu", size, SEPTEMBER.t_from + n * 180 * HOUR, 180 * HOUR) for n, size in enumerate(sizes)
    ]
    by_loop = sum(180 * (max(sizes) if conventions else size) for size in sizes)
    assert same(charged(card, SEPTEMBER, rows)["vcpu"], by_loop)


def test_the_tier_that_contains_the_quantity_prices_all_of_it() -> None:
    given = case("miq-06-tier-boundaries-whole-quantity")
    tiers = [
        {"above": tier["above"], "to": tier["to"], "flat": tier["fixed"], "price": tier["variable"]}
        for tier in given["given"]["tiers"]
    ]
    written = json.dumps(tiers).replace('"', "")
    for kind in ("whole_quantity", "volume"):
        card = card_of(f"metric: vcpu, unit: vcpu-hour, shape: {{kind: {kind}, tiers: {written}}}")
        for text, expected in zip(given["given"]["quantities"], given["expect"]["cost"], strict=True):
            quantity = int(text)
            if quantity:
                assert same(
                    charged(card, SEPTEMBER, [row("vcpu", quantity, SEPTEMBER.t_from, HOUR)])["vcpu"],
                    expected,
                )
            shape = shape_of({"kind": kind, "tiers": tiers})
            assert shape.price(Fraction(quantity)) == Fraction(expected) * 10**9
        assert len(card.warnings) == 2, "the card's prices fall at both bounds, and it says so"


@pytest.mark.parametrize(("index", "per"), list(enumerate(["hour", "day", "week", "month", "year"])))
def test_a_price_for_another_time_is_that_much_less_an_hour(index: int, per: str) -> None:
    given = case("miq-08-rate-period-conversion")
    card = card_of(
        f"metric: memory_mib, unit: MiB-{per}, price: {given['given']['rate']}",
        conventions="month: 30d, year: 365d",
    )
    charges = rate(
        pa.Table.from_pylist([row("memory_mib", 42, SEPTEMBER.t_from, HOUR)], schema=SCHEMA),
        card,
        [SEPTEMBER],
        FOREVER,
    )
    amount = charges[0].amount_nanos * Fraction(1, 10**9)
    assert abs(amount - Fraction(given["expect"]["cost"][index])) <= Fraction(1, 10**12)
    assert amount == 42 * Fraction("8.26") * Fraction(1, (1, 24, 168, 720, 8760)[index])


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [("2012-02", "UTC", 696), ("2013-02", "UTC", 672), ("2026-10", "Europe/Berlin", 745), ("2026-03", "America/New_York", 743)],
)  # fmt: skip
def test_a_calendar_month_costs_its_price_whatever_its_length(name: str, zone: str, hours: int) -> None:
    period = month(name, zone)
    assert period.hours == hours
    card = card_of("metric: machine, unit: machine-month, price: 100.00", zone=zone, minor_digits=2)
    assert charged(card, period, [row("machine", 1, period.t_from, hours * HOUR)]) == {"machine": "100"}
    ten_days = rate(
        pa.Table.from_pylist([row("machine", 1, period.t_from, 240 * HOUR)], schema=SCHEMA),
        card,
        [period],
        FOREVER,
    )
    assert ten_days[0].amount_nanos == Fraction(24_000 * 10**9, hours)
    if name == "2012-02":
        expected = case("miq-10-calendar-month-rate-feb-2012")["expect"]
        assert expected["hours_in_month"] == hours
        assert ten_days[0].rounded(card) == Fraction(expected["cost_10_days"]) * 100


def test_an_ongoing_time_costs_the_same_however_it_is_cut_into_reports() -> None:
    expected = case("miq-11-ongoing-period-same-in-every-report")["expect"]
    january = month("2007-01")
    card = card_of(
        "metric: vcpu, unit: vcpu-hour, price: 1.20", "metric: cpu_mhz, unit: MHz-hour, price: 0.01"
    )
    rows = sampled(january, 1, 17, vcpu=1, cpu_mhz=50)
    found = charged(card, january, rows)
    assert same(found["vcpu"], expected["cpu_alloc"])
    assert same(found["cpu_mhz"], expected["cpu_used"])
    assert sum(Fraction(amount) for amount in found.values()) == Fraction(expected["total"])


def test_a_machine_that_is_retired_costs_nothing_after_it() -> None:
    expected = case("miq-12-retired-mid-month")["expect"]
    card = card_of("metric: vcpu, unit: vcpu-hour, price: 1.00")
    assert same(
        charged(card, SEPTEMBER, [row("vcpu", 1, SEPTEMBER.t_from, 348 * HOUR)])["vcpu"],
        expected["cpu_alloc"],
    )


def test_a_machine_without_metrics_is_charged_for_what_it_is() -> None:
    expected = case("miq-13-no-metrics-inventory-only")["expect"]
    card = card_of(
        "metric: machine, unit: machine-hour, price: 0.01", "metric: memory_mib, unit: MiB-hour, price: 0.01",
        "metric: vcpu, unit: vcpu-hour, price: 1.00", "metric: disk_gib, unit: GiB-hour, price: 1.00",
    )  # fmt: skip
    sizes = {"machine": 1, "memory_mib": 1777, "vcpu": 7, "disk_gib": 7}
    rows = [row(metric, size, SEPTEMBER.t_from, 24 * HOUR) for metric, size in sizes.items()]
    found = charged(card, SEPTEMBER, rows)
    names = {"machine": "fixed", "memory_mib": "mem", "vcpu": "cpu", "disk_gib": "storage"}
    assert all(same(found[metric], expected[name]) for metric, name in names.items())
    assert sum(Fraction(amount) for amount in found.values()) == Fraction(expected["total"])


def test_each_class_of_storage_has_its_price() -> None:
    expected = case("miq-16-storage-classes")["expect"]

    def cost(ssd: str, hdd: str, sizes: dict[str, int]) -> dict[str, str]:
        card = card_of(
            f"metric: disk_gib, unit: GiB-hour, price: {ssd}, where: {{storage: ssd}}",
            f"metric: disk_gib, unit: GiB-hour, price: {hdd}, where: {{storage: hdd}}",
        )
        rows = [
            row("disk_gib", size, SEPTEMBER.t_from, 24 * HOUR, labels=f"storage={kind}")
            for kind, size in sizes.items()
        ]
        return charged(card, SEPTEMBER, rows, "labels")

    found = cost("1.00", "1.00", {"ssd": 3, "hdd": 1})
    assert same(found["storage=ssd"], expected["ssd"])
    assert same(found["storage=hdd"], expected["hdd"])
    assert cost("0.5", "0.01", {"ssd": 10, "hdd": 500}) == {"storage=ssd": "120", "storage=hdd": "120"}


def test_usage_before_and_after_a_change_of_label_is_told_apart() -> None:
    expected = case("miq-19-tag-removed-mid-month")["expect"]
    card = card_of("metric: cpu_mhz, unit: MHz-hour, price: 0.01")
    rows = sampled(SEPTEMBER, 12, 60, cpu_mhz=50)
    for early in rows[:20]:
        early["labels"] = "department=hr"
    found = charged(card, SEPTEMBER, rows, "labels")
    assert same(found["department=hr"], expected["HR"])
    assert same(found[""], expected["other"])


def test_the_same_sets_of_tiers_are_taken_and_refused() -> None:
    given = case("miq-20-invalid-tier-sets")
    for tiers, valid in zip(given["given"]["tier_sets"], given["expect"]["valid"], strict=True):
        body = [{"above": above, "to": to, "price": 1} for above, to in tiers]
        for kind in ("graduated", "whole_quantity", "volume"):
            try:
                shape_of({"kind": kind, "tiers": body})
                taken = True
            except ValidationError:
                taken = False
            assert taken == valid, (kind, tiers)


def test_a_fixed_cost_without_samples_is_zero_or_charged_as_the_card_says() -> None:
    expected = case("miq-21-fixed-cost-needs-presence")["expect"]["fixed"]
    one = "metric: cpu_mhz, unit: MHz-hour, window: moment, shape: {kind: fixed_variable, fixed: 1.00, price: 0}"
    rows = [row("machine", 1, SEPTEMBER.t_from, 720 * HOUR)]
    assert same(charged(card_of(one), SEPTEMBER, rows).get("cpu_mhz", "0"), expected)
    assert same(
        charged(card_of(one, conventions="fixed_needs: existence"), SEPTEMBER, rows)["cpu_mhz"], 720
    )


def test_two_prices_of_one_thing_add_up() -> None:
    given = case("ck-01-two-service-prices-sum")
    card = card_of(
        "metric: machine, unit: machine-hour, price: 1.42",
        "metric: machine, unit: machine-hour, price: 1.337, component: g",
    )
    rows = [
        row("machine", point["qty"], SEPTEMBER.t_from, HOUR, machine=f"m{number}")
        for number, point in enumerate(given["given"]["points"])
    ]
    found = charged(card, SEPTEMBER, rows, "machine")
    assert [Fraction(found[f"m{number}"]) for number in range(4)] == [
        Fraction(p) for p in given["expect"]["price"]
    ]


def test_the_highest_threshold_that_a_size_reaches_sets_its_price() -> None:
    given = case("ck-03-attribute-threshold")
    tiers = "[{to: 63, flat: 0}, {to: 127, flat: 0.1337}, {flat: 0.2}]"
    card = card_of(
        f"metric: memory_mib, unit: MiB-hour, window: moment, shape: {{kind: block, tiers: {tiers}}}"
    )
    rows = [
        row("memory_mib", point["memory"], SEPTEMBER.t_from, point["qty"] * HOUR, machine=f"m{number}")
        for number, point in enumerate(given["given"]["points"])
    ]
    found = charged(card, SEPTEMBER, rows, "machine")
    assert [Fraction(found[f"m{number}"]) for number in range(4)] == [
        Fraction(p) for p in given["expect"]["price"]
    ]


def test_a_price_stays_what_was_written() -> None:
    given = case("ck-07-float-contamination")
    card = card_of(f"metric: machine, unit: machine-hour, price: {given['given']['stored_price']}")
    found = charged(card, SEPTEMBER, [row("machine", 1, SEPTEMBER.t_from, HOUR)])
    assert found == {"machine": given["expect"]["price"]}


def test_a_minimum_is_charged_with_the_whole_window_and_a_maximum_caps_it() -> None:
    least = case("om-03-minimum-commitment")
    shape = shape_of(
        {"kind": "minimum", "amount": least["given"]["minimum"], "of": {"kind": "unit", "price": 10}}
    )
    assert shape.price(Fraction(0)) == int(least["expect"]["final_run"]) * 10**9
    most = case("om-04-maximum-spend")
    card = card_of(
        f"metric: vcpu, unit: vcpu-hour, shape: {{kind: maximum, amount: {most['given']['maximum']}, of: {{kind: unit, price: 10}}}}"
    )
    first = [row("vcpu", 7, SEPTEMBER.t_from, HOUR)]
    already = Fraction(charged(card, SEPTEMBER, first)["vcpu"])
    both = Fraction(
        charged(card, SEPTEMBER, [*first, row("vcpu", 5, SEPTEMBER.t_from + HOUR, HOUR)])["vcpu"]
    )
    assert (already, both - already) == (70, Fraction(most["expect"]["due"]))


def test_flat_amounts_of_graduated_tiers_add_up() -> None:
    given = case("om-05-credits")
    tiers = "[{to: 5, flat: 100}, {to: 10, flat: 50}, {price: 1}]"
    card = card_of(
        f"metric: vcpu, unit: vcpu-hour, window: tenant-month, shape: {{kind: graduated, tiers: {tiers}}}"
    )
    for quantity, gross in zip(given["given"]["quantity"], given["expect"]["gross"], strict=True):
        machines = [row("vcpu", 5, SEPTEMBER.t_from, HOUR, machine=f"m{n}") for n in range(quantity // 5)]
        assert same(charged(card, SEPTEMBER, machines)["vcpu"], gross)


def test_quantities_are_made_whole_as_the_rule_says() -> None:
    given = case("om-06-unit-rounding")
    for (text, rule), billed in zip(given["given"]["cases"], given["expect"]["billed"], strict=True):
        shape = (
            f"{{kind: rounded, rule: {rule.replace('_', '-')}, divide_by: {given['given']['divide_by']}, "
            "of: {kind: unit, price: 1}}"
        )
        card = card_of(f"metric: vcpu, unit: vcpu-hour, shape: {shape}")
        assert same(
            charged(card, SEPTEMBER, [row("vcpu", int(text), SEPTEMBER.t_from, HOUR)])["vcpu"], billed
        )


def test_free_units_are_free_once_in_the_window_however_often_it_is_billed() -> None:
    given = case("om-07-free-allowance-spans-runs")
    shape = f"{{kind: allowance, free: {given['given']['free_units']}, of: {{kind: unit, price: 1}}}}"
    card = card_of(f"metric: vcpu, unit: vcpu-hour, shape: {shape}")
    for run, billable in zip(given["given"]["runs"], given["expect"]["billable_now"], strict=True):
        before = [row("vcpu", run["before"], SEPTEMBER.t_from, HOUR)]
        after = [*before, row("vcpu", run["now"], SEPTEMBER.t_from + HOUR, HOUR)]
        amounts = [Fraction(charged(card, SEPTEMBER, rows).get("vcpu", "0")) for rows in (before, after)]
        assert amounts[1] - amounts[0] == Fraction(billable)


def test_every_case_of_these_kinds_is_run() -> None:
    elsewhere = {
        "miq-14": "two cards", "miq-17": "tree of tenants", "miq-18": "grouping", "oc-": "shared costs",
        "om-01": "correction", "om-08": "ingest",
    }  # fmt: skip
    run = Path(__file__).read_text()
    missing = [
        one["id"]
        for one in json.loads(CASES.read_text())["cases"]
        if f'case("{one["id"]}")' not in run and not any(one["id"].startswith(name) for name in elsewhere)
    ]
    assert missing == []

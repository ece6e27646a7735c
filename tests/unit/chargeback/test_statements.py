import csv
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import RateCard
from chargeback.rating import Grain, rate
from chargeback.statements import COLUMNS, Statement, corrections, statements, with_corrections
from chargeback.usage import UsageInterval, to_table

HOUR = 3600
OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
NOVEMBER = OCTOBER.next
FOREVER = 2**40


def number(text: str) -> Fraction:
    """What a person reads: a decimal, or a whole number and a fraction."""
    size = sum(Fraction(part) for part in text.removeprefix("-").split())
    return -size if text.startswith("-") else size


def recount(row: Any) -> int:
    """The amount in cents, from nothing but what the row prints. Half away from zero, by hand."""
    exact = number(row["quantity"]) * Fraction(row["rate"]) * 100
    doubled = abs(exact) * 2 + 1
    cents = doubled.numerator // (2 * doubled.denominator)
    return cents if exact >= 0 else -cents


@pytest.fixture
def life(event: Callable[..., MachineEvent]) -> list[MachineEvent]:
    start = OCTOBER.t_from
    return [
        event(0, "created", start, resources=Resources(vcpu=3, memory_mib=5000, disk_gib=77)),
        event(1, "powered_on", start + 17),
        event(2, "resized", start + 400_001, resources=Resources(vcpu=5, memory_mib=7001, disk_gib=91)),
    ]


@pytest.fixture
def stored(life: list[MachineEvent]) -> list[UsageInterval]:
    return reconcile([], intervals(life, NOVEMBER.t_to), recorded_at=NOVEMBER.t_to, source="orders")


def issued(
    rows: Any, card: RateCard, *periods: BillingPeriod, known_at: str = FOREVER, grain: Grain = Grain.TENANT
) -> list[Statement]:
    return statements(rate(to_table(rows), card, periods, known_at, grain=grain), card)


@pytest.mark.parametrize("grain", list(Grain))
def test_every_line_can_be_recomputed_from_what_it_prints(
    acme: RateCard, stored: list[UsageInterval], grain: Grain
) -> None:
    (october, november) = issued(stored, acme, OCTOBER, NOVEMBER, grain=grain)
    rows = [*october.rows(), *november.rows()]
    assert len(rows) == 8
    for row in rows:
        assert recount(row) == row["amount_minor"]
        assert Fraction(row["amount"]) * 100 == row["amount_minor"]
        assert tuple(row) == COLUMNS
    assert any("/" in row["quantity"] for row in rows), "no line with an endless decimal was tried"
    assert october.total_minor == sum(row["amount_minor"] for row in october.rows())


def test_a_statement_shows_quantity_hours_rate_and_amount_of_each_line(
    acme: RateCard, event: Callable[..., MachineEvent]
) -> None:
    start = OCTOBER.t_from
    machine = [event(0, "created", start), event(1, "powered_on", start)]
    (october,) = issued(intervals(machine, OCTOBER.t_to), acme, OCTOBER)
    shown = [(r["quantity"], r["hours"], r["unit"], r["rate"], r["amount"]) for r in october.rows()]
    # 2 vCPU, 4 GiB, 50 GiB and one machine for 745 hours.
    assert shown == [
        ("1490", "745", "vcpu-hour", "0.018", "26.82"),
        ("2980", "745", "GiB-hour", "0.0042", "12.52"),
        ("37250", "745", "GiB-hour", "0.00031", "11.55"),
        ("745", "745", "machine-hour", "0.021", "15.65"),
    ]
    assert (october.id, october.total) == ("2026-10/shop", "EUR 66.54")
    assert october.rows()[0]["line"] == "2026-10/shop/cc-1/tier-1/vcpu/vcpu-tier-1-2026-10"


def test_a_late_owner_change_becomes_corrections_that_point_at_the_closed_lines(
    acme: RateCard,
    life: list[MachineEvent],
    stored: list[UsageInterval],
    event: Callable[..., MachineEvent],
) -> None:
    closed_at, now = NOVEMBER.t_to, NOVEMBER.t_to + 5 * 86400
    late = event(3, "owner_changed", OCTOBER.t_from + 600_000, tenant="bank", cost_centre="cc-2")
    stored += reconcile(stored, intervals([*life, late], NOVEMBER.t_to), recorded_at=now, source="late")
    before = issued(stored, acme, OCTOBER, known_at=closed_at)
    after = issued(stored, acme, OCTOBER, known_at=now)
    found = corrections(before, after)
    closed = {row["line"]: row for statement in before for row in statement.rows()}
    assert {c.tenant for c in found} == {"shop", "bank"}
    for correction in found:
        row = correction.row("2026-12/x")
        assert row["charge_class"] == "Correction"
        assert (row["corrects"] in closed) == (correction.tenant == "shop")
        assert correction.amount_minor == row["amount_minor"] != 0
    by_tenant = {
        tenant: sum(c.amount_minor for c in found if c.tenant == tenant) for tenant in ("shop", "bank")
    }
    now_due = {s.tenant: s.total_minor for s in after}
    assert before[0].total_minor + by_tenant["shop"] == now_due["shop"]
    assert by_tenant["bank"] == now_due["bank"] > 0 > by_tenant["shop"]


def test_a_correction_prints_both_sides_so_that_it_can_be_checked(
    acme: RateCard, stored: list[UsageInterval]
) -> None:
    (before,) = issued(stored, acme, OCTOBER)
    (found,) = corrections([before], [before.__class__("shop", OCTOBER, acme, before.lines[1:])])
    row = found.row("2026-12/shop")
    line = before.lines[0]
    assert row["note"] == f"{line.quantity} vcpu-hour x 0.018 = {line.amount} -> nothing"
    assert number(row["quantity"]) == -number(line.quantity)
    assert row["amount_minor"] == -line.amount_minor
    assert row["line"] == f"2026-12/shop/correction/{line.id}"


def test_nothing_changed_means_no_correction(acme: RateCard, stored: list[UsageInterval]) -> None:
    assert corrections(issued(stored, acme, OCTOBER), issued(stored, acme, OCTOBER)) == []


def test_corrections_are_booked_on_the_next_statement_also_of_a_tenant_without_usage(
    acme: RateCard,
    life: list[MachineEvent],
    stored: list[UsageInterval],
    event: Callable[..., MachineEvent],
) -> None:
    late = event(3, "owner_changed", OCTOBER.t_from, tenant="bank", cost_centre="cc-2")
    back = event(4, "owner_changed", NOVEMBER.t_from, tenant="shop", cost_centre="cc-1")
    known = intervals([*life, late, back], NOVEMBER.t_to)
    found = corrections(issued(stored, acme, OCTOBER), issued(known, acme, OCTOBER))
    november = issued(known, acme, NOVEMBER)
    booked = with_corrections(november, found, NOVEMBER, acme)
    assert [(s.id, len(s.lines)) for s in booked] == [("2026-11/bank", 0), ("2026-11/shop", 4)]
    assert booked[0].total_minor == -(booked[1].total_minor - november[0].total_minor) > 0
    assert [row["charge_class"] for row in booked[1].rows()] == [""] * 4 + ["Correction"] * 4


def test_corrections_only_go_on_statements_of_their_period_and_currency(
    acme: RateCard, stored: list[UsageInterval]
) -> None:
    october = issued(stored, acme, OCTOBER)
    with pytest.raises(ValueError, match="is not of 2026-11"):
        with_corrections(october, [], NOVEMBER, acme)
    found = corrections(october, [])
    francs = acme.model_copy(update={"currency": "CHF"})
    with pytest.raises(ValueError, match="correction in EUR on a statement in CHF"):
        with_corrections([], found, NOVEMBER, francs)


def test_rows_are_plain_data_that_csv_writes_and_reads_back(
    acme: RateCard, stored: list[UsageInterval]
) -> None:
    (october,) = issued(stored, acme, OCTOBER)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(october.rows())
    back = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert back == [{key: str(value) for key, value in row.items()} for row in october.rows()]


def test_a_currency_without_decimals_is_rounded_to_whole_units(
    card_of: Callable[..., RateCard], stored: list[UsageInterval]
) -> None:
    metrics = (("vcpu", "vcpu"), ("memory_mib", "GiB"), ("disk_gib", "GiB"), ("machine", "machine"))
    rates = [
        f"id: r-{i}, tier: tier-1, metric: {metric}, unit: {unit}-hour, price: 1.7, valid_from: 2026-01-01"
        for i, (metric, unit) in enumerate(metrics)
    ]
    card = card_of(*rates, zone="Europe/Berlin", minor_digits=0)
    (october,) = issued(stored, card, OCTOBER)
    for row in october.rows():
        exact = number(row["quantity"]) * Fraction("1.7")
        assert abs(int(row["amount"]) - exact) <= Fraction(1, 2)
        assert "." not in row["amount"]

"""What rates can say, through the real engine, against figures worked out by hand beside each case."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog.documents import DocumentError
from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.late import Known, UsageTable, stated
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod
from chargeback.quotes import cost_micros, price
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rates import MissingRate
from chargeback.rating import Grain, UnpricedUsage, rate
from chargeback.statements import statements
from chargeback.usage import UsageInterval, to_table

HOUR = 3600
DAY = 24 * HOUR
FOREVER = 2**40
JUNE = BillingPeriod.parse("2026-06", "UTC")  # 720 h
START = JUNE.t_from
TIERS = ("tier-1", "tier-2")
SINCE = ", valid_from: 2000-01-01"


def card_of(*rates: str, zone: str = "UTC", conventions: str = "", minor_digits: int = 2) -> RateCard:
    head = (
        f"rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: {minor_digits}\n"
        f"    time_zone: {zone}\n    recorded_at: 2000-01-01T00:00:00Z\n    conventions: {{{conventions}}}\n    rates:\n"
    )
    text = head + "".join(
        f"      - {{tier: tier-1, {rate}{'' if 'valid_from' in rate else SINCE}}}\n" for rate in rates
    )
    (card,) = load_rate_cards({"card.yaml": text}, TIERS)
    return card


def used(
    metric: str, quantity: int, hours: tuple[int, int], machine: str = "a", **fields: object
) -> dict[str, object]:
    """A row of usage in hours since June began; on tier-1, of tenant shop, switched on."""
    t_from, t_to = (START + hour * HOUR for hour in hours)
    return {
        "machine": machine, "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p", "metric": metric,
        "quantity": quantity, "power": "on", "t_from": t_from, "t_to": t_to, "recorded_at": 0, "source": "test",
        "sequence": 0, "labels": "",
    } | fields  # fmt: skip


def table(*rows: dict[str, object]) -> Any:
    import pyarrow as pa

    from chargeback.usage import SCHEMA

    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def bill(
    card: RateCard, *rows: dict[str, object], grain: Grain = Grain.MACHINE, period: Any = JUNE
) -> list[Any]:
    """The rows of all statements of a month."""
    issued = statements(rate(table(*rows), card, [period], FOREVER, grain=grain), card)
    return [row for statement in issued for row in statement.rows()]


def amounts(rows: list[Any], key: str = "machine") -> dict[str, str]:
    return {str(row[key]): str(row["amount"]) for row in rows}


GRADUATED = "shape: {kind: graduated, tiers: [{to: 3, price: 1}, {price: 0.5}]}"


def test_a_machines_month_is_priced_as_a_whole() -> None:
    card = card_of(f"id: d, metric: disk_gib, unit: GiB-month, {GRADUATED}")
    # a: 10 GiB for 240 h, 20 GiB for 480 h: 16 2/3 GiB-months: 3 x 1 + 13 2/3 x 0.5 = 9.833
    (row,) = bill(card, used("disk_gib", 10, (0, 240)), used("disk_gib", 20, (240, 720)))
    assert (row["quantity"], row["unit"], row["amount"]) == ("16 2/3", "GiB-month", "9.83")
    assert row["rate"] == "graduated: 1 to 3, 0.5 above"
    assert row["note"] == "3 x 1; 13 2/3 x 0.5"


def test_a_tenants_month_is_priced_once_and_shared_to_the_last_cent() -> None:
    card = card_of(f"id: d, metric: disk_gib, unit: GiB-month, window: tenant-month, {GRADUATED}")
    rows = [used("disk_gib", 1, (0, 720), machine) for machine in "abcdefg"]
    # 7 GiB-months: 3 + 4 x 0.5 = 5.00, a seventh each: 0.714 -> 71 71 71 71 72 72 72 in some order.
    lines = bill(card, *rows)
    assert sum(line["amount_minor"] for line in lines) == 500
    assert [line["amount"] for line in lines] == ["0.72"] * 3 + ["0.71"] * 4
    (whole,) = bill(card, *rows, grain=Grain.TENANT)
    assert (whole["amount"], whole["quantity"]) == ("5.00", "7")
    # Another tenant has tiers of its own.
    other = bill(card, *rows, used("disk_gib", 3, (0, 720), "z", tenant="bank"))
    assert amounts(other)["z"] == "3.00"


def test_a_window_of_one_machine_spans_its_owners_who_share_it_by_quantity() -> None:
    card = card_of(
        "id: m, metric: machine, unit: machine-month, shape: {kind: minimum, amount: 10, of: {kind: unit, price: 1}}"
    )
    rows = bill(card, used("machine", 1, (0, 180)), used("machine", 1, (180, 720), tenant="bank"))
    assert amounts(rows, "tenant") == {"shop": "2.50", "bank": "7.50"}


def test_days_are_local_days_and_each_begins_anew() -> None:
    shape = "shape: {kind: package, size: 10, price: 1}, window: machine-day"
    card = card_of(f"id: v, metric: vcpu, unit: vcpu-hour, {shape}", zone="Europe/Berlin")
    march = BillingPeriod.parse("2026-03", "Europe/Berlin")
    begin = march.t_from - START
    # 1 vCPU all month: 24 vcpu-hours are 3 packs on 30 days; 23 h on the 29th are 3 packs too.
    (row,) = bill(card, used("vcpu", 1, (begin // HOUR, begin // HOUR + 743)), period=march)
    assert (row["quantity"], row["amount"]) == ("743", "93.00")
    # 10 hours on each side of a local midnight are a pack each; within one day they are two.
    (row,) = bill(card, used("vcpu", 1, (begin // HOUR + 14, begin // HOUR + 34)), period=march)
    assert row["amount"] == "2.00"
    (row,) = bill(card, used("vcpu", 1, (begin // HOUR + 4, begin // HOUR + 24)), period=march)
    assert row["amount"] == "2.00"
    (row,) = bill(card, used("vcpu", 1, (begin // HOUR + 19, begin // HOUR + 29)), period=march)
    assert row["amount"] == "2.00"


def test_hours_begin_anew_too() -> None:
    card = card_of(
        "id: v, metric: vcpu, unit: vcpu-hour, window: machine-hour, shape: {kind: maximum, amount: 3, of: {kind: unit, price: 1}}"
    )
    (row,) = bill(card, used("vcpu", 8, (0, 1)), used("vcpu", 2, (1, 3)))
    assert (row["quantity"], row["amount"]) == ("12", "7.00")


def test_a_moments_shape_prices_the_size_that_a_machine_has_then() -> None:
    shape = "shape: {kind: block, tiers: [{to: 64, flat: 0.1}, {to: 128, flat: 0.2}, {flat: 0.5}]}, window: moment"
    card = card_of(f"id: m, metric: memory_mib, unit: MiB-hour, {shape}")
    rows = (
        used("memory_mib", 64, (0, 10)),
        used("memory_mib", 65, (10, 12)),
        used("memory_mib", 4000, (12, 13)),
    )
    (row,) = bill(card, *rows)
    assert row["amount"] == "1.90"  # 10 x 0.1 + 2 x 0.2 + 0.5
    fixed = "shape: {kind: fixed_variable, fixed: 10, price: 1}, window: moment"
    (row,) = bill(card_of(f"id: v, metric: vcpu, unit: vcpu-hour, {fixed}"), used("vcpu", 2, (0, 720)))
    assert row["amount"] == "8640.00"


def test_what_was_taken_back_costs_nothing_whatever_the_shape() -> None:
    for window in ("moment", "machine-day", "machine-month", "tenant-month"):
        card = card_of(
            f"id: v, metric: vcpu, unit: vcpu-hour, window: {window}, shape: {{kind: minimum, amount: 3, of: {{kind: unit, price: 1}}}}"
        )
        wrong = (used("vcpu", 4, (0, 30)), used("vcpu", -4, (0, 30)))
        assert bill(card, *wrong) == []
        assert bill(card, *wrong, used("vcpu", 2, (0, 30))) == bill(card, used("vcpu", 2, (0, 30)))


@pytest.mark.parametrize(
    ("unit", "conventions", "quantity", "amount"),
    [
        ("GiB-hour", "", "7200", "72000.00"),
        ("GiB-day", "", "300", "3000.00"),
        ("GiB-week", "", "42 6/7", "428.57"),
        ("GiB-month", "", "10", "100.00"),
        ("GiB-month", "month: 730h", "9 63/73", "98.63"),
        ("GiB-month", "month: 720h", "10", "100.00"),
        ("GiB-month", "month: 30d", "10", "100.00"),
        ("GiB-year", "", "60/73", "8.22"),
        ("GiB-year", "year: calendar", "60/73", "8.22"),
    ],
)
def test_a_price_is_for_the_time_that_its_unit_names(
    unit: str, conventions: str, quantity: str, amount: str
) -> None:
    card = card_of(f"id: d, metric: disk_gib, unit: {unit}, price: 10", conventions=conventions)
    (row,) = bill(card, used("disk_gib", 10, (0, 720)))
    assert (str(row["quantity"]).removeprefix("0 "), row["amount"]) == (quantity, amount)


def test_a_calendar_months_price_is_paid_in_full_in_each_month_and_by_the_second_in_part() -> None:
    card = card_of("id: m, metric: machine, unit: machine-month, price: 100", zone="Europe/Berlin")
    for month, hours in (("2028-02", 696), ("2026-03", 743), ("2026-10", 745)):
        period = BillingPeriod.parse(month, "Europe/Berlin")
        assert period.hours == hours
        begin = (period.t_from - START) // HOUR
        (row,) = bill(card, used("machine", 1, (begin - 9, begin + 2000)), period=period)
        assert (row["quantity"], row["amount"]) == ("1", "100.00")
    february = BillingPeriod.parse("2028-02", "Europe/Berlin")
    begin = (february.t_from - START) // HOUR
    (row,) = bill(card, used("machine", 1, (begin, begin + 240)), period=february)
    assert row["amount"] == "34.48"


def test_a_machine_that_ran_at_all_in_a_month_is_charged_for_all_of_it() -> None:
    card = card_of("id: v, metric: vcpu, unit: vcpu-hour, price: 1, power: powered-on-at-least-once")
    rows = (
        used("vcpu", 2, (0, 100), power="off"),
        used("vcpu", 2, (100, 101)),
        used("vcpu", 3, (0, 50), "b", power="off"),
    )
    (row,) = bill(card, *rows)
    assert (row["machine"], row["quantity"]) == ("a", "202")
    # What was taken back did not run.
    assert bill(card, *rows, used("vcpu", -2, (100, 101))) == []


def test_a_machine_ran_in_the_month_whatever_its_time_was_priced_by_then() -> None:
    since = "2026-06-02, power: powered-on-at-least-once"
    for before in ("always", "powered-on"):
        card = card_of(
            f"id: v, metric: vcpu, unit: vcpu-hour, price: 1, power: {before}, valid_from: 2000-01-01, valid_to: 2026-06-02",
            f"id: w, metric: vcpu, unit: vcpu-hour, price: 1, valid_from: {since}",
            f"id: m, metric: memory_mib, unit: MiB-hour, price: 1, power: {before}",
        )
        ran = used("vcpu", 1, (0, 10)), used("vcpu", 1, (24, 30), power="off")
        assert amounts(bill(card, *ran), "rate_id") == {"v": "10.00", "w": "6.00"}
        elsewhere = used("memory_mib", 1, (0, 10)), used("vcpu", 1, (24, 30), power="off")
        assert amounts(bill(card, *elsewhere), "rate_id") == {"m": "10.00", "w": "6.00"}
        never = used("vcpu", 1, (24, 30), power="off")
        assert bill(card, never, used("vcpu", 1, (-9, -5))) == []


def test_the_highest_allocation_of_the_month_is_charged_where_the_card_says_so() -> None:
    rows = (used("vcpu", 1, (0, 240)), used("vcpu", 2, (240, 720)))
    rate_ = "id: v, metric: vcpu, unit: vcpu-hour, price: 1"
    assert bill(card_of(rate_), *rows)[0]["amount"] == "1200.00"
    highest = card_of(rate_, conventions="allocated: maximum")
    assert bill(highest, *rows)[0]["amount"] == "1440.00"
    # A size that was reported wrongly and taken back is no size that it ever had.
    wrong = (used("vcpu", 64, (10, 20)), used("vcpu", -64, (10, 20)))
    assert bill(highest, *rows, *wrong)[0]["amount"] == "1440.00"


def test_a_basis_prices_its_own_rows_and_no_others() -> None:
    card = card_of(
        "id: u, metric: vcpu, unit: vcpu-hour, price: 1, basis: usage",
        "id: m, metric: memory_mib, unit: MiB-hour, price: 1, basis: max-of-usage-and-allocation",
    )
    rows = (
        used("vcpu", 8, (0, 10)), used("vcpu:usage", 3, (0, 10)),
        used("memory_mib:max-of-usage-and-allocation", 5, (0, 10)), used("memory_mib", 900, (0, 10)),
    )  # fmt: skip
    found = bill(card, *rows)
    assert amounts(found, "rate_id") == {"u": "30.00", "m": "50.00"}
    assert [row["note"] for row in found] == ["basis usage", "basis max-of-usage-and-allocation"]


def test_labels_choose_the_most_special_rate_and_components_add_to_it() -> None:
    card = card_of(
        "id: any, metric: machine, unit: machine-hour, price: 1",
        "id: db, metric: machine, unit: machine-hour, price: 2, where: {class: db}",
        "id: db-win, metric: machine, unit: machine-hour, price: 3, where: {class: db, os: windows}",
        "id: licence, metric: machine, unit: machine-month, price: 30, component: licence, where: {os: windows}, frequency: recurring",
    )
    machines = {"a": "", "b": "class=db", "c": "class=db,os=windows", "d": "os=windows"}
    rows = bill(
        card, *(used("machine", 1, (0, 72), name, labels=labels) for name, labels in machines.items())
    )
    found = [(row["machine"], row["rate_id"], row["amount"]) for row in rows]
    assert found == [
        ("a", "any", "72.00"), ("b", "db", "144.00"), ("c", "db-win", "216.00"), ("c", "licence", "3.00"),
        ("d", "any", "72.00"), ("d", "licence", "3.00"),
    ]  # fmt: skip
    assert [row["charge_frequency"] for row in rows if row["rate_id"] == "licence"] == ["Recurring"] * 2


def test_usage_that_no_selector_matches_stops_the_bill() -> None:
    card = card_of(
        "id: ssd, metric: disk_gib, unit: GiB-hour, price: 2, where: {class: ssd}",
        "id: hdd, metric: disk_gib, unit: GiB-hour, price: 1, where: {class: hdd}",
    )
    disks = [
        used("disk_gib", 3, (0, 24), labels="class=ssd"),
        used("disk_gib", 1, (0, 24), labels="class=hdd"),
    ]
    assert amounts(bill(card, *disks), "labels") == {"class=ssd": "144.00", "class=hdd": "24.00"}
    with pytest.raises(
        UnpricedUsage, match=r"86400 disk_gib-seconds on tier-1 .* without label class=hdd or class=ssd"
    ):
        bill(card, *disks, used("disk_gib", 1, (0, 24), "b", labels="class=nvme"))
    with pytest.raises(MissingRate, match="disk_gib of tier-1 with these labels"):
        price(Resources(disk_gib=1), "tier-1", card, period=JUNE)
    assert (
        price(Resources(disk_gib=1), "tier-1", card, period=JUNE, labels={"class": "ssd"}).total
        == "EUR 1440.00"
    )


SETUP = "id: setup, metric: machine, unit: machine, price: 25, component: setup, frequency: one-time, category: purchase"


def test_a_setup_fee_is_paid_once_in_the_month_of_creation_by_who_had_it_then(
    event: Callable[..., MachineEvent],
) -> None:
    card = card_of(SETUP, "id: m, metric: machine, unit: machine-hour, price: 0")
    life = [
        event(0, "created", START + 5),
        event(1, "owner_changed", START + 90, tenant="bank", cost_centre="c"),
    ]
    usage = to_table(intervals(life, START + 90 * DAY))
    periods = [JUNE, JUNE.next]
    rows = [
        row
        for s in statements(rate(usage, card, periods, FOREVER), card)
        for row in s.rows()
        if row["amount_minor"]
    ]
    assert [
        (row["tenant"], row["period"], row["amount"], row["quantity"], row["hours"]) for row in rows
    ] == [("shop", "2026-06", "25.00", "1", "0")]
    assert (rows[0]["charge_frequency"], rows[0]["charge_category"]) == ("One-Time", "Purchase")


def test_a_creation_that_was_corrected_moves_its_setup_fee(event: Callable[..., MachineEvent]) -> None:
    card = card_of(SETUP)
    first = intervals([event(0, "created", START - DAY)], START + 60 * DAY)
    stored = reconcile([], first, recorded_at=START, source="s")
    later = intervals([event(0, "created", START + DAY)], START + 60 * DAY)
    stored += reconcile(stored, later, recorded_at=START + 9, source="s")
    may = BillingPeriod.parse("2026-05", "UTC")
    for known_at, month in ((START, "2026-05"), (START + 9, "2026-06")):
        charges = rate(to_table(stored), card, [may, JUNE, JUNE.next], known_at)
        assert [(c.period.name, c.quantity) for c in charges] == [(month, 1)]


@pytest.mark.parametrize(
    "other", ["metric: machine, unit: machine-hour", "metric: cpu_mhz, unit: MHz-hour"]
)  # allocated alone; measured, too
def test_what_there_was_before_a_month_pays_no_setup_fee_in_it(
    event: Callable[..., MachineEvent], other: str
) -> None:
    card = card_of(SETUP, f"id: other, {other}, price: 0")
    life = [
        event(0, "created", START - 5 * DAY),
        event(1, "owner_changed", START, tenant="bank", cost_centre="c"),
    ]
    # Metered in the month's first second, too: every row of June begins with it.
    assert setup_fees(card, life, START, START + 40 * DAY) == [("2026-05", "shop", 2500)]
    new = [event(0, "created", START)]
    assert setup_fees(card, new, START + DAY, START + 40 * DAY) == [("2026-06", "shop", 2500)]


def test_a_creation_that_was_corrected_twice_moves_its_setup_fee_each_time(
    event: Callable[..., MachineEvent],
) -> None:
    card = card_of(SETUP)
    life = [event(0, "created", START - 20 * DAY)]
    moments = [START + 2 * DAY, START + 3 * DAY, START + 40 * DAY]
    life += [
        event(i, "created", START + days * DAY, recorded_at=moments[i], replaces=i - 1)
        for i, days in ((1, -10), (2, 1))
    ]
    assert setup_fees(card, life[:1], *moments) == [("2026-05", "shop", 2500)]
    assert setup_fees(card, life[:2], *moments) == [("2026-05", "shop", 2500)]
    assert setup_fees(card, life[:3], *moments) == [("2026-06", "shop", 2500)]


def setup_fees(card: RateCard, life: list[MachineEvent], *moments: int) -> list[tuple[str, str, int]]:
    """Month, tenant and amount of the setup fees of May to July, each month from its own part of the history."""
    stored: list[UsageInterval] = []
    for moment in moments:
        known = [fact for fact in life if fact.recorded_at <= moment]
        stored += reconcile(stored, intervals(known, moment), recorded_at=moment, source="s")
    months = [BillingPeriod.parse(f"2026-0{month}", "UTC") for month in (5, 6, 7)]
    return [
        (month.name, line.tenant, line.amount_minor)
        for month in months
        for statement in stated(UsageTable(to_table(stored)), Known(card, FOREVER), month)
        for line in statement.lines
        if line.charge.rate.id == "setup"
    ]


def test_a_whole_fee_is_paid_for_each_time_that_was_begun(event: Callable[..., MachineEvent]) -> None:
    fee = "id: m, metric: machine, unit: machine-{}, price: 10, frequency: recurring, proration: whole"
    rows = (used("machine", 1, (20, 30)), used("machine", 1, (50, 51)))
    for per, amount in (("hour", "110.00"), ("day", "30.00"), ("month", "10.00")):
        (row,) = bill(card_of(fee.format(per)), *rows)
        assert row["amount"] == amount
    shared = bill(
        card_of(fee.format("month")), used("machine", 1, (0, 1)), used("machine", 1, (1, 3), tenant="bank")
    )
    assert amounts(shared, "tenant") == {"shop": "3.33", "bank": "6.67"}


def test_a_fixed_amount_of_a_measured_rate_needs_samples_or_only_existence_as_the_card_says() -> None:
    shape = "id: c, metric: cpu_mhz, unit: MHz-hour, window: moment, shape: {kind: fixed_variable, fixed: 10, price: 0.01}"
    exists = used("machine", 1, (0, 720))
    samples = [used("cpu_mhz", 50, (hour, hour + 1)) for hour in range(0, 720, 12)]
    assert bill(card_of(shape), exists, *samples)[0]["amount"] == "630.00"  # 60 x (10 + 0.5)
    existence = card_of(shape, conventions="fixed_needs: existence")
    assert bill(existence, exists, *samples)[0]["amount"] == "7230.00"  # 720 x 10 + 60 x 0.5
    assert bill(card_of(shape), exists) == []
    assert bill(existence, exists)[0]["amount"] == "7200.00"


def test_a_rate_that_changes_within_the_month_prices_its_own_time() -> None:
    shape = "metric: disk_gib, unit: GiB-month, shape: {{kind: package, size: 2, price: {}}}"
    text = (
        f"id: d, {shape.format(1)}, valid_to: 2026-06-16",
        f"id: e, {shape.format(3)}, valid_from: 2026-06-16",
    )
    card = card_of(*text)
    # 5 GiB for half a month are 2.5 GiB-months on each side: 2 packs each.
    assert amounts(bill(card, used("disk_gib", 5, (0, 720))), "rate_id") == {"d": "2.00", "e": "6.00"}


def test_costs_for_placement_are_those_of_the_quote_for_every_shape() -> None:
    import numpy as np

    card = card_of(
        "id: v, metric: vcpu, unit: vcpu-month, shape: {kind: graduated, tiers: [{to: 4, price: 20}, {price: 15}]}",
        "id: d, metric: disk_gib, unit: GiB-month, price: 0.05",
        SETUP, "id: m, metric: machine, unit: machine-hour, price: 0.01",
    )  # fmt: skip
    sizes = np.array([[2, 0, 10], [8, 0, 100], [2, 0, 10]], dtype=np.int64)
    costs = cost_micros(sizes, ("tier-1",), card, START, 720)
    # 40 + 0.5 + 25 + 7.2; 80 + 60 + 5 + 25 + 7.2
    assert costs[:, 0].tolist() == [72_700_000, 177_200_000, 72_700_000]
    assert price(Resources(vcpu=8, disk_gib=100), "tier-1", card, at=START, hours=720).total == "EUR 177.20"
    assert price(Resources(vcpu=8, disk_gib=100), "tier-1", card, period=JUNE).total == "EUR 152.20"


def test_a_quote_over_two_months_has_a_line_for_each_where_months_matter() -> None:
    card = card_of(
        "id: d, metric: disk_gib, unit: GiB-month, price: 1",
        "id: m, metric: machine, unit: machine-hour, price: 1",
    )
    quote = price(Resources(disk_gib=30), "tier-1", card, at=START + 10 * DAY, hours=30 * 24)
    # 20 of June's 30 days, 10 of July's 31.
    assert [(line.quantity, line.unit_hours, line.hours, line.amount_minor) for line in quote.lines] == [
        ("30", "20", "480", 2000), ("30", "9 21/31", "240", 968), ("1", "720", "720", 72000)
    ]  # fmt: skip


def test_a_quote_writes_what_is_no_hourly_product_as_the_bill_does() -> None:
    from tierwise.cli.words import price_formula

    card = card_of(
        f"id: d, metric: disk_gib, unit: GiB-month, {GRADUATED}",
        "id: m, metric: machine, unit: machine-day, price: 2",
    )
    quote = price(Resources(disk_gib=5), "tier-1", card, period=JUNE)
    assert price_formula(quote) == "5 GiB-month at graduated: 1 to 3, 0.5 above + 30 machine-day x 2"
    assert [step.text for step in quote.lines[0].steps] == ["3 x 1", "2 x 0.5"]
    hourly = card_of("id: m, metric: machine, unit: machine-hour, price: 2")
    assert price_formula(price(Resources(), "tier-1", hourly, period=JUNE)) == "(1 machine x 2/h) x 720 h"


def problems(*rates: str, conventions: str = "") -> list[str]:
    with pytest.raises(DocumentError) as caught:
        card_of(*rates, conventions=conventions)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("rate_", "message"),
    [
        ("metric: vcpu, unit: vcpu-hour", "must have either a price or a shape"),
        ("metric: vcpu, unit: vcpu-hour, price: 1, shape: {kind: unit, price: 1}", "must have either a price or a shape"),
        ("metric: vcpu, unit: vcpu-hour, shape: {kind: gradual}", "rates.0.shape.kind: there is no shape 'gradual'; did you mean"),
        ("metric: vcpu, unit: vcpu-hour, shape: {kind: [unit]}", "rates.0.shape.kind: there is no shape '['unit']'; did you mean"),
        ("metric: vcpu, unit: vcpu-hour, shape: 7", "rates.0.shape: must be a mapping with the kind of a shape"),
        ("metric: vcpu, unit: vcpu-hour, shape: {kind: minimum, amount: x, of: {kind: unit}}", "of.price"),
        ("metric: vcpu, unit: vcpu-hour, price: 1, window: tenant-month", "rates.0.window: has no effect"),
        ("metric: vcpu, unit: vcpu-fortnight, price: 1", "vcpu is not priced per 'vcpu-fortnight'"),
        ("metric: vcpu, unit: vcpu, price: 1", "vcpu is not priced per 'vcpu'"),
        ("metric: machine, unit: machine, price: 1, component: x", "needs both 'frequency: one-time' and the unit machine"),
        ("metric: machine, unit: machine, price: 1, frequency: one-time", "needs a component of its own"),
        ("metric: vcpu, unit: vcpu-day, price: 1, frequency: recurring, proration: whole", "leave it out to prorate"),
        ("metric: cpu_mhz, unit: MHz-hour, price: 1, basis: usage", "has no other basis"),
        ("metric: vcpu, unit: vcpu-hour, price: 1, currency: USD", "is not the card's currency EUR"),
        ("metric: vcpu, unit: vcpu-hour, price: 1, where: {OS: windows}", "'OS' cannot be a label's key"),
    ],
)  # fmt: skip
def test_what_a_rate_cannot_say_is_refused_at_its_place(rate_: str, message: str) -> None:
    found = problems(f"id: a, {rate_}")
    assert [problem for problem in found if message in problem], found


def test_mistakes_of_nested_shapes_are_told_together_each_at_its_place() -> None:
    shape = "{kind: maximum, amount: -1, of: {kind: allowance, free: x, of: {kind: graduated, tiers: [{to: 5, price: 1}]}}}"
    found = problems(
        f"id: a, metric: vcpu, unit: vcpu-hour, shape: {shape}",
        "id: b, metric: vcpu, unit: vcpu-day, price: y, component: c",
    )
    for part in (
        "shape.amount: must not be negative",
        "shape.of.free",
        "shape.of.of: there is no price above 5",
        "rates.1.price",
    ):
        assert [problem for problem in found if part in problem], (part, found)
    assert len(found) == 4


def test_selectors_that_a_machine_could_match_both_are_refused() -> None:
    one = "id: a, metric: machine, unit: machine-hour, price: 1, where: {os: windows}"
    other = "id: b, metric: machine, unit: machine-hour, price: 2, where: {class: db}"
    (found,) = problems(one, other)
    assert "a machine can match 'where' of 'a' and of 'b' (machine of tier-1)" in found
    card_of(one, other + ", component: extra")
    card_of(one, other.replace("class: db", "os: linux"))
    card_of(one, other.replace("class: db", "class: db, os: windows"))


def test_the_card_prints_every_option_and_its_warnings() -> None:
    tiers = "shape: {kind: volume, tiers: [{to: 10, price: 2}, {price: 1}]}"
    card = card_of(
        f"id: v, metric: vcpu, unit: vcpu-hour, {tiers}",
        conventions="month: 730h, missing_sample: carry-forward",
    )
    assert card.warnings == (
        "rate 'v': just above 10 costs 10, less than 20 for 10; buyers of a little less pay more",
    )
    options = dict(card.options)
    assert options.pop("last_cent").startswith("of parts of one price")
    assert options == {
        "currency": "EUR with 2 decimals", "calendar": "months of UTC", "rounding": "half-up, once per line",
        "month": "730h", "year": "365d", "allocated": "time-weighted", "missing_sample": "carry-forward",
        "fixed_needs": "samples",
    }  # fmt: skip
    (found,) = problems("id: v, metric: vcpu, unit: vcpu-hour, price: 1", conventions="month: 29d")
    assert "conventions.month: must be one of calendar, 730h, 720h, 30d" in found

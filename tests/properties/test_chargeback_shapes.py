"""Any card, any life of a machine: the quote is the invoice, and parts of a price add up to it."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import EventKind, MachineEvent
from chargeback.metering import intervals
from chargeback.money import Rounding, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.pricing import Birth, apportioned
from chargeback.quotes import Held, charges_of, price
from chargeback.rates import Conventions, PowerRule, Rate, RateCard, Window
from chargeback.rating import Grain, rate
from chargeback.shapes import shape_of
from chargeback.statements import statements
from chargeback.units import HOUR_S, Per
from chargeback.usage import MEASURED, Metric, Power, UsageInterval, to_table

FOREVER = 2**40
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
MONTHS = ((2028, 2), (2026, 3), (2026, 4), (2026, 10), (2026, 11), (2026, 12))
"""A leap February, and the months in which the clocks of the zones change."""
THINGS = {Metric.VCPU: "vcpu", Metric.MEMORY_MIB: "GiB", Metric.DISK_GIB: "GiB", Metric.MACHINE: "machine"}

# Each example rates two months once or more; 12 of them take a second or two of an idle core.
queries = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

amounts = st.integers(0, 500).map(lambda n: f"{n // 100}.{n % 100:02d}")


@st.composite
def shapes(draw: Any, depth: int = 2) -> dict[str, Any]:
    """The body of any shape."""
    kinds = ["unit", "fixed_variable", "graduated", "volume", "block", "package"]
    kinds += ["maximum", "minimum", "allowance", "commitment", "rounded"] if depth else []
    kind = draw(st.sampled_from(kinds))
    cuts = sorted(draw(st.sets(st.integers(1, 900), max_size=3)))
    flat_only = kind == "block"
    tiers = [
        {"to": to, "flat": draw(amounts), **({} if flat_only else {"price": draw(amounts)})}
        for to in [*cuts, None]
    ]
    inner = draw(shapes(depth=depth - 1)) if depth else None
    least = {"kind": "unit", "price": draw(amounts)}
    return {
        "unit": least,
        "fixed_variable": {"kind": kind, "fixed": draw(amounts), "price": draw(amounts)},
        "graduated": {"kind": kind, "tiers": tiers},
        "volume": {"kind": kind, "tiers": tiers},
        "block": {"kind": kind, "charged": draw(st.sampled_from(["highest", "each"])), "tiers": tiers},
        "package": {"kind": kind, "size": draw(st.integers(1, 50)), "price": draw(amounts)},
        "maximum": {"kind": kind, "amount": draw(amounts), "of": least},
        "minimum": {"kind": kind, "amount": draw(amounts), "of": least},
        "allowance": {"kind": kind, "free": draw(st.integers(0, 90)), "of": inner},
        "commitment": {
            "kind": kind,
            "committed": draw(st.integers(0, 90)),
            "amount": draw(amounts),
            "overage": inner,
        },
        "rounded": {
            "kind": kind,
            "rule": draw(st.sampled_from(["ceiling", "floor", "half-up"])),
            "of": inner,
        },
    }[kind]


@st.composite
def cards(draw: Any) -> RateCard:
    """Rates of any shape, window, time and power for two tiers; setup and licence beside them."""
    rates = []
    for tier in ("tier-1", "tier-2"):
        for metric, thing in THINGS.items():
            per = draw(st.sampled_from([per for per in Per if per is not Per.ONCE]))
            rates.append(_rate(
                f"{metric.replace('_', '-')}-{tier}", tier, metric, f"{thing}-{per}",
                shape=shape_of(draw(shapes())), window=draw(st.sampled_from(Window)), power=draw(st.sampled_from(PowerRule)),
            ))  # fmt: skip
        once = {"component": "setup", "frequency": "one-time", "rate_nanos": draw(st.integers(0, 10**11))}
        rates.append(_rate(f"setup-{tier}", tier, Metric.MACHINE, "machine", **once))
        fee = {
            "component": "licence",
            "frequency": "recurring",
            "where": {"os": "windows"},
            "rate_nanos": 3 * 10**9,
        }
        proration = draw(st.sampled_from(["second", "whole"]))
        rates.append(
            _rate(f"licence-{tier}", tier, Metric.MACHINE, "machine-month", proration=proration, **fee)
        )
    conventions = Conventions(
        month=draw(st.sampled_from(["calendar", "730h", "30d"])), year=draw(st.sampled_from(["365d", "calendar"])),
        allocated=draw(st.sampled_from(["time-weighted", "maximum"])),
    )  # fmt: skip
    return RateCard(
        name="any", version=1, currency="EUR", minor_digits=draw(st.integers(0, 3)), rounding=draw(st.sampled_from(Rounding)),
        time_zone=draw(st.sampled_from(ZONES)), conventions=conventions, rates=tuple(rates),
    )  # fmt: skip


def _rate(name: str, tier: str, metric: Metric, unit: str, **more: Any) -> Rate:
    return Rate.model_validate(
        {"id": name, "tier": tier, "metric": metric, "unit": unit, "valid_from": 0, "recorded_at": 0} | more
    )


sizes = st.builds(
    Resources, vcpu=st.integers(0, 16), memory_mib=st.integers(0, 4096), disk_gib=st.integers(0, 300)
)  # fmt: skip


_labels = st.sampled_from([{}, {"os": "windows"}, {"class": "db", "os": "linux"}])
_changes = st.one_of(
    st.sampled_from([{"kind": EventKind.POWERED_ON}, {"kind": EventKind.POWERED_OFF}]),
    sizes.map(lambda size: {"kind": EventKind.RESIZED, "resources": size}),
    st.sampled_from([
        {"kind": EventKind.OWNER_CHANGED, "tenant": "shop", "cost_centre": "cc"},
        {"kind": EventKind.OWNER_CHANGED, "tenant": "bank", "cost_centre": "c2"},
        {"kind": EventKind.MOVED, "tier": "tier-1", "pool": "q"},
        {"kind": EventKind.MOVED, "tier": "tier-2", "pool": "p"},
    ]),
    _labels.map(lambda found: {"kind": EventKind.RELABELLED, "labels": found}),
)  # fmt: skip


@st.composite
def lives(draw: Any, machine: str, t_from: int, t_to: int) -> list[MachineEvent]:
    """A machine that is resized, paused, moved between tiers, relabelled and handed over."""
    base = {"machine": machine, "recorded_at": 0, "source": "test"}
    events: list[dict[str, Any]] = [
        {"kind": EventKind.CREATED, "resources": draw(sizes), "tenant": "shop", "cost_centre": "cc", "tier": "tier-1",
         "pool": "p", "labels": draw(_labels)},
    ]  # fmt: skip
    events += draw(st.lists(_changes, max_size=6))
    if draw(st.booleans()):
        events.append({"kind": EventKind.DELETED})
    moments = sorted(draw(st.lists(st.integers(t_from, t_to), min_size=len(events), max_size=len(events))))
    return [
        MachineEvent.model_validate(base | event | {"sequence": n, "at": at})
        for n, (event, at) in enumerate(zip(events, moments, strict=True))
    ]


@st.composite
def stories(draw: Any) -> tuple[RateCard, list[BillingPeriod], list[list[MachineEvent]]]:
    card = draw(cards())
    year, month = draw(st.sampled_from(MONTHS))
    first = BillingPeriod(year=year, month=month, time_zone=card.time_zone)
    periods = [first, first.next]
    span = first.t_from - 86_400, first.next.t_to
    return card, periods, [draw(lives(f"m{n}", *span)) for n in range(draw(st.integers(1, 3)))]


def usage_of(machines: list[list[MachineEvent]], until: int) -> list[UsageInterval]:
    return [row for life in machines for row in intervals(life, until)]


def imagined(rows: list[UsageInterval]) -> list[Held]:
    return [
        Held(r.machine, r.tenant, r.cost_centre, r.tier, r.pool, r.labels, r.metric, r.quantity, r.power, r.t_from, r.t_to)
        for r in rows
    ]  # fmt: skip


def births_of(rows: list[UsageInterval]) -> list[Birth]:
    """Who had each machine first."""
    first: dict[str, UsageInterval] = {}
    for row in sorted(rows, key=lambda row: row.t_from):
        if row.metric is Metric.MACHINE:
            first.setdefault(row.machine, row)
    return [
        Birth(r.machine, r.tenant, r.cost_centre, r.tier, r.pool, r.labels, r.t_from)
        for r in first.values()
    ]


def summary(charges: Any, card: RateCard) -> list[tuple[Any, ...]]:
    return sorted(
        (c.period.name, c.tenant, c.cost_centre, c.machine, c.pool, c.labels, c.rate.id, c.quantity, c.seconds,
         c.amount_nanos, c.rounded(card))
        for c in charges
    )  # fmt: skip


@given(stories())
@queries
def test_the_quote_of_any_life_is_its_invoice_line_by_line(story: Any) -> None:
    card, periods, machines = story
    rows = usage_of(machines, periods[-1].t_to)
    invoiced = rate(to_table(rows), card, periods, FOREVER, grain=Grain.MACHINE)
    quoted = charges_of(imagined(rows), card, periods, births=births_of(rows))
    assert summary(quoted, card) == summary(invoiced, card)
    whole = rate(to_table(rows), card, periods, FOREVER, grain=Grain.TENANT)
    assert sum(c.amount_nanos for c in whole) == sum(c.amount_nanos for c in invoiced)
    assert sum(c.quantity for c in whole) == sum(c.quantity for c in invoiced)


def naive(
    card: RateCard, periods: list[BillingPeriod], rows: list[UsageInterval]
) -> dict[tuple[str, str], Fraction]:
    """(month, rate) -> nano-units, by cutting every row into windows one by one; rates of THINGS only."""
    found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    rates = {(r.tier, r.metric): r for r in card.rates if not r.component}
    for period in periods:
        inside = [(r, max(r.t_from, period.t_from), min(r.t_to, period.t_to)) for r in rows]
        inside = [(r, a, b) for r, a, b in inside if a < b]
        ran = {r.machine for r, _, _ in inside if r.power is Power.ON}
        windows: dict[tuple[str, str, Any], list[tuple[UsageInterval, int]]] = defaultdict(list)
        for row, t_from, t_to in inside:
            own = rates[row.tier, row.metric]
            if own.power is PowerRule.POWERED_ON and row.power is Power.OFF:
                continue
            if own.power is PowerRule.ONCE_ON and row.machine not in ran:
                continue
            for begin, seconds in pieces(period, own, t_from, t_to):
                who = (
                    row.tenant
                    if own.window is Window.TENANT_MONTH and not own.shape.linear
                    else row.machine
                )
                windows[own.id, who, begin].append((row, seconds))
        by_id = {r.id: r for r in card.rates}
        for (rate_id, _, _), parts in windows.items():
            found[period.name, rate_id] += priced(card, by_id[rate_id], period, parts)
    return {key: amount for key, amount in found.items() if amount}


def pieces(period: BillingPeriod, own: Rate, t_from: int, t_to: int) -> list[tuple[int, int]]:
    """(window's begin, seconds in it) of a stretch, by walking over the clock."""
    if own.shape.linear or own.window not in {Window.MACHINE_DAY, Window.MACHINE_HOUR}:
        return [(0, t_to - t_from)]
    if own.window is Window.MACHINE_HOUR:
        edges = list(range(period.t_from, period.t_to + HOUR_S, HOUR_S))
    else:
        zone = ZoneInfo(period.time_zone)
        days = [datetime(period.year, period.month, 1, tzinfo=zone) + timedelta(days=n) for n in range(32)]
        edges = [int(day.astimezone(UTC).timestamp()) for day in days]
    found = [(a, min(b, t_to) - max(a, t_from)) for a, b in pairwise(edges)]
    return [(begin, seconds) for begin, seconds in found if seconds > 0]


def priced(
    card: RateCard, own: Rate, period: BillingPeriod, parts: list[tuple[UsageInterval, int]]
) -> Fraction:
    length = {
        Per.HOUR: 3600, Per.DAY: 86_400, Per.WEEK: 604_800,
        Per.MONTH: {"730h": 730 * 3600, "30d": 720 * 3600}.get(card.conventions.month, period.t_to - period.t_from),
        Per.YEAR: 365 * 86_400 if card.conventions.year == "365d" else year_s(period),
    }[own.per]  # fmt: skip
    amount = 1024 if own.metric is Metric.MEMORY_MIB else 1
    if own.window is Window.MOMENT and not own.shape.linear:
        return sum(
            (
                own.shape.price(Fraction(row.quantity, amount)) * Fraction(seconds, length)
                for row, seconds in parts
            ),
            Fraction(0),
        )
    most: dict[str, int] = {}
    for row, _ in parts:
        most[row.machine] = max(most.get(row.machine, 0), row.quantity)
    highest = card.conventions.allocated == "maximum"
    total = sum((most[row.machine] if highest else row.quantity) * seconds for row, seconds in parts)
    return own.shape.price(Fraction(total, amount * length))


def year_s(period: BillingPeriod) -> int:
    zone = ZoneInfo(period.time_zone)
    begin, end = (
        datetime(year, 1, 1, tzinfo=zone).astimezone(UTC) for year in (period.year, period.year + 1)
    )
    return int((end - begin).total_seconds())


@given(stories())
@queries
def test_the_engine_charges_what_cutting_every_row_by_hand_charges(story: Any) -> None:
    card, periods, machines = story
    rows = usage_of(machines, periods[-1].t_to)
    found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for charge in rate(to_table(rows), card, periods, FOREVER, grain=Grain.MACHINE):
        if not charge.rate.component:
            found[charge.period.name, charge.rate.id] += charge.amount_nanos
    assert {key: amount for key, amount in found.items() if amount} == naive(card, periods, rows)


@given(stories())
@queries
def test_lines_of_one_window_add_up_to_its_rounded_price_and_their_steps_to_the_amount(story: Any) -> None:
    card, periods, machines = story
    rows = usage_of(machines, periods[-1].t_to)
    charges = rate(to_table(rows), card, periods, FOREVER, grain=Grain.MACHINE)
    by_tenant: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for charge in charges:
        if charge.steps:
            assert sum(step.nanos for step in charge.steps) == charge.amount_nanos
        if charge.rate.window is Window.TENANT_MONTH and not charge.rate.shape.linear:
            by_tenant[charge.period.name, charge.rate.id, charge.tenant].append(charge)
    for group in by_tenant.values():
        exact = sum((charge.amount_nanos for charge in group), Fraction(0))
        assert sum(c.rounded(card) for c in group) == round_to_minor(
            exact, card.minor_digits, card.rounding
        )
    for statement in statements(charges, card):
        assert sum(row["amount_minor"] for row in statement.rows()) == statement.total_minor


@given(stories(), st.randoms())
@queries
def test_neither_the_order_of_rows_nor_where_they_are_cut_changes_a_price(story: Any, random: Any) -> None:
    card, periods, machines = story
    rows = usage_of(machines, periods[-1].t_to)
    cut = []
    for row in rows:
        middle = random.randint(row.t_from, row.t_to)
        inside = row.t_from < middle < row.t_to
        cut += (
            [row.model_copy(update={"t_to": middle}), row.model_copy(update={"t_from": middle})]
            if inside
            else [row]
        )
    random.shuffle(cut)
    one, other = (rate(to_table(each), card, periods, FOREVER, grain=Grain.MACHINE) for each in (rows, cut))
    assert one == other


@given(cards(), sizes, st.sampled_from(MONTHS), st.booleans())
@queries
def test_the_quote_of_a_full_month_is_its_statement_for_every_shape(
    card: RateCard, size: Resources, month: tuple[int, int], windows: bool
) -> None:
    period = BillingPeriod(year=month[0], month=month[1], time_zone=card.time_zone)
    labels = {"os": "windows"} if windows else {}
    born = MachineEvent(
        machine="m", sequence=0, kind=EventKind.CREATED, at=period.t_from - 99, recorded_at=0, source="test",
        resources=size, tenant="shop", cost_centre="cc", tier="tier-1", pool="p", labels=labels,
    )  # fmt: skip
    on = MachineEvent(
        machine="m",
        sequence=1,
        kind=EventKind.POWERED_ON,
        at=period.t_from - 99,
        recorded_at=0,
        source="test",
    )
    usage = to_table(intervals([born, on], period.t_to + 99))
    (statement,) = statements(rate(usage, card, [period], FOREVER, grain=Grain.MACHINE), card)
    quote = price(size, "tier-1", card, period=period, labels=labels)
    assert [(line.priced_by.id, line.unit_hours, line.amount_minor) for line in quote.lines] == [
        (line.charge.rate.id, line.quantity, line.amount_minor) for line in statement.lines
    ]
    assert quote.total_minor == statement.total_minor


@given(
    st.lists(st.fractions(-1000, 1000, max_denominator=97), min_size=1, max_size=9),
    st.integers(0, 3),
    st.sampled_from(Rounding),
)
@settings(deadline=None)
def test_parts_of_a_price_add_up_and_none_is_a_whole_unit_off(
    parts: list[Fraction], minor_digits: int, rounding: Rounding
) -> None:
    card = RateCard(
        name="any", version=1, currency="EUR", minor_digits=minor_digits, rounding=rounding, time_zone="UTC",
        rates=(_rate("v", "tier-1", Metric.VCPU, "vcpu-hour", rate_nanos=1),),
    )  # fmt: skip
    exact = [part * 10**9 for part in parts]
    found = apportioned(exact, card)
    assert sum(found) == round_to_minor(sum(exact, Fraction(0)), minor_digits, rounding)
    assert all(abs(minor - part * 10**minor_digits) < 1 for minor, part in zip(found, parts, strict=True))


def test_every_metric_of_a_machines_life_is_in_these_stories() -> None:
    assert set(THINGS) == set(Metric) - MEASURED

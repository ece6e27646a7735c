"""What must hold for every bill: it adds up, it is the quote, and corrections bring it up to date."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import EventKind, MachineEvent
from chargeback.metering import intervals
from chargeback.money import Rounding, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.quotes import cost_micros, price
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import UNITS, PowerRule, Rate, RateCard
from chargeback.rating import Grain, rate
from chargeback.statements import corrections, statements
from chargeback.usage import MEASURED, Metric, Power, UsageInterval, to_table

TIERS = ("tier-1", "tier-2", "tier-3")
RATES = Path(__file__).parents[2] / "examples" / "acme" / "rates.yaml"
(ACME,) = load_rate_cards({"rates.yaml": RATES.read_text()}, TIERS)
FOREVER = 2**40
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")

# Each example runs the query once or more; 30 of them take a second or two.
queries = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def number(text: str) -> Fraction:
    """What a person reads: a decimal, or a whole number and a fraction."""
    size = sum((Fraction(part) for part in text.removeprefix("-").split()), Fraction(0))
    return -size if text.startswith("-") else size


@st.composite
def cards(draw: Any) -> RateCard:
    """A card in any zone with any prices, each metric of tier-1 cut into up to three rates."""
    rates = []
    for metric in (metric for metric in Metric if metric not in MEASURED):
        cuts = sorted(draw(st.sets(st.integers(1_760_000_000, 1_830_000_000), max_size=2)))
        ends: list[int | None] = [*cuts, None]
        for i, (t_from, t_to) in enumerate(zip([0, *cuts], ends, strict=True)):
            rates.append(
                Rate(
                    id=f"{metric.replace('_', '-')}-{i}", tier="tier-1", metric=metric,
                    unit=draw(st.sampled_from(sorted(UNITS[metric]))),
                    rate_nanos=draw(st.integers(0, 10**10)), power=draw(st.sampled_from([PowerRule.ALWAYS, PowerRule.POWERED_ON])),
                    valid_from=t_from, valid_to=t_to, recorded_at=0,
                )
            )  # fmt: skip
    return RateCard(
        name="any", version=1, currency="EUR", minor_digits=draw(st.integers(0, 3)),
        time_zone=draw(st.sampled_from(ZONES)), rounding=draw(st.sampled_from(Rounding)),
        rates=tuple(rates),
    )  # fmt: skip


sizes = st.builds(
    Resources,
    vcpu=st.integers(0, 128), memory_mib=st.integers(0, 2**21), disk_gib=st.integers(0, 2**16),
)  # fmt: skip
months = st.integers(0, 11).map(lambda i: (2026, 1 + i))


def always_on(size: Resources, t_from: int) -> list[UsageInterval]:
    born = MachineEvent(
        machine="m", sequence=0, kind=EventKind.CREATED, at=t_from, recorded_at=0, source="test",
        resources=size, tenant="shop", cost_centre="cc", tier="tier-1", pool="p",
    )  # fmt: skip
    on = MachineEvent(
        machine="m", sequence=1, kind=EventKind.POWERED_ON, at=t_from, recorded_at=0, source="test"
    )
    return intervals([born, on], t_from + 400 * 86400)


@given(cards(), sizes, months)
@queries
def test_the_statement_of_a_full_month_is_the_quote_to_the_last_minor_unit(
    card: RateCard, size: Resources, month: Any
) -> None:
    period = BillingPeriod(year=month[0], month=month[1], time_zone=card.time_zone)
    usage = to_table(always_on(size, period.t_from - 86400))
    (statement,) = statements(rate(usage, card, [period], FOREVER, grain=Grain.MACHINE), card)
    quote = price(size, "tier-1", card, period=period)
    assert statement.total_minor == quote.total_minor
    assert [line.amount_minor for line in statement.lines] == [line.amount_minor for line in quote.lines]


@st.composite
def usages(draw: Any) -> list[UsageInterval]:
    """Any rows over two months around a clock change, some of them taking others back."""
    rows = []
    for i in range(draw(st.integers(1, 12))):
        t_from = draw(st.integers(1_790_000_000, 1_795_000_000))
        quantity = draw(st.integers(1, 10**6)) * draw(st.sampled_from([1, 1, -1]))
        rows.append(
            UsageInterval(
                machine=draw(st.sampled_from(["a", "b"])), tenant=draw(st.sampled_from(["shop", "bank"])),
                cost_centre="cc", tier="tier-1", pool="p", metric=draw(st.sampled_from(Metric)),
                quantity=quantity, power=draw(st.sampled_from(Power)), t_from=t_from,
                t_to=t_from + draw(st.integers(1, 3_000_000)),
                recorded_at=draw(st.integers(0, 2)), source="test", sequence=i,
            )
        )  # fmt: skip
    return rows


def periods(card: RateCard) -> list[BillingPeriod]:
    return [BillingPeriod(year=2026, month=m, time_zone=card.time_zone) for m in (9, 10, 11)]


def by_hand(rows: list[UsageInterval], card: RateCard) -> dict[tuple[str, str, str], Fraction]:
    """Row by row and rate by rate, in fractions of a nano; no query, no aggregation before prices."""
    found: dict[tuple[str, str, str], Fraction] = {}
    for row in rows:
        for price_ in card.rates:
            if price_.metric is not row.metric:
                continue
            if price_.power is PowerRule.POWERED_ON and row.power is Power.OFF:
                continue
            end = price_.valid_to or FOREVER
            for period in periods(card):
                seconds = min(row.t_to, end, period.t_to) - max(
                    row.t_from, price_.valid_from, period.t_from
                )
                if seconds > 0:
                    key = (period.name, row.tenant, price_.id)
                    amount = Fraction(row.quantity * seconds * price_.rate_nanos, price_.unit_seconds)
                    found[key] = found.get(key, Fraction(0)) + amount
    return {key: amount for key, amount in found.items() if amount}


def charged(rows: list[UsageInterval], card: RateCard, known_at: int = FOREVER) -> dict[Any, Fraction]:
    charges = rate(to_table(rows), card, periods(card), known_at)
    return {(c.period.name, c.tenant, c.rate.id): c.amount_nanos for c in charges if c.amount_nanos}


@given(usages(), cards())
@queries
def test_the_query_charges_what_a_loop_over_rows_and_rates_charges(rows: Any, card: RateCard) -> None:
    assert charged(rows, card) == by_hand(rows, card)


@given(usages(), cards(), st.data())
@queries
def test_cutting_an_interval_in_two_charges_the_same(
    rows: Any, card: RateCard, data: st.DataObject
) -> None:
    row = data.draw(st.sampled_from(rows))
    if row.t_to - row.t_from < 2:
        return
    middle = data.draw(st.integers(row.t_from + 1, row.t_to - 1))
    halves = [row.model_copy(update={"t_to": middle}), row.model_copy(update={"t_from": middle})]
    cut = [other for other in rows if other is not row] + halves
    assert charged(cut, card) == charged(rows, card)


@given(usages(), cards(), st.randoms())
@queries
def test_the_order_of_rows_changes_nothing(rows: Any, card: RateCard, random: Random) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert rate(to_table(shuffled), card, periods(card), FOREVER) == rate(
        to_table(rows), card, periods(card), FOREVER
    )


@given(usages(), cards(), st.sampled_from(Grain))
@queries
def test_what_was_stated_and_its_corrections_add_up_to_what_is_known_now(
    rows: Any, card: RateCard, grain: Grain
) -> None:
    before, after = (
        statements(rate(to_table(rows), card, periods(card), known_at, grain=grain), card)
        for known_at in (1, 2)
    )
    found = corrections(before, after)
    for tenant in ("shop", "bank"):
        stated, due = (sum(s.total_minor for s in side if s.tenant == tenant) for side in (before, after))
        assert stated + sum(c.amount_minor for c in found if c.tenant == tenant) == due
    changed = {c.corrects for c in found}
    lines = {line.id: line for statement in before for line in statement.lines}
    for line in (line for statement in after for line in statement.lines):
        assert line.id in changed or lines[line.id].amount_minor == line.amount_minor


@given(usages(), cards(), st.sampled_from(Grain))
@queries
def test_lines_add_up_and_each_follows_from_what_it_prints(rows: Any, card: RateCard, grain: Grain) -> None:
    for statement in statements(rate(to_table(rows), card, periods(card), FOREVER, grain=grain), card):
        printed = statement.rows()
        assert sum(row["amount_minor"] for row in printed) == statement.total_minor
        for row in printed:
            exact = number(str(row["quantity"])) * Fraction(row["rate"]) * 10**card.minor_digits
            rounded = Fraction(row["amount"]) * 10**card.minor_digits
            assert rounded == row["amount_minor"]
            assert abs(exact - rounded) <= Fraction(1, 2)


@given(st.lists(sizes, max_size=6), st.integers(1_770_000_000, 1_800_000_000), st.integers(1, 9000))
@settings(deadline=None)
def test_costs_for_placement_are_the_exact_sums_of_the_quotes_rounded_once(
    machines: Any, at: Callable[[str], int], hours: Any
) -> None:
    amounts = np.array(
        [[m.vcpu, m.memory_mib, m.disk_gib] for m in machines], dtype=np.int64
    ).reshape(-1, 3)  # fmt: skip
    costs = cost_micros(amounts, TIERS, ACME, at, hours)
    for i, machine in enumerate(machines):
        for j, tier in enumerate(TIERS):
            quote = price(machine, tier, ACME, at=at, hours=hours)
            exact = sum(number(line.unit_hours) * Fraction(line.rate) * 10**9 for line in quote.lines)
            assert costs[i, j] == round_to_minor(Fraction(exact), 6, ACME.rounding)

"""The queries written by hand in Python give what DuckDB gives for the same rows, whatever a card asks for."""

from random import Random
from typing import Any

import ibis
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.engines.by_ibis import IbisEngine
from chargeback.engines.duck import DuckEngine
from chargeback.engines.rows import RowsEngine
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rating import Grain, UnpricedUsage, rate
from chargeback.usage import Metric, Power, UsageInterval, to_table

PERIODS = [BillingPeriod(year=2026, month=month, time_zone="Europe/Berlin") for month in (9, 10)]
KNOWN_AT = 5
SHAPED = "shape: {kind: graduated, tiers: [{to: 3, price: 0.5}, {price: 0.25}]}"
BODIES = {
    "vcpu": ["unit: vcpu-hour, price: 0.0168", f"unit: vcpu-month, {SHAPED}", f"unit: vcpu-month, window: tenant-month, {SHAPED}"],
    "memory_mib": ["unit: GiB-hour, price: 0.0039, power: powered-on", "unit: GiB-hour, price: 0.0039, power: powered-on-at-least-once"],
    "machine": ["unit: machine-hour, price: 0.02", "unit: machine-month, price: 5, proration: whole, frequency: recurring"],
}  # fmt: skip


def card_of(chance: Random) -> RateCard:
    rates = [
        "{id: setup, tier: tier-1, metric: machine, unit: machine, component: setup, frequency: one-time, price: 25, valid_from: 2026-01-01}"
    ]
    for tier in ("tier-1", "tier-2"):
        for metric, bodies in BODIES.items():
            name, body = f"{metric.replace('_', '-')}-{tier}", chance.choice(bodies)
            rates.append(f"{{id: {name}, tier: {tier}, metric: {metric}, valid_from: 2026-01-01, {body}}}")
    text = (
        "rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        "    time_zone: Europe/Berlin\n    recorded_at: 1970-01-01T00:00:00Z\n    rates:\n"
    )
    (card,) = load_rate_cards(
        {"card.yaml": text + "".join(f"      - {r}\n" for r in rates)}, ["tier-1", "tier-2"]
    )
    return card


def usage_of(chance: Random) -> Any:
    """Rows of any length; some taken back in whole or in part, some of the month before, some known too late."""
    rows = []
    for sequence in range(chance.randint(1, 40)):
        t_from = chance.randrange(PERIODS[0].t_from - 10**6, PERIODS[1].t_to)
        quantity = chance.choice([1, 2, 3, 7, 2**52]) * chance.choice([1, 1, 1, -1])
        rows.append(
            UsageInterval(
                machine=chance.choice("mnop"), tenant=chance.choice("tu"), cost_centre=chance.choice("cd"),
                tier=chance.choice(["tier-1", "tier-2"]), pool=chance.choice("pq"),
                metric=chance.choice([Metric.VCPU, Metric.MEMORY_MIB, Metric.MACHINE, Metric.DISK_GIB]),
                quantity=quantity, power=chance.choice(list(Power)), t_from=t_from,
                t_to=t_from + chance.randrange(1, 40 * 86_400), recorded_at=chance.randrange(8), source="test",
                sequence=sequence, labels=chance.choice(["", "class=web"]),
            )
        )  # fmt: skip
    return to_table(rows)


def outcome(usage: Any, card: RateCard, grain: Grain, engine: Any) -> object:
    try:
        return rate(usage, card, PERIODS, KNOWN_AT, grain=grain, engine=engine)
    except UnpricedUsage as error:
        return str(error)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(list(Grain)))
def test_python_and_duckdb_charge_the_same(seed: int, grain: Grain) -> None:
    chance = Random(seed)
    card, usage = card_of(chance), usage_of(chance)
    assert outcome(usage, card, grain, RowsEngine()) == outcome(usage, card, grain, DuckEngine())


def test_polars_charges_the_same_with_fees_and_shapes_too() -> None:
    polars = IbisEngine(ibis.polars.connect())
    for seed in range(12):
        chance = Random(seed)
        card, usage = card_of(chance), usage_of(chance)
        wanted = outcome(usage, card, Grain.MACHINE, DuckEngine())
        assert outcome(usage, card, Grain.MACHINE, polars) == wanted, seed

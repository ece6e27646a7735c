"""A real data centre's quarter: 500 machines, 1,015,860 machine-hours, recounted hour by hour.

Trace: Grid Workloads Archive GWA-T-12 "rnd" (Shen, van Beek, Iosup, CCGrid 2015). It has no tenants
and tiers, so they follow from the machine's number here.
"""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from chargeback.periods import BillingPeriod, months
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rating import Grain, rate
from chargeback.run_lengths import STAMPS, intervals_from_samples
from chargeback.samples import SCHEMA
from chargeback.statements import statements

TRACE = Path(__file__).parents[2] / ".." / "shared" / "data" / "bitbrains" / "rnd-2013-q3-hourly.parquet"
HOUR = 3600
FOREVER = 2**40

# (tier, metric): price in nano-units before and from the change on 15 August 2013, 13:00 UTC.
CHANGE = int(datetime(2013, 8, 15, 13, tzinfo=UTC).timestamp())
PRICES = {
    ("tier-1", "vcpu"): (18_000_000, 19_500_000),
    ("tier-1", "memory_mib"): (4_200_000, 4_200_001),
    ("tier-2", "vcpu"): (9_400_000, 9_400_000),
    ("tier-2", "memory_mib"): (2_199_999, 2_300_007),
    ("tier-3", "vcpu"): (5_200_003, 5_100_000),
    ("tier-3", "memory_mib"): (1_300_000, 1_250_001),
}
UNIT = {"vcpu": ("vcpu-hour", 1), "memory_mib": ("GiB-hour", 1024)}

pytestmark = pytest.mark.skipif(
    not TRACE.exists(), reason="the Bitbrains trace is not here (../shared/data/bitbrains)"
)


def tenant_of(machine: int) -> str:
    return f"tenant-{machine % 23:02d}"


def tier_of(machine: int) -> str:
    return f"tier-{1 + machine % 3}"


@pytest.fixture(scope="module")
def trace() -> Any:
    return pq.read_table(TRACE, columns=["vm", "hour_ts", "cores_max", "mem_cap_kb_max"])


@pytest.fixture(scope="module")
def usage(trace: Any) -> Any:
    """The trace as usage intervals; memory is whole MiB, cut down from the trace's KiB."""
    machine = pc.cast(trace["vm"], pa.string())
    values = {
        "vcpu": pc.cast(trace["cores_max"], pa.int64()),
        "memory_mib": pc.shift_right(trace["mem_cap_kb_max"], 10),
    }
    samples = pa.concat_tables(
        pa.table(
            [machine, pa.repeat(metric, len(machine)), pc.cast(trace["hour_ts"], pa.int64()), quantity],
            schema=SCHEMA,
        )
        for metric, quantity in values.items()
    )
    numbers = sorted(pc.unique(trace["vm"]).to_pylist())
    owners = [
        {"machine": str(n), "tenant": tenant_of(n), "cost_centre": "cc", "tier": tier_of(n), "pool": "pool"}
        for n in numbers
    ]
    return intervals_from_samples(
        samples, pa.Table.from_pylist(owners, schema=STAMPS), interval_s=HOUR, recorded_at=0, source="trace"
    )


def card_in(time_zone: str) -> RateCard:
    rates = []
    for (tier, metric), prices in PRICES.items():
        name = f"{metric.removesuffix('_mib')}-{tier}"
        span = ("valid_from: '2013-01-01T00:00:00Z', valid_to: '2013-08-15T13:00:00Z'",
                "valid_from: '2013-08-15T13:00:00Z'")  # fmt: skip
        rates += [
            f"{{id: {name}-{i}, tier: {tier}, metric: {metric}, unit: {UNIT[metric][0]}, "
            f"price: '0.{nanos:09d}', {span[i]}}}"
            for i, nanos in enumerate(prices)
        ]
    text = (
        "rate_cards:\n  trace:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        f"    time_zone: {time_zone}\n    recorded_at: 2013-01-01T00:00:00Z\n    rates:\n"
    ) + "".join(f"      - {line}\n" for line in rates)
    (card,) = load_rate_cards({"card.yaml": text}, ("tier-1", "tier-2", "tier-3"))
    return card


def recount(trace: Any, zone: ZoneInfo) -> dict[tuple[str, str, str, str], int]:
    """Nano-units x 1024 per month, tenant, tier and metric: a plain loop over every machine-hour."""
    month_of = {
        hour: datetime.fromtimestamp(hour, zone).strftime("%Y-%m")
        for hour in pc.unique(trace["hour_ts"]).to_pylist()
    }
    found: dict[tuple[str, str, str, str], int] = defaultdict(int)
    columns = (trace[name].to_pylist() for name in ("vm", "hour_ts", "cores_max", "mem_cap_kb_max"))
    for machine, hour, cores, memory_kib in zip(*columns, strict=True):
        month, tenant, tier, after = month_of[hour], tenant_of(machine), tier_of(machine), hour >= CHANGE
        found[month, tenant, tier, "vcpu"] += cores * PRICES[tier, "vcpu"][after] * 1024
        memory_mib = memory_kib // 1024
        found[month, tenant, tier, "memory_mib"] += memory_mib * PRICES[tier, "memory_mib"][after]
    return {key: amount for key, amount in found.items() if amount}


def test_a_million_machine_hours_are_a_few_ten_thousand_intervals(trace: Any, usage: Any) -> None:
    assert trace.num_rows == 1_015_860
    assert usage.num_rows * 20 < 2 * trace.num_rows
    seconds = np.sum((usage["t_to"].to_numpy() - usage["t_from"].to_numpy()) * usage["quantity"].to_numpy())
    recounted = sum(trace["cores_max"].to_pylist()) + sum(
        m // 1024 for m in trace["mem_cap_kb_max"].to_pylist()
    )
    assert seconds == recounted * HOUR


@pytest.mark.parametrize(("time_zone", "first"), [("UTC", "2013-06"), ("Europe/Amsterdam", "2013-07")])
def test_the_bill_agrees_with_an_hour_by_hour_recount_to_the_last_digit(
    trace: Any, usage: Any, time_zone: str, first: str
) -> None:
    expected = recount(trace, ZoneInfo(time_zone))
    card = card_in(time_zone)
    periods = months(BillingPeriod.parse(first, time_zone), 5)
    charged: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for charge in rate(usage, card, periods, FOREVER):
        exact = charge.amount_nanos * 1024
        assert exact.denominator == 1, "whole hours leave no fraction"
        charged[charge.period.name, charge.tenant, charge.tier, charge.rate.metric.value] += exact.numerator
    assert dict(charged) == expected


def test_the_two_calendars_give_different_months_and_the_same_quarter(trace: Any) -> None:
    utc, local = (recount(trace, ZoneInfo(zone)) for zone in ("UTC", "Europe/Amsterdam"))
    assert utc != local
    assert sum(utc.values()) == sum(local.values())


def test_lines_of_machines_add_up_to_the_lines_of_their_tenants(usage: Any) -> None:
    card = card_in("Europe/Amsterdam")
    periods = months(BillingPeriod.parse("2013-07", "Europe/Amsterdam"), 3)
    whole, parts = (rate(usage, card, periods, FOREVER, grain=grain) for grain in Grain)
    assert sum(c.amount_nanos for c in whole) == sum(c.amount_nanos for c in parts)
    for statement in statements(parts, card):
        assert statement.total_minor == sum(line.amount_minor for line in statement.lines)

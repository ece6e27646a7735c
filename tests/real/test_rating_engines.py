"""DuckDB, Polars and Spark give the same charges, integer for integer, and those of a loop over rows.

Spark runs where pyspark is installed (`make test-spark`), and needs Java.
"""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chargeback.charges import Charge
from chargeback.engines.by_ibis import IbisEngine
from chargeback.engines.contract import Engine
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rating import Grain, rate
from chargeback.usage import SCHEMA

ZONE = "Europe/Berlin"
PERIODS = [BillingPeriod(year=2026, month=month, time_zone=ZONE) for month in (9, 10)]
KNOWN_AT = 5
PRICES = {"vcpu": ("vcpu-hour", 3600, "0.0168"), "memory_mib": ("GiB-hour", 3600 * 1024, "0.0039")}
CHANGE = "2026-10-13T13:00:00"


def card() -> RateCard:
    """Two metrics on two tiers; memory is dearer from a moment within October, and free when off."""
    rates = []
    for tier in ("tier-1", "tier-2"):
        for metric, (unit, _, price) in PRICES.items():
            name, power = f"{metric[:4]}-{tier}", "powered-on" if metric == "memory_mib" else "always"
            body = f"tier: {tier}, metric: {metric}, unit: {unit}, power: {power}"
            rates.append(
                f"{{id: {name}, {body}, price: {price}, valid_from: 2026-01-01, valid_to: {CHANGE}}}"
            )
            rates.append(f"{{id: {name}-new, {body}, price: 1{price[1:]}, valid_from: {CHANGE}}}")
    text = (
        "rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        f"    time_zone: {ZONE}\n    recorded_at: 1970-01-01T00:00:00Z\n    rates:\n"
    )
    (found,) = load_rate_cards(
        {"card.yaml": text + "".join(f"      - {r}\n" for r in rates)}, ["tier-1", "tier-2"]
    )
    return found


def usage(rows: int = 3000) -> Any:
    """Rows of any length, some taken back, some huge, some known too late."""
    rng = np.random.default_rng(11)
    t_from = rng.integers(PERIODS[0].t_from - 10**6, PERIODS[1].t_to, rows)
    small, huge = rng.integers(1, 10**6, rows), rng.integers(2**52, 2**53, rows)
    quantity = np.where(rng.random(rows) < 0.1, huge, small) * rng.choice([1, 1, 1, -1], rows)
    texts = {
        "machine": [f"m{n}" for n in rng.integers(0, 200, rows)],
        "tenant": [f"t{n}" for n in rng.integers(0, 9, rows)],
        "cost_centre": [f"c{n}" for n in rng.integers(0, 3, rows)],
        "tier": [f"tier-{n}" for n in rng.integers(1, 3, rows)],
        "pool": [f"p{n}" for n in rng.integers(0, 4, rows)],
        "metric": rng.choice(list(PRICES), rows),
        "power": rng.choice(["on", "off"], rows),
        "source": ["test"] * rows,
        "labels": rng.choice(["", "class=web"], rows),
    }
    numbers = {
        "quantity": quantity, "t_from": t_from, "t_to": t_from + rng.integers(1, 10**6, rows),
        "recorded_at": rng.integers(0, 8, rows), "sequence": np.arange(rows),
    }  # fmt: skip
    columns = {
        **{k: pa.array(v, pa.string()) for k, v in texts.items()},
        **{k: pa.array(v) for k, v in numbers.items()},
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


@pytest.fixture(scope="module")
def polars() -> Engine:
    pytest.importorskip("polars", reason="polars is not installed")
    import ibis

    return IbisEngine(ibis.polars.connect())


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed; `make test-spark` has it")
    import ibis

    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
    }
    builder = sql.SparkSession.builder.master("local[2]")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield IbisEngine(ibis.pyspark.connect(session))
    session.stop()


@pytest.fixture(scope="module")
def duckdb_charges() -> dict[Grain, list[Charge]]:
    return {grain: rate(usage(), card(), PERIODS, KNOWN_AT, grain=grain) for grain in Grain}


@pytest.mark.filterwarnings("default")  # of the peers' own making
@pytest.mark.parametrize("grain", Grain)
@pytest.mark.parametrize("peer", ["polars", "spark"])
def test_each_engine_gives_the_same_charges(
    peer: str, grain: Grain, request: Any, duckdb_charges: dict[Grain, list[Charge]]
) -> None:
    engine = request.getfixturevalue(peer)
    assert rate(usage(), card(), PERIODS, KNOWN_AT, grain=grain, engine=engine) == duckdb_charges[grain]


def test_duckdb_s_charges_are_those_of_a_loop_over_rows_and_rates(
    duckdb_charges: dict[Grain, list[Charge]],
) -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    change = int(datetime.fromisoformat(CHANGE).replace(tzinfo=ZoneInfo(ZONE)).timestamp())
    expected: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for row in usage().to_pylist():
        if row["recorded_at"] > KNOWN_AT or (row["metric"] == "memory_mib" and row["power"] == "off"):
            continue
        _, unit_s, price = PRICES[row["metric"]]
        for period in PERIODS:
            for suffix, t_from, t_to, cost in (
                ("", 0, change, price),
                ("-new", change, 2**40, f"1{price[1:]}"),
            ):
                seconds = min(row["t_to"], t_to, period.t_to) - max(row["t_from"], t_from, period.t_from)
                if seconds > 0:
                    rate_id = f"{row['metric'][:4]}-{row['tier']}{suffix}"
                    amount = Fraction(cost) * row["quantity"] * seconds / unit_s * 10**9
                    expected[period.name, row["tenant"], rate_id] += amount
    for charges in duckdb_charges.values():
        found: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        for charge in charges:
            found[charge.period.name, charge.tenant, charge.rate.id] += charge.amount_nanos
        assert found == expected

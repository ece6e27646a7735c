"""Usage for the benchmarks of chargeback: hourly rows, and the same as intervals; what they cost, by hand.

Machines have a size, a tier, a tenant and, in the middle of the month, twice the memory. Rates change
once, at 13:00 of a day within the month.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from chargeback.payers import FIELDS, PAYER, SEPARATOR

MONTH_FROM, HOURS = 1_790_812_800, 744
"""October 2026 in UTC."""

RATES_CHANGE = MONTH_FROM + 13 * 86400 + 13 * 3600
PRICES = {
    "vcpu": ("vcpu-hour", 1, 18_000_000),
    "memory_mib": ("GiB-hour", 1024, 4_200_000),
    "disk_gib": ("GiB-hour", 1, 310_000),
}
TIERS = ("tier-1", "tier-2", "tier-3")
TENANTS = 200


def _rows(machines: int, first: str, length: str, spans: str) -> str:
    """SQL for usage: per machine and metric, one row for each number of `spans`."""
    return f"""
        SELECT printf('m%05d', v) AS machine, 'tenant-' || (v % {TENANTS}) AS tenant, 'cc-' || (v % 20) AS cost_centre,
          'tier-' || (1 + v % 3) AS tier, 'pool-' || (v % 16) AS pool, metric,
          CASE metric WHEN 'vcpu' THEN 1 + v % 16 WHEN 'disk_gib' THEN 20 + v % 500
            ELSE 1024 * (1 + v % 64) * (CASE WHEN h < {HOURS // 2} THEN 1 ELSE 2 END) END::BIGINT AS quantity,
          'on' AS power, ({first})::BIGINT AS t_from, ({first} + {length})::BIGINT AS t_to,
          {MONTH_FROM}::BIGINT AS recorded_at, 'bench' AS source, h::BIGINT AS sequence, '' AS labels
        FROM range({machines}) vs(v), (VALUES ('vcpu'), ('memory_mib'), ('disk_gib')) ms(metric), {spans} hs(h)
    """


def write_hours(path: Path, machines: int) -> int:
    """A row for each machine, metric and hour of the month, in this order; gives the number of rows."""
    rows = _rows(machines, f"{MONTH_FROM} + h * 3600", "3600", f"range({HOURS})")
    return _write(path, f"{rows} ORDER BY machine, metric, t_from")


def write_intervals(path: Path, machines: int) -> int:
    """The same usage as two intervals a machine and metric."""
    half = HOURS // 2
    return _write(
        path, _rows(machines, f"{MONTH_FROM} + h * 3600", f"{half * 3600}", f"range(0, {HOURS}, {half})")
    )


def _write(path: Path, query: str) -> int:
    with duckdb.connect() as connection:
        # As chargeback.payers writes it; that totals are the same with it and without is looked at by chargeback_speed.
        payer = f"concat_ws(chr({ord(SEPARATOR)}), {', '.join(FIELDS)}) AS {PAYER}"
        (found,) = connection.execute(
            f"COPY (SELECT *, {payer} FROM ({query})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
    return int(found[0])


def card(time_zone: str = "UTC") -> Any:
    """A rate per tier and metric; after the change each is a tenth dearer."""
    from chargeback.rate_cards import load_rate_cards

    rates = []
    for tier in TIERS:
        for metric, (unit, _, nanos) in PRICES.items():
            body = f"tier: {tier}, metric: {metric}, unit: {unit}"
            name = f"{metric.split('_')[0]}-{tier}"
            change = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(RATES_CHANGE))
            rates.append(
                f"{{id: {name}, {body}, price: 0.{nanos:09d}, valid_from: 2020-01-01, valid_to: {change}}}"
            )
            rates.append(
                f"{{id: {name}-new, {body}, price: 0.{nanos * 11 // 10:09d}, valid_from: {change}}}"
            )
    text = (
        "rate_cards:\n  bench:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        f"    time_zone: {time_zone}\n    recorded_at: 2020-01-01T00:00:00Z\n    rates:\n"
    )
    (found,) = load_rate_cards({"card.yaml": text + "".join(f"      - {r}\n" for r in rates)}, TIERS)
    return found


def total_nanos(machines: int, hours: int = HOURS) -> int:
    """What the first `hours` cost, hour by hour in whole 1024ths of a nano: no code of the product is used."""
    found = 0
    for v in range(machines):
        for h in range(hours):
            late = MONTH_FROM + h * 3600 >= RATES_CHANGE
            memory = 1024 * (1 + v % 64) * (1 if h < HOURS // 2 else 2)
            for metric, quantity in (
                ("vcpu", 1 + v % 16),
                ("memory_mib", memory),
                ("disk_gib", 20 + v % 500),
            ):
                _, unit, nanos = PRICES[metric]
                found += quantity * (nanos * 11 // 10 if late else nanos) * (1024 // unit)
    return found


def child(file: str, name: str, *arguments: object, python: str = sys.executable) -> dict[str, Any]:
    """What `file` prints when run as `python file name arguments`, with its own wall and CPU seconds and peak."""
    command = [python, file, name, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(work: Callable[[], Any], runs: int = 3) -> dict[str, float]:
    """The best wall and CPU seconds of several runs, and the peak of this process in MB."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), _cpu_s()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu_s() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"wall_s": min(walls), "cpu_s": min(cpus), "peak_mb": peak}


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime

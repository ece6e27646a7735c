"""Tenant-month totals of 100 million and of a billion usage rows in 256 MB, beside DuckDB's bare scan of the same columns and the same sums in floats.

The rows are a file of 10 million that is read ten times, and a hundred times. It has the
column of payers (`chargeback.payers`); `plain` are totals from the five columns that it stands for.

    python tests/bench/bench_chargeback_scale.py
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chargeback_usage as bench

MACHINES = 4480  # 744 hours of three metrics: 9,999,360 rows
MEMORY_MIB = 160  # DuckDB's share of 256 MB; Python and the libraries are the rest

COLUMNS = ("tenant", "cost_centre", "tier", "metric", "power", "quantity", "t_from", "t_to", "recorded_at")


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hours.parquet"
        # In a process of its own: a child's peak is never below what its parent held when it began.
        rows = bench.child(__file__, "prepare", path, 1)["rows"]
        totals, billion = (bench.child(__file__, "totals", path, times) for times in (10, 100))
        once = {
            name: bench.child(__file__, name, path, 1)
            for name in ("totals", "plain", "scan", "exact", "floats")
        }
    return {
        "totals_rows": rows * 10,
        "totals_wall_s": round(totals["wall_s"], 2),
        "totals_cpu_s": round(totals["cpu_s"], 2),
        "totals_peak_mb": round(totals["peak_mb"]),
        "totals_rows_per_cpu_s": round(rows * 10 / totals["cpu_s"]),
        "billion_rows": rows * 100,
        "billion_wall_s": round(billion["wall_s"], 2),
        "billion_cpu_s": round(billion["cpu_s"], 2),
        "billion_peak_mb": round(billion["peak_mb"]),
        "share_of_scan_rate_percent": round(100 * once["scan"]["cpu_s"] / once["totals"]["cpu_s"]),
        "exact_over_float_times": round(once["exact"]["cpu_s"] / once["floats"]["cpu_s"], 2),
        "scan_cpu_s_of_10_million": round(once["scan"]["cpu_s"], 3),
        "totals_cpu_s_of_10_million": round(once["totals"]["cpu_s"], 3),
        "plain_totals_cpu_s_of_10_million": round(once["plain"]["cpu_s"], 3),
        "exact_cpu_s_of_10_million": round(once["exact"]["cpu_s"], 3),
        "float_cpu_s_of_10_million": round(once["floats"]["cpu_s"], 3),
    }


def _plain(path: Path, times: int) -> dict[str, Any]:
    return _totals(path, times, payers=False)


def _totals(path: Path, times: int, *, payers: bool = True) -> dict[str, Any]:
    from chargeback.engines.duck import DuckEngine, ParquetFiles
    from chargeback.periods import BillingPeriod
    from chargeback.rating import rate

    period, card = BillingPeriod(year=2026, month=10, time_zone="UTC"), bench.card()
    engine = DuckEngine(memory_limit_mib=MEMORY_MIB, threads=2)
    usage = ParquetFiles((str(path),) * times, payers=payers)
    return bench.measured(
        lambda: rate(usage, card, [period], 2**40, engine=engine), runs=1 if times > 1 else 3
    )


def _query(path: Path, select: str) -> dict[str, Any]:
    import duckdb

    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        connection.read_parquet(str(path)).create_view("u")
        return bench.measured(lambda: connection.execute(select).fetchall(), runs=3)


def _scan(path: Path, _times: int) -> dict[str, Any]:
    """Every value is decoded and looked at once, which is the least that any query must do."""
    looks = ", ".join(
        f"sum(strlen({name}))" if i < COLUMNS.index("quantity") else f"sum({name})"
        for i, name in enumerate(COLUMNS)
    )
    return _query(path, f"SELECT {looks} FROM u")


def _sums(path: Path, product: str) -> dict[str, Any]:
    stretch = f"CASE WHEN t_to <= {bench.RATES_CHANGE} THEN 1 WHEN t_from >= {bench.RATES_CHANGE} THEN 2 ELSE -1 END"
    keys = "tenant, cost_centre, tier, metric, power"
    return _query(
        path,
        f"SELECT {keys}, {stretch}, SUM({product}), SUM(t_to - t_from) FROM u WHERE recorded_at < 2e12::BIGINT GROUP BY ALL",
    )


def _exact(path: Path, _times: int) -> dict[str, Any]:
    return _sums(path, "quantity * (t_to - t_from)")


def _floats(path: Path, _times: int) -> dict[str, Any]:
    """The same query with the product in floats, which is not the exact sum."""
    return _sums(path, "quantity::DOUBLE * (t_to - t_from)")


def _prepare(path: Path, _times: int) -> dict[str, Any]:
    return {"rows": bench.write_hours(path, MACHINES)}


WORK: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "prepare": _prepare, "totals": _totals, "plain": _plain, "scan": _scan, "exact": _exact, "floats": _floats,
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(WORK[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        print(json.dumps(main(), indent=1))

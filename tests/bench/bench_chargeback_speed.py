"""Rating beside CloudKitty's hashmap, per machine-hour of three metrics, all to the same exact total: row by row, added up first, and from intervals.

CloudKitty comes from PyPI into a venv of its own under .build/ and runs `process()` alone, its rules set
in memory, one process that uses one core; ours run from Parquet files to charges by two threads, added up by their
column of payers (`chargeback.payers`) or, `plain`, by the five that it stands for. `scan` adds nothing up by anybody: DuckDB's bare sums of
the four columns that any price needs, payer, quantity, from and to, three rows a machine-hour. Added up first are four
files of 54 million rows, one that is read four times; rates change within the month. `times_cloudkitty` are ratios by
the clock, `times_cloudkitty_by_cpu` of the CPU seconds of all threads.

    python tests/bench/bench_chargeback_speed.py
"""

import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import chargeback_usage as bench

VENV = Path(__file__).parents[2] / ".build" / "cloudkitty"
RELEASE = "cloudkitty==25.0.0"
MACHINES = 24_000
FILES = 4
INTERVAL_MACHINES = 30_000
THEIR_MACHINES = 27


def main() -> dict[str, int | float | str]:
    """Measure and return figures; without CloudKitty there are no ratios, and a note says why."""
    theirs = _theirs()
    figures: dict[str, int | float | str] = {}
    if "note" not in theirs:
        expected = Fraction(bench.total_nanos(THEIR_MACHINES), 1024 * 10**9)
        if Fraction(theirs["total"]) != expected:
            msg = f"the totals differ: {theirs['total']} and {expected}"
            raise AssertionError(msg)
        figures["cloudkitty_machine_hours_per_cpu_s"] = round(theirs["machine_hours"] / theirs["cpu_s"])
    with tempfile.TemporaryDirectory() as folder:
        hours, intervals = Path(folder) / "hours.parquet", Path(folder) / "intervals.parquet"
        bench.write_hours(hours, MACHINES)
        bench.write_intervals(intervals, INTERVAL_MACHINES)
        same = Path(folder) / "same.parquet"
        bench.write_intervals(same, MACHINES)
        ours = {
            "row_level": bench.child(__file__, "row_level", hours),
            "aggregate_first": bench.child(__file__, "by_payer", hours, FILES),
            "plain_aggregate_first": bench.child(__file__, "rate", hours, FILES),
            "intervals": bench.child(__file__, "rate", intervals),
            "scan": bench.child(__file__, "scan", hours, FILES),
        }
        totals = {
            int(bench.child(__file__, "rate", same)["total"]) * FILES,
            int(ours["row_level"]["total"]) * FILES,
            int(ours["aggregate_first"]["total"]),
            int(ours["plain_aggregate_first"]["total"]),
        }
    if len(totals) != 1:
        msg = f"the totals differ: {totals}"
        raise AssertionError(msg)
    for name, found in ours.items():
        machines = {"row_level": MACHINES, "intervals": INTERVAL_MACHINES}.get(name, MACHINES * FILES)
        hours_priced = machines * bench.HOURS
        if "note" not in theirs:
            for by, ending in (("wall_s", ""), ("cpu_s", "_by_cpu")):
                times = hours_priced / found[by] / (theirs["machine_hours"] / theirs[by])
                figures[f"{name}_times_cloudkitty{ending}"] = round(times)
        figures[f"{name}_machine_hours_per_s"] = round(hours_priced / found["wall_s"])
        figures[f"{name}_cpu_s"] = round(found["cpu_s"], 4)
        figures[f"{name}_wall_s"] = round(found["wall_s"], 4)
    return figures if "note" not in theirs else {**figures, **theirs}


def _theirs() -> dict[str, Any]:
    python = VENV / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True, capture_output=True, text=True)
        installed = subprocess.run([python, "-c", "import cloudkitty"], check=False, capture_output=True)
        if installed.returncode:
            command = [python, "-m", "pip", "install", "--quiet", RELEASE]
            subprocess.run(command, check=True, capture_output=True, text=True)
        script = Path(__file__).parent / "cloudkitty_hashmap.py"
        command = [python, "-W", "ignore", script, str(THEIR_MACHINES), str(bench.HOURS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or [str(error)]
        return {"note": f"CloudKitty not measured: {lines[-1][:120]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _row_level(path: Path, _files: int) -> dict[str, Any]:
    """The general query: every row joined with its rates, cut and multiplied by itself."""
    from chargeback.charges import exact_nanos
    from chargeback.engines.contract import SEGMENTS, exact
    from chargeback.engines.duck import DuckEngine, ParquetFiles
    from chargeback.periods import BillingPeriod
    from chargeback.rating_sql import SUMS_BY_TENANT

    period = BillingPeriod(year=2026, month=10, time_zone="UTC")
    segments = bench.card().segments(period.t_from, period.t_to)
    rows = [
        (i, s.rate.tier, s.rate.metric.value, True, s.t_from, s.t_to, 2**40) for i, s in enumerate(segments)
    ]
    with DuckEngine(threads=2).session(ParquetFiles((str(path),))) as session:
        session.store("rate_segment", SEGMENTS, rows)
        sums: list[Any] = []
        spent = bench.measured(lambda: sums.append(session.connection.execute(SUMS_BY_TENANT).fetchall()))
    total = sum(exact_nanos(segments[row[0]].rate, row[3]) for row in map(exact, sums[-1]))
    return {**spent, "total": str(total)}


def _by_payer(path: Path, files: int) -> dict[str, Any]:
    return _rate(path, files, payers=True)


def _rate(path: Path, files: int, *, payers: bool = False) -> dict[str, Any]:
    from chargeback.engines.duck import DuckEngine, ParquetFiles
    from chargeback.periods import BillingPeriod
    from chargeback.rating import rate

    period, card = BillingPeriod(year=2026, month=10, time_zone="UTC"), bench.card()
    usage, engine = ParquetFiles((str(path),) * files, payers=payers), DuckEngine(threads=2)
    charges: list[Any] = []
    spent = bench.measured(
        lambda: charges.append(rate(usage, card, [period], 2**40, engine=engine)), runs=5
    )
    return {**spent, "total": str(sum(charge.amount_nanos for charge in charges[-1]))}


def _scan(path: Path, files: int) -> dict[str, Any]:
    import duckdb

    from chargeback.payers import PAYER

    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        connection.read_parquet([str(path)] * files).create_view("u")
        sums = f"SELECT sum(strlen({PAYER})), sum(quantity), sum(t_from), sum(t_to) FROM u"
        return bench.measured(lambda: connection.execute(sums).fetchall(), runs=5)


WORK = {"row_level": _row_level, "rate": _rate, "by_payer": _by_payer, "scan": _scan}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(WORK[sys.argv[1]](Path(sys.argv[2]), int([*sys.argv, "1"][3]))))
    else:
        print(json.dumps(main(), indent=1))

"""Re-pricing a year of 10,000 machines from their stored intervals: what another rate card would have charged.

Each machine has three metrics and is resized every month, so there are 12 intervals of each. The charges are
per tenant, cost centre, tier, metric and month, as a what-if shows them.

    python tests/bench/bench_chargeback_reprice.py
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import chargeback_usage as bench

MACHINES = 10_000


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    with tempfile.TemporaryDirectory() as folder:
        found = bench.child(__file__, "tenant", Path(folder) / "year.parquet")
    return {
        "intervals_rows": found["rows"],
        "wall_s": round(found["wall_s"], 3),
        "cpu_s": round(found["cpu_s"], 3),
        "charges": found["charges"],
        "intervals_per_cpu_s": round(found["rows"] / found["cpu_s"]),
    }


def _year(path: Path) -> Any:
    """Twelve intervals of 730 hours for each machine and metric, from October 2026 on."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    bench.write_intervals(path, MACHINES)
    first = pq.ParquetFile(path).read()
    first = first.filter(pc.equal(first["sequence"], 0))
    months = []
    for i in range(12):
        columns = {name: first[name] for name in first.column_names}
        columns["t_from"] = pc.add(pc.multiply(first["t_from"], 0), bench.MONTH_FROM + i * 730 * 3600)
        columns["t_to"] = pc.add(columns["t_from"], 730 * 3600)
        columns["quantity"] = pc.add(first["quantity"], i)
        months.append(pa.table(columns, schema=first.schema))
    return pa.concat_tables(months)


def _reprice(path: Path, grain: str) -> dict[str, Any]:
    from chargeback.periods import BillingPeriod, months
    from chargeback.rating import Grain, rate

    usage, card = _year(path), bench.card()
    periods = months(BillingPeriod(year=2026, month=10, time_zone="UTC"), 12)
    charges: list[Any] = []
    spent = bench.measured(
        lambda: charges.append(rate(usage, card, periods, 2**40, grain=Grain(grain))), runs=3
    )
    return {**spent, "rows": usage.num_rows, "charges": len(charges[-1])}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_reprice(Path(sys.argv[2]), sys.argv[1])))
    else:
        print(json.dumps(main(), indent=1))

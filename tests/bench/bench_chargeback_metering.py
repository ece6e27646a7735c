"""Metering 10,000 machines with a year behind them, and the import of the Bitbrains trace's own files.

`nothing_new` is a run when no time has passed, `an_hour` one that lets an hour pass for all machines, and
`late_fact` one with an owner change 65 days back. CPU seconds stand beside them, as other work slows the clock's.
A row of the trace has four samples.
"""

import json
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from chargeback.importers import ImportOptions
from tierwise.app import App, wire
from tierwise.clock import SteppedClock
from tierwise.store.tables import MachineEventRow
from tierwise.testing.estate import simulated_acme
from tierwise.usecases.metering import meter
from tierwise.usecases.samples import import_samples

MACHINES, MONTHS = 10_000, 12
START = datetime(2025, 1, 1, tzinfo=UTC)
RAW = Path(__file__).parents[2] / ".." / "shared" / "data" / "bitbrains" / "raw-csv-sample-2013-7.tar.xz"
SIZE = {"vcpu": 2, "memory_mib": 4096, "disk_gib": 40}
BORN = {"resources": SIZE, "tenant": "web-shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p"}


def main() -> dict[str, float | str]:
    """Figures by name."""
    with tempfile.TemporaryDirectory() as name:
        clock = SteppedClock(START)
        app = wire(simulated_acme(Path(name)), clock)
        _write_all(app)
        for month in range(1, MONTHS + 1):
            clock.set(START + timedelta(days=30 * month))
            meter(app)
        figures: dict[str, float | str] = {}
        _timed(figures, "nothing_new", lambda: meter(app))
        clock.advance(timedelta(hours=1))
        _timed(figures, "an_hour", lambda: meter(app))
        back = clock.now() - timedelta(days=65)
        _write(app, f"{77:036d}", "owner_changed", back, {"tenant": "payroll", "cost_centre": "cc"})
        _timed(figures, "late_fact", lambda: meter(app))
        figures |= _imported(app, Path(name))
        app.close()
    return figures


def _timed(figures: dict[str, float | str], name: str, work: Callable[[], object]) -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    figures[f"{name}_s"] = round(time.perf_counter() - wall, 3)
    used = time.process_time() - cpu
    figures[f"{name}_cpu_s"] = round(used, 3)
    return used


def _row(
    machine: str, kind: str, at: datetime, recorded_at: datetime, details: object
) -> dict[str, object]:
    return {
        "key": f"{machine}-{kind}", "machine": machine, "kind": kind, "at": at, "recorded_at": recorded_at,
        "source": "a benchmark", "details": json.dumps(details),
    }  # fmt: skip


def _write(app: App, machine: str, kind: str, at: datetime, details: object) -> None:
    with app.session() as session:
        session.execute(sa.insert(MachineEventRow), [_row(machine, kind, at, app.clock.now(), details)])
        session.commit()


def _write_all(app: App) -> None:
    rows = [_row(f"{n:036d}", "created", START, START, BORN) for n in range(MACHINES)]
    rows += [_row(f"{n:036d}", "powered_on", START, START, {}) for n in range(MACHINES)]
    with app.session() as session:
        session.execute(sa.insert(MachineEventRow), rows)
        session.commit()


def _imported(app: App, folder: Path) -> dict[str, float | str]:
    if not RAW.exists():
        return {"import": "not measured: the Bitbrains trace is not here (../shared/data/bitbrains)"}
    with tarfile.open(RAW) as archive:
        archive.extractall(folder / "trace", filter="data")
    (files,) = {file.parent for file in (folder / "trace").rglob("*.csv")}
    rows = sum(file.read_bytes().count(b"\n") - 1 for file in files.glob("*.csv"))
    figures: dict[str, float | str] = {}
    added = 0

    def work() -> None:
        nonlocal added
        added = import_samples(app, files, options=ImportOptions(expected_interval_s=300)).added

    cpu = _timed(figures, "import", work)
    return figures | {
        "import_samples": added,
        "import_samples_per_cpu_s": round(added / cpu),
        "import_csv_rows_per_cpu_s": round(rows / cpu),
    }


if __name__ == "__main__":
    for key, value in main().items():
        print(key, value)

"""``python -m tierwise.testing.crash_order FOLDER``: one order, killed at every point, then recovered.

Prints a JSON report: how many points there are, at how many the process was killed, what kinds they
are, and every violation found after recovery. A point is explored in a data directory of its own.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import pandas as pd  # noqa: F401 - pyarrow imports it at first use: once here instead of in every child
from sqlmodel import select

from catalog.orders import Order
from connectors.contract import VmView
from tierwise.app import App, wire
from tierwise.documents import Documents, load
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.store.tables import AllocationRow, MachineEventRow, MachineRow, OrderRow, OrderStatus
from tierwise.testing.crash import Points, run_until, watched
from tierwise.testing.estate import quick_settings, simulated_acme
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.order import new_order, submit

BATCH = UUID(int=1)
ORDER = UUID(int=2)


def order_one(settings: Settings, documents: Documents, points: Points) -> None:
    """Order one machine; counted from the moment the engine runs."""
    app = watched(wire(settings, documents=documents), points)
    with running(app):
        points.armed = True
        submit(app, BATCH, [the_order(app)])


def recover(settings: Settings, documents: Documents) -> list[str]:
    """Do it again as a person would, and say what is wrong then."""
    app = wire(settings, documents=documents)
    try:
        with running(app):
            submit(app, BATCH, [the_order(app)])
        meter(app)
        meter(app)
        return violations(app)
    finally:
        app.close()


def the_order(app: App) -> Order:
    """The order that is killed: always the same."""
    return new_order(
        app,
        order_id=ORDER,
        offering="web-small",
        tenant="web-shop",
        machine_name="web-01",
        parameters={},
        tier=None,
        ordered_by="crash test",
    )


def violations(app: App) -> list[str]:
    """What must not be after a recovery: anything lost, made twice, held twice or charged twice."""
    found: list[str] = []
    machines = [vm for name in app.endpoints.names for vm in _machines(app, name) if vm.name == "web-01"]
    if len(machines) != 1:
        found.append(f"{len(machines)} machines at the hypervisors, not 1")
    found += [f"machine {vm.native_id} is {vm.power}, not on" for vm in machines if vm.power != "on"]
    with app.session() as session:
        orders = [row.status for row in session.exec(select(OrderRow))]
        if orders != [OrderStatus.DELIVERED]:
            found.append(f"orders are {orders}, not one delivered")
        for table in (MachineRow, AllocationRow):
            count = len(session.exec(select(table)).all())
            if count != 1:
                found.append(f"{count} rows in {table.__tablename__}, not 1")
        kinds = Counter(row.kind for row in session.exec(select(MachineEventRow)))
    if kinds != {"created": 1, "powered_on": 1}:
        found.append(f"events are {dict(kinds)}, not one creation and one power-on")
    return found + _double_charges(app)


def _machines(app: App, endpoint: str) -> list[VmView]:
    with app.endpoints.lease(endpoint) as connector:
        return connector.list_vms()


def _double_charges(app: App) -> list[str]:
    """No second of the machine may be metered twice, and none left out."""
    per_metric: dict[str, list[tuple[int, int]]] = {}
    for row in interval_store(app).read().to_pylist():
        assert row["quantity"] > 0, row
        per_metric.setdefault(row["metric"], []).append((row["t_from"], row["t_to"]))
    found = []
    for metric, spans in per_metric.items():
        spans.sort()
        for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
            if start != end:
                found.append(f"{metric} is metered until {end} and again from {start}")
    return found


@dataclass(frozen=True)
class Chosen:
    """Which points are explored: those whose name holds `only`, every n-th, this part of so many."""

    only: str = ""
    every: int = 1
    part: int = 0
    parts: int = 1

    def of(self, points: Sequence[str]) -> list[int]:
        """The numbers of the chosen points, from 1."""
        fitting = [n for n, name in enumerate(points, 1) if self.only in name][:: self.every]
        return fitting[self.part :: self.parts]


def prepared(folder: Path, options: Mapping[str, bool]) -> Documents:
    """Make a data directory that has run before, so that no point is spent on making its tables."""
    settings = simulated_acme(folder, **options)
    documents = load(settings.catalog_dir)

    def start(_points: Points) -> None:
        with running(wire(settings, documents=documents)):
            pass

    run_until(start, None, folder / "report")
    return documents


def explore(folder: Path, options: Mapping[str, bool], chosen: Chosen) -> dict[str, object]:
    """Kill at each chosen point, each time in a fresh copy of one data directory; check the recovery."""
    # Loaded once, in this process that every child is a fork of: the addresses in it are relative.
    documents = prepared(folder / "origin", options)
    whole = run_until(partial(order_one, _copy(folder, "whole"), documents), None, folder / "report")
    numbers = chosen.of(whole.points)
    killed = 0
    unreached: list[int] = []
    wrong: list[str] = []
    for n in numbers:
        settings = _copy(folder, "point")
        if run_until(partial(order_one, settings, documents), n, folder / "report").killed:
            killed += 1
        else:
            unreached.append(n)
        found = _recovered(folder, settings, documents)
        wrong += [f"point {n} ({whole.points[n - 1]}): {line}" for line in found]
    return {
        "all_points": len(whole.points),
        "points": len(numbers),
        "killed": killed,
        "unreached": unreached,
        "kinds": sorted({name for name in whole.points if not name.startswith("sql ")}),
        "violations": wrong,
    }


def _copy(folder: Path, name: str) -> Settings:
    shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(folder / "origin", folder / name)
    return quick_settings(folder / name)


def _recovered(folder: Path, settings: Settings, documents: Documents) -> list[str]:
    """What `recover` finds, run in a process of its own as after a real crash."""
    answer = folder / "answer"

    def work(_points: Points) -> None:
        answer.write_text(json.dumps(recover(settings, documents)), encoding="utf-8")

    run_until(work, None, folder / "report")
    found: list[str] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, explore, print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--naive", action="store_true", help="create without looking first")
    parser.add_argument("--only", default="", help="only points whose name holds this text")
    parser.add_argument("--every", type=int, default=1, help="only every n-th point")
    parser.add_argument("--part", type=int, default=0, help="this part, from 0")
    parser.add_argument("--parts", type=int, default=1, help="of so many")
    given = parser.parse_args(arguments)
    options = {"adopt": False, "enforce_identity": False} if given.naive else {}
    chosen = Chosen(given.only, given.every, given.part, given.parts)
    sys.stdout.write(json.dumps(explore(given.folder, options, chosen), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m tierwise.testing.crash_order FOLDER``: one order, killed at every point, then recovered.

Prints a JSON report: how many points there are, at how many the process was killed, what kinds they
are, and every violation found after recovery. A point is explored in a data directory of its own.
"""

import argparse
import json
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd  # noqa: F401 - pyarrow imports it at first use: once here instead of in every child
from sqlmodel import select

from catalog.orders import Order
from tierwise.app import App, wire
from tierwise.documents import Documents, load
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.store.tables import AllocationRow, MachineEventRow, MachineRow, OrderRow, OrderStatus
from tierwise.testing.crash import Ended, Point, Points, run_until, watched
from tierwise.testing.crash_estates import CrashEstate, Found, SimulatedEstate, VsphereEstate
from tierwise.testing.estate import quick_settings
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.order import new_order, submit

BATCH = UUID(int=1)
ORDER = UUID(int=2)
MACHINE = "killed-01"
EXPECTED = Found(MACHINE, str(ORDER), on=True)


def order_one(settings: Settings, documents: Documents, estate: CrashEstate, points: Points) -> None:
    """Order one machine; counted from the moment the engine runs."""
    estate.enter_child(points)
    app = watched(wire(settings, documents=documents), points)
    with running(app):
        points.armed = True
        submit(app, BATCH, [the_order(app, estate)])


def recover(settings: Settings, documents: Documents, estate: CrashEstate, points: Points) -> list[str]:
    """Do it again as a person would, and say what is wrong then."""
    estate.enter_child(points)
    app = wire(settings, documents=documents)
    try:
        with running(app):
            submit(app, BATCH, [the_order(app, estate)])
        meter(app)
        meter(app)
        return violations(app, estate)
    finally:
        app.close()


def the_order(app: App, estate: CrashEstate) -> Order:
    """The order that is killed: always the same."""
    return new_order(
        app,
        order_id=ORDER,
        offering=estate.offering,
        tenant=estate.tenant,
        machine_name=MACHINE,
        parameters={},
        tier=None,
        ordered_by="crash test",
    )


def violations(app: App, estate: CrashEstate) -> list[str]:
    """What must not be after a recovery: anything lost, made twice, held twice or charged twice."""
    found: list[str] = []
    machines = estate.machines(app.settings)
    if len(machines) != 1:
        found.append(f"{len(machines)} machines at the hypervisors, not 1")
    found += [f"{machine} is not {EXPECTED}" for machine in machines if machine != EXPECTED]
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


def _double_charges(app: App) -> list[str]:
    """No second of the machine may be metered twice, and none left out."""
    per_metric: dict[str, list[tuple[int, int]]] = {}
    for row in interval_store(app).read().to_pylist():
        assert row["quantity"] > 0, row
        per_metric.setdefault(row["metric"], []).append((row["t_from"], row["t_to"]))
    found = []
    for metric, spans in per_metric.items():
        spans.sort()
        for (_, end), (start, _) in pairwise(spans):
            if start != end:
                found.append(f"{metric} is metered until {end} and again from {start}")
    return found


@dataclass(frozen=True)
class Chosen:
    """Which points are explored: those whose name holds `only`, this part of so many.

    Of statements, and of calls that only ask, every n-th; commits and calls that change something all.
    """

    only: str = ""
    every: int = 1
    part: int = 0
    parts: int = 1

    def of(self, points: Sequence[Point]) -> list[Point]:
        """The chosen ones of all points."""
        fitting = [point for point in points if self.only in point.name and self._is_mine(point)]
        plain = [point for point in fitting if _is_plain(point)]
        others = [point for point in fitting if not _is_plain(point)]
        return [*others, *plain[:: self.every]]

    def _is_mine(self, point: Point) -> bool:
        # By name: each process has a run of its own to choose from, which may be in another order.
        return zlib.crc32(str(point).encode()) % self.parts == self.part


def _is_plain(point: Point) -> bool:
    return point.name.startswith(("sql ", "ask "))


@dataclass(frozen=True)
class Report:
    """What an exploration found. `kinds` are the points of which at least one was killed at."""

    all_points: int
    points: int
    killed: int
    unreached: tuple[str, ...]
    kinds: tuple[str, ...]
    violations: tuple[str, ...]

    def __add__(self, other: "Report") -> "Report":
        """Both parts of one exploration together."""
        return Report(
            all_points=max(self.all_points, other.all_points),
            points=self.points + other.points,
            killed=self.killed + other.killed,
            unreached=self.unreached + other.unreached,
            kinds=tuple(sorted({*self.kinds, *other.kinds})),
            violations=self.violations + other.violations,
        )


class Explorer:
    """One order, killed at one point after the other, each time in a fresh copy of one data directory."""

    def __init__(self, folder: Path, estate: CrashEstate) -> None:
        self.folder = folder
        self.estate = estate
        origin = estate.settings(folder / "origin")
        # Loaded once, in this process that every child is a fork of: the addresses in it are relative.
        self.documents = load(origin.catalog_dir)
        # It has run before, so that no point is spent on making its tables.
        self._fork(lambda _points: self._started(origin))

    def explore(self, chosen: Chosen) -> Report:
        """Kill at each chosen point and check the recovery."""
        whole = self._killed_at(self._copy(), None).points
        points = chosen.of(whole)
        killed: list[Point] = []
        unreached: list[str] = []
        wrong: list[str] = []
        for point in points:
            settings = self._copy()
            if self._killed_at(settings, point).killed:
                killed.append(point)
            else:
                unreached.append(str(point))
            wrong += [f"{point}: {line}" for line in self._recovered(settings)]
        return Report(
            all_points=len(whole),
            points=len(points),
            killed=len(killed),
            unreached=tuple(unreached),
            kinds=tuple(sorted({point.name for point in killed if not _is_plain(point)})),
            violations=tuple(wrong),
        )

    def _copy(self) -> Settings:
        """The data directory as it was before the order, and no machine of an earlier one."""
        self.estate.clear()
        copy = self.folder / "point"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / "origin", copy)
        return quick_settings(copy)

    def _killed_at(self, settings: Settings, point: Point | None) -> Ended:
        return self._fork(lambda points: order_one(settings, self.documents, self.estate, points), point)

    def _recovered(self, settings: Settings) -> list[str]:
        """What `recover` finds, run in a process of its own as after a real crash."""
        answer = self.folder / "answer"

        def work(points: Points) -> None:
            found = recover(settings, self.documents, self.estate, points)
            answer.write_text(json.dumps(found), encoding="utf-8")

        self._fork(work)
        found: list[str] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def _started(self, settings: Settings) -> None:
        with running(wire(settings, documents=self.documents)):
            pass

    def _fork(self, work: Callable[[Points], None], kill_at: Point | None = None) -> Ended:
        return run_until(work, kill_at, self.folder / "report")


def explored(folder: Path, *options: str, processes: int = 2, share: int = 0, shares: int = 1) -> Report:
    """Explore side by side in processes of their own: they fork, and must have no threads when they do.

    `options` are those of the command line. Only one of so many `shares` of the points is explored, the
    first being 0. Raises RuntimeError with what a process said that failed.
    """
    command = [sys.executable, "-m", "tierwise.testing.crash_order", *options]
    started = [
        subprocess.Popen(
            [*command, "--parts", str(shares * processes), "--part", str(part), str(folder / str(part))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in range(share * processes, (share + 1) * processes)
    ]
    outputs = [process.communicate() for process in started]
    wrong = [errors for process, (_, errors) in zip(started, outputs, strict=True) if process.returncode]
    if wrong:
        raise RuntimeError("\n".join(wrong))
    first, *others = [_report(json.loads(output)) for output, _ in outputs]
    return sum(others, start=first)


def _report(fields: dict[str, Any]) -> Report:
    lists: dict[str, Any] = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return Report(**{**fields, **lists})


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, explore, print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--vsphere", type=Path, metavar="PROGRAM", help="order at a vSphere simulator, which this is"
    )
    parser.add_argument("--naive", action="store_true", help="create without looking first")
    parser.add_argument("--only", default="", help="only points whose name holds this text")
    parser.add_argument("--every", type=int, default=1, help="every n-th of the points that change nothing")
    parser.add_argument("--part", type=int, default=0, help="this part, from 0")
    parser.add_argument("--parts", type=int, default=1, help="of so many")
    given = parser.parse_args(arguments)
    with _estate(given.vsphere, naive=given.naive) as estate:
        explorer = Explorer(given.folder, estate)
        report = explorer.explore(Chosen(given.only, given.every, given.part, given.parts))
    sys.stdout.write(json.dumps(asdict(report), indent=1) + "\n")
    return 0


def _estate(vsphere: Path | None, *, naive: bool) -> AbstractContextManager[CrashEstate]:
    if vsphere is None:
        return nullcontext(SimulatedEstate(naive=naive))
    return VsphereEstate.started(vsphere, naive=naive)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

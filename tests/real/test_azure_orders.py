"""500 real arrivals, ordered, placed, delivered, removed and billed; recounted life by life.

Trace: Azure 2017, as arrivals by tenant batches and flavour, with lifetimes (Cortez et al., SOSP 2017;
CC-BY-4.0). It names no tenants, so a batch's number gives its tenant; of a lifetime it gives the bin,
so the machine's number gives the second in it. Disks are not in it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlalchemy.orm import close_all_sessions

from catalog.orders import Order
from placement.plan import Plan
from placement.problem import PlacementProblem
from placement.verify import breaches
from tierwise.app import App, wire
from tierwise.clock import SteppedClock
from tierwise.jobs.runtime import running
from tierwise.store.tables import BatchRow, MachineRow, OrderRow
from tierwise.testing.estate import quick_settings
from tierwise.usecases.billing import Bill, bill
from tierwise.usecases.change import delete
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, resolved, submit
from tierwise.usecases.place import estate, problem_for

TRACE = Path(__file__).parents[2] / ".." / "shared" / "data" / "azure-v1"
ESTATE = Path(__file__).with_name("azure_estate.yaml")
ZONE = ZoneInfo("Europe/Amsterdam")
START = datetime(2026, 2, 27, 15, tzinfo=UTC)
BILLED = datetime(2026, 4, 1, 9, tzinfo=UTC)
MONTHS = ("2026-02", "2026-03")
COUNT = 500
BIN_S = 300

pytestmark = pytest.mark.skipif(
    not TRACE.is_dir(), reason="the Azure trace is not here (../shared/data/azure-v1)"
)


@dataclass(frozen=True)
class Arrival:
    """One machine of the trace; `lives_s` is None where it outlived the trace."""

    number: int
    at: datetime
    tenant: str
    vcpu: int
    memory_mib: int
    lives_s: int | None

    @property
    def name(self) -> str:
        return f"vm-{self.number:03d}"

    @property
    def disk_gib(self) -> int:
        return 20 + 10 * self.vcpu

    @property
    def born(self) -> int:
        return int(self.at.timestamp())

    @property
    def gone(self) -> int | None:
        return None if self.lives_s is None else self.born + self.lives_s


def flavours() -> dict[str, tuple[int, int]]:
    """Letter -> vCPU, MiB."""
    found = {}
    for line in (TRACE / "resources_maps_flav_map.txt").read_text().splitlines():
        shape, letter = line.split()
        vcpu, memory_gib = shape.split(",")
        found[letter] = int(vcpu), int(float(memory_gib) * 1024)
    return found


def lifetimes() -> dict[int, tuple[int, int]]:
    """Bin -> the seconds from and below which a lifetime is in it; a line of the map names an upper end."""
    found: dict[int, tuple[int, int]] = {}
    for line in (TRACE / "resources_maps_v1.interval_map.txt").read_text().splitlines():
        seconds, number = (int(part) for part in line.split())
        low = found[number][0] if number in found else seconds
        found[number] = low, seconds + BIN_S
    return found


def tenant_batches(line: str) -> tuple[int, list[list[str]]]:
    """The time of a line, and its batches."""
    seconds, _, rest = line.partition(" ")
    batches = [[item for item in part.split(",") if item] for part in rest.split("|")]
    return int(seconds), [batch for batch in batches if batch]


def read_arrivals() -> list[Arrival]:
    shapes, lives = flavours(), lifetimes()
    shape_lines = (TRACE / "resources_traces_v1.dev.txt").read_text().splitlines()
    life_lines = (TRACE / "resources_traces_v1.dev.c2100000.txt").read_text().splitlines()
    found: list[Arrival] = []
    first, batch_number = tenant_batches(shape_lines[0])[0], 0
    for shape_line, life_line in zip(shape_lines, life_lines, strict=True):
        seconds, batches = tenant_batches(shape_line)
        for n, (letters, bins) in enumerate(zip(batches, tenant_batches(life_line)[1], strict=True)):
            at = START + timedelta(seconds=seconds - first + BIN_S * n // len(batches))
            for letter, bin_name in zip(letters, bins, strict=True):
                i = len(found)
                low, high = lives[int(bin_name[1:])]
                lives_s = low + i * 7919 % (high - low) if bin_name[0] == "U" else None
                found.append(Arrival(i, at, f"tenant-{batch_number % 7}", *shapes[letter], lives_s))
                if len(found) == COUNT:
                    return found
            batch_number += 1
    raise AssertionError(len(found))


def in_batches(arrivals: Sequence[Arrival], least: int = 40) -> Iterator[list[Arrival]]:
    """Tenant batches that follow each other, together; all arrive when the first one does."""
    batch: list[Arrival] = []
    for arrival in arrivals:
        if len(batch) >= least and arrival.at != batch[-1].at:
            yield batch
            batch = []
        batch.append(arrival)
    yield batch


@dataclass(frozen=True)
class Life:
    """A machine as the product delivered it, from and until the clock's seconds."""

    arrival: Arrival
    order_id: str
    tier: str
    pool: str
    born: int
    gone: int


@dataclass(frozen=True)
class Story:
    """What happened: the lives, the plans with their problems, and the bills."""

    lives: tuple[Life, ...]
    plans: tuple[tuple[PlacementProblem, Plan], ...]
    bills: Mapping[str, Bill]
    left: frozenset[str]
    """The machines that were there at the end."""


class Replay:
    """The trace, ordered and removed in the order of time on an application."""

    def __init__(self, app: App, clock: SteppedClock) -> None:
        self.app = app
        self.clock = clock
        self.rows: dict[int, tuple[OrderRow, int]] = {}
        self.gone: dict[int, int] = {}
        self.plans: list[tuple[PlacementProblem, Plan]] = []

    def run(self, arrivals: Sequence[Arrival]) -> None:
        due: list[tuple[int, Arrival]] = []
        for batch in in_batches(arrivals):
            now = batch[0].born
            due = self.remove_until(now, due)
            self.clock.set(datetime.fromtimestamp(now, UTC))
            self.order(batch)
            due += [(now + a.lives_s, a) for a in batch if a.lives_s is not None]
        self.remove_until(int(BILLED.timestamp()), due)

    def order(self, batch: Sequence[Arrival]) -> None:
        batch_id = uuid5(NAMESPACE_URL, f"batch of {batch[0].name}")
        orders = [self.wish(arrival) for arrival in batch]
        observe(self.app)
        problem = problem_for(self.app, estate(self.app), [resolved(self.app, order) for order in orders])
        rows = submit(self.app, batch_id, orders)
        now = int(self.clock.now().timestamp())
        self.rows |= {a.number: (row, now) for a, row in zip(batch, rows, strict=True)}
        with self.app.session() as session:
            plan = session.get_one(BatchRow, str(batch_id)).plan
        assert plan is not None
        self.plans.append((problem, Plan.model_validate_json(plan)))

    def wish(self, arrival: Arrival) -> Order:
        confidential = arrival.tenant in {"tenant-1", "tenant-4"}
        return new_order(
            self.app,
            order_id=uuid5(NAMESPACE_URL, arrival.name),
            offering="large-vm" if arrival.vcpu >= 4 else "small-vm",
            tenant=arrival.tenant,
            machine_name=arrival.name,
            parameters={
                "vcpu": arrival.vcpu,
                "memory_mib": arrival.memory_mib,
                "disk_gib": arrival.disk_gib,
                "data": "confidential" if confidential else "internal",
            },
            tier=None,
            ordered_by="the trace",
        )

    def remove_until(self, moment: int, due: list[tuple[int, Arrival]]) -> list[tuple[int, Arrival]]:
        """Remove what is due by then, in order of time; gives what is left."""
        for at, arrival in sorted((d for d in due if d[0] <= moment), key=lambda d: (d[0], d[1].number)):
            self.clock.set(datetime.fromtimestamp(at, UTC))
            delete(self.app, uuid5(NAMESPACE_URL, f"end of {arrival.name}"), arrival.name)
            self.gone[arrival.number] = at
        return [d for d in due if d[0] > moment]


@pytest.fixture(scope="module")
def arrivals() -> list[Arrival]:
    return read_arrivals()


@pytest.fixture(scope="module")
def story(arrivals: list[Arrival], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    settings = quick_settings(tmp_path_factory.mktemp("azure"))
    settings.catalog_dir.mkdir(parents=True)
    (settings.catalog_dir / ESTATE.name).write_text(ESTATE.read_text())
    clock = SteppedClock(START)
    app = wire(settings, clock)
    with running(app):
        replay = Replay(app, clock)
        replay.run(arrivals)
        clock.set(BILLED)
        bills = {month: bill(app, month) for month in MONTHS}
    left = frozenset(vm.name for name in app.endpoints.names for vm in machines_at(app, name))
    yield Story(tuple(lives_of(arrivals, replay)), tuple(replay.plans), bills, left)
    app.close()
    close_all_sessions()


def machines_at(app: App, endpoint: str) -> list[Any]:
    with app.endpoints.lease(endpoint) as connector:
        return connector.list_vms()


def lives_of(arrivals: Sequence[Arrival], replay: Replay) -> Iterator[Life]:
    for arrival in arrivals:
        row, born = replay.rows[arrival.number]
        assert row.status == "delivered", (arrival, row.status, row.why)
        gone = replay.gone.get(arrival.number, int(BILLED.timestamp()))
        yield Life(arrival, row.id, str(row.tier), str(row.pool), born, gone)

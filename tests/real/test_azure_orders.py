"""500 real arrivals, ordered, placed, delivered, removed and billed; recounted life by life.

Then a real quarter of use of 500 other machines, as those of the same orders: recounted hour by hour.

Trace: Azure 2017, as arrivals by tenant batches and flavour, with lifetimes (Cortez et al., SOSP 2017;
CC-BY-4.0). It names no tenants, so a batch's number gives its tenant; of a lifetime it gives the bin,
so the machine's number gives the second in it. Disks are not in it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5
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
from tierwise.store.tables import BatchRow, OrderRow
from tierwise.testing.estate import quick_settings
from tierwise.usecases.billing import Bill, bill
from tierwise.usecases.change import delete
from tierwise.usecases.metering import interval_store
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, resolved, submit
from tierwise.usecases.place import estate, problem_for

ESTATE = Path(__file__).with_name("azure_estate.yaml")
ZONE = ZoneInfo("Europe/Amsterdam")
BILLED = datetime(2026, 4, 1, 9, tzinfo=UTC)
MONTHS = ("2026-02", "2026-03")
COUNT = 500


def in_batches(arrivals: Sequence[Any], least: int = 40) -> Iterator[list[Any]]:
    """Tenant batches that follow each other, together; all arrive when the first one does."""
    batch: list[Any] = []
    for arrival in arrivals:
        if len(batch) >= least and arrival.at != batch[-1].at:
            yield batch
            batch = []
        batch.append(arrival)
    yield batch


@dataclass(frozen=True)
class Life:
    """A machine as the product delivered it, from and until the clock's seconds."""

    arrival: Any
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

    def run(self, arrivals: Sequence[Any]) -> None:
        due: list[tuple[int, Any]] = []
        for batch in in_batches(arrivals):
            now = batch[0].born
            due = self.remove_until(now, due)
            self.clock.set(datetime.fromtimestamp(now, UTC))
            self.order(batch)
            due += [(now + a.lives_s, a) for a in batch if a.lives_s is not None]
        self.remove_until(int(BILLED.timestamp()), due)

    def order(self, batch: Sequence[Any]) -> None:
        batch_id = uuid5(NAMESPACE_URL, f"batch of {batch[0].name}")
        orders = [self.wish(arrival) for arrival in batch]
        observe(self.app)
        problem = problem_for(
            self.app, estate(self.app), [resolved(self.app, order) for order in orders], made=True
        )
        rows = submit(self.app, batch_id, orders)
        now = int(self.clock.now().timestamp())
        self.rows |= {a.number: (row, now) for a, row in zip(batch, rows, strict=True)}
        with self.app.session() as session:
            plan = session.get_one(BatchRow, str(batch_id)).plan
        assert plan is not None
        self.plans.append((problem, Plan.model_validate_json(plan)))

    def wish(self, arrival: Any) -> Order:
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

    def remove_until(self, moment: int, due: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Remove what is due by then, in order of time; gives what is left."""
        for at, arrival in sorted((d for d in due if d[0] <= moment), key=lambda d: (d[0], d[1].number)):
            self.clock.set(datetime.fromtimestamp(at, UTC))
            delete(self.app, uuid5(NAMESPACE_URL, f"end of {arrival.name}"), arrival.name)
            self.gone[arrival.number] = at
        return [d for d in due if d[0] > moment]


@pytest.fixture(scope="module")
def story(arrivals: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    clock = SteppedClock(arrivals[0].at)
    app = wired(tmp_path_factory.mktemp("azure"), ESTATE.read_text(), clock)
    with running(app):
        replay = Replay(app, clock)
        replay.run(arrivals)
        clock.set(BILLED)
        bills = {month: bill(app, month) for month in MONTHS}
    left = frozenset(vm.name for name in app.endpoints.names for vm in machines_at(app, name))
    yield Story(tuple(lives_of(arrivals, replay)), tuple(replay.plans), bills, left)
    app.close()
    close_all_sessions()


def wired(folder: Path, documents: str, clock: SteppedClock) -> App:
    """An application on a new data directory with these documents."""
    settings = quick_settings(folder)
    settings.catalog_dir.mkdir(parents=True)
    (settings.catalog_dir / ESTATE.name).write_text(documents)
    return wire(settings, clock)


def machines_at(app: App, endpoint: str) -> list[Any]:
    with app.endpoints.lease(endpoint) as connector:
        return connector.list_vms()


def lives_of(arrivals: Sequence[Any], replay: Replay) -> Iterator[Life]:
    for arrival in arrivals:
        row, born = replay.rows[arrival.number]
        assert row.status == "delivered", (arrival, row.status, row.why)
        gone = replay.gone.get(arrival.number, int(BILLED.timestamp()))
        yield Life(arrival, row.id, str(row.tier), str(row.pool), born, gone)


def test_the_orders_are_the_first_500_arrivals_of_the_trace(arrivals: list[Any]) -> None:
    # By hand: cut -d' ' -f2- FILE | tr ',' '\n' | grep -v '|' | grep . | head -500 | sort | uniq -c
    shapes = Counter((a.vcpu, a.memory_mib) for a in arrivals)
    assert shapes == {(1, 1792): 303, (2, 3584): 87, (4, 7168): 69, (8, 14336): 28, (1, 768): 13}
    assert sum(a.lives_s is None for a in arrivals) == 13
    assert sum(a.lives_s is not None and a.lives_s < 600 for a in arrivals) == 227


def test_every_order_is_delivered_and_every_machine_goes_at_the_end_of_its_life(story: Story) -> None:
    assert len(story.lives) == COUNT
    for life in story.lives:
        assert life.arrival.lives_s in {None, life.gone - life.born}
    assert story.left == {life.arrival.name for life in story.lives if life.arrival.lives_s is None}
    assert {life.tier for life in story.lives} == {"tier-1", "tier-2", "tier-3"}


def test_every_plan_is_accepted_by_the_checker(story: Story) -> None:
    assert [breach for problem, plan in story.plans for breach in breaches(problem, plan)] == []
    assert sum(len(plan.assignments) for _, plan in story.plans) == COUNT


def test_no_pool_holds_more_than_it_has_at_any_moment(story: Story) -> None:
    most: dict[tuple[str, str], int] = defaultdict(int)
    held: dict[tuple[str, str], int] = defaultdict(int)
    # What ends at a moment makes room for what begins at it.
    changes = [(life.born, 1, life) for life in story.lives] + [
        (life.gone, -1, life) for life in story.lives
    ]
    for _, sign, life in sorted(changes, key=lambda change: change[:2]):
        for metric in ("vcpu", "memory_mib", "disk_gib"):
            key = life.pool, metric
            held[key] += sign * getattr(life.arrival, metric)
            most[key] = max(most[key], held[key])
    capacity = capacities()
    for key, amount in most.items():
        assert amount <= capacity[key], key
    assert most["hosted", "vcpu"] > capacity["hosted", "vcpu"] * 9 // 10, "the cheapest pool was never full"


def capacities() -> dict[tuple[str, str], int]:
    """(pool, metric) -> what may be held, from the numbers that stand in the estate's file."""
    written = yaml.safe_load(ESTATE.read_text())
    found = {}
    for name, pool in written["pools"].items():
        has = written["endpoints"][pool["endpoint"]]["options"]
        totals = {
            "vcpu": has["hosts"] * has["host_vcpu"],
            "memory_mib": has["hosts"] * has["host_memory_mib"],
            "disk_gib": has["disk_gib"],
        }
        for metric, total in totals.items():
            kept = pool.get("reserved", {}).get(metric, 0)
            found[name, metric] = (total - kept) * pool.get("allocation_ratio", {}).get(metric, 1)
    return found


def local(text: str) -> int:
    """The second of a local time, as the rate card writes it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


# Tier, metric -> (rate, nano-units, from, until), as printed on the card.
ALWAYS = (0, 2**40)
TIER_2_DEARER, TIER_1_DEARER = local("2026-02-28T00:00"), local("2026-03-29T12:00")
PRICES = {
    ("tier-1", "vcpu"): [("vcpu-1", 16_800_000, *ALWAYS)],
    ("tier-1", "memory_mib"): [
        ("memory-1", 3_900_000, 0, TIER_1_DEARER),
        ("memory-1-later", 4_200_001, TIER_1_DEARER, 2**40),
    ],
    ("tier-1", "disk_gib"): [("disk-1", 310_000, *ALWAYS)],
    ("tier-1", "machine"): [("machine-1", 21_000_000, *ALWAYS)],
    ("tier-2", "vcpu"): [
        ("vcpu-2", 9_400_000, 0, TIER_2_DEARER),
        ("vcpu-2-later", 10_100_000, TIER_2_DEARER, 2**40),
    ],
    ("tier-2", "memory_mib"): [("memory-2", 2_200_000, *ALWAYS)],
    ("tier-2", "disk_gib"): [("disk-2", 160_000, *ALWAYS)],
    ("tier-2", "machine"): [("machine-2", 8_000_000, *ALWAYS)],
    ("tier-3", "vcpu"): [("vcpu-3", 5_200_000, *ALWAYS)],
    ("tier-3", "memory_mib"): [("memory-3", 1_300_000, *ALWAYS)],
    ("tier-3", "disk_gib"): [("disk-3", 90_000, *ALWAYS)],
    ("tier-3", "machine"): [("machine-3", 4_000_000, *ALWAYS)],
}
PER_UNIT = {"vcpu": 1, "memory_mib": 1024, "disk_gib": 1, "machine": 1}


def recounted(lives: Sequence[Life], month: str) -> dict[tuple[str, str, str], tuple[Fraction, int]]:
    """(tenant, machine, rate) -> exact nano-units and cents, life by life; half a cent goes up."""
    year, number = (int(part) for part in month.split("-"))
    begin = local(f"{month}-01T00:00")
    end = local(f"{year}-{number + 1:02d}-01T00:00")
    found = {}
    for life in lives:
        for (tier, metric), rates in PRICES.items():
            if tier != life.tier:
                continue
            amount = 1 if metric == "machine" else getattr(life.arrival, metric)
            for rate, nanos, valid_from, valid_to in rates:
                seconds = min(life.gone, end, valid_to) - max(life.born, begin, valid_from)
                if seconds > 0:
                    exact = Fraction(nanos * amount * seconds, 3600 * PER_UNIT[metric])
                    whole_cents = math.floor(exact / 10**7 + Fraction(1, 2))
                    found[life.arrival.tenant, life.order_id, rate] = exact, whole_cents
    return found


@pytest.mark.parametrize("month", MONTHS)
def test_every_line_of_the_bill_agrees_with_a_recount_to_the_last_digit(story: Story, month: str) -> None:
    charged = {
        (line.charge.tenant, str(line.charge.machine), line.charge.rate.id): (
            line.charge.amount_nanos,
            line.amount_minor,
        )
        for statement in story.bills[month].statements
        for line in statement.lines
    }
    assert charged == recounted(story.lives, month)
    assert len(charged) > 40


@pytest.mark.parametrize("month", MONTHS)
def test_lines_add_up_to_statements_and_statements_to_the_bill(story: Story, month: str) -> None:
    per_tenant: dict[str, int] = defaultdict(int)
    for (tenant, _, _), (_, cents) in recounted(story.lives, month).items():
        per_tenant[tenant] += cents
    found = story.bills[month]
    assert {statement.tenant: statement.total_minor for statement in found.statements} == per_tenant
    total_minor = sum(row["amount_minor"] for row in found.rows)
    assert total_minor == sum(per_tenant.values()) > 0
    assert found.complete
    # What is printed, too: its cents are the sum of its rows.
    printed = sum(round(Decimal(str(row["amount"])) * 100) for row in found.rows)
    assert printed == total_minor


@pytest.fixture(scope="module")
def owners(bitbrains: Any, owner: Any, story: Story) -> Any:
    """The machines of the Bitbrains trace, each as the machine of one of the orders."""
    centre = {
        name: tenant["cost_centre"]
        for name, tenant in yaml.safe_load(ESTATE.read_text())["tenants"].items()
    }
    return {
        number: owner(life.order_id, life.arrival.tenant, centre[life.arrival.tenant], life.tier, life.pool)
        for number, life in zip(bitbrains.machines, story.lives, strict=True)
    }


@pytest.mark.parametrize(
    ("time_zone", "months"),
    [
        ("UTC", ("2013-06", "2013-07", "2013-08", "2013-09")),
        ("Europe/Amsterdam", ("2013-07", "2013-08", "2013-09")),
    ],
)
def test_a_real_quarter_of_use_by_the_ordered_machines_is_billed_to_the_last_digit(
    bitbrains: Any, owners: Any, tmp_path: Path, time_zone: str, months: Sequence[str]
) -> None:
    written = yaml.safe_load(ESTATE.read_text())
    written["rate_cards"] = yaml.safe_load(bitbrains.card(time_zone))["rate_cards"]
    app = wired(tmp_path, yaml.safe_dump(written), SteppedClock(datetime(2013, 11, 1, tzinfo=UTC)))
    store = interval_store(app)
    with store.writing():
        store.append(bitbrains.usage(owners))
    bills = [bill(app, month) for month in months]
    app.close()
    close_all_sessions()
    tenant_of = {owner.machine: owner.tenant for owner in owners.values()}
    exact = bitbrains.recount(ZoneInfo(time_zone), owners)
    recount = {key: (amount, cents(amount)) for key, amount in exact.items()}
    per_tenant: dict[tuple[str, str], int] = defaultdict(int)
    for (month, machine, _), (_, amount_minor) in recount.items():
        per_tenant[month, tenant_of[machine]] += amount_minor
    assert lines_of(bills) == recount
    assert {
        (each.period.name, statement.tenant): statement.total_minor
        for each in bills
        for statement in each.statements
    } == per_tenant
    assert {month for month, _ in per_tenant} == set(months)


def lines_of(bills: Sequence[Bill]) -> dict[tuple[str, str, str], tuple[Fraction, int]]:
    """(month, machine, rate) -> nano-units x 1024, and cents."""
    return {
        (each.period.name, str(line.charge.machine), line.charge.rate.id): (
            line.charge.amount_nanos * 1024,
            line.amount_minor,
        )
        for each in bills
        for statement in each.statements
        for line in statement.lines
    }


def cents(nanos_x_1024: int) -> int:
    """Half a cent goes up."""
    return math.floor(Fraction(nanos_x_1024, 1024 * 10**7) + Fraction(1, 2))

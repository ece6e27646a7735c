"""The demo, told step by step: what is done, on which protocol, and what to look at."""

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from rich.console import Console

from catalog.orders import Order
from catalog.resources import Resources
from chargeback.statements import COLUMNS
from connectors.contract import PowerAction
from tierwise.app import App, wire
from tierwise.cli.charges import print_bill
from tierwise.cli.orders import print_why
from tierwise.cli.output import Format, emit, stdout
from tierwise.cli.quotes import print_quote
from tierwise.clock import SteppedClock
from tierwise.demo.arrivals import Action, Batch, LifeEvent, Wish, lives, stream
from tierwise.demo.chart import cost_by_tenant
from tierwise.demo.counterparts import Counterpart, started
from tierwise.documents import load
from tierwise.errors import InvalidInput, NotSupported, TierwiseError
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.store import orders as order_store
from tierwise.store.tables import OrderRow, OrderStatus
from tierwise.usecases import change
from tierwise.usecases.billing import Bill, bill
from tierwise.usecases.init import init, replace_endpoints
from tierwise.usecases.inventory import inventory
from tierwise.usecases.observe import observe
from tierwise.usecases.order import explained, new_order, quote, submit
from tierwise.usecases.owner import change_owner
from tierwise.usecases.place import estate

_NAMES = UUID("0f7d1a62-52a4-4b0e-8a53-3b1f2f5d9c11")
_ZONE = ZoneInfo("Europe/Berlin")
_START = datetime(2026, 10, 1, tzinfo=_ZONE)
_END = datetime(2026, 11, 1, tzinfo=_ZONE)
_MONTH, _NEXT_MONTH = "2026-10", "2026-11"

_TASTES = {
    "web-shop": (("web-small", 5), ("web-medium", 3), ("db-medium", 1)),
    "dev-platform": (("sandbox-small", 5), ("build-agent", 3), ("app-medium", 1), ("vdi-dev", 2)),
    "research": (("batch-worker", 5), ("vdi-dev", 1)),
    "payroll": (("db-small", 2), ("app-medium", 2), ("web-small", 1)),
    "finance-apps": (("db-medium", 1), ("app-medium", 2), ("web-small", 1)),
}
"""Who orders what, and how often: the demo's own invention."""

_REFUSED = (Wish("cards-01", "payroll", "db-medium", {"data": "restricted"}, tier="tier-3"),)


class Teller:
    """Numbers the steps and keeps the tone."""

    def __init__(self) -> None:
        self.console: Console = stdout()
        self._step = 0

    def step(self, title: str, *lines: str) -> None:
        """A new step of the story."""
        self._step += 1
        self.console.print(f"\n{self._step}. {title}", style="bold", markup=False)
        self.say(*lines)

    def say(self, *lines: str) -> None:
        """Plain lines below the step."""
        for line in lines:
            self.console.print(f"   {line}", markup=False)


def tell(output: Path, *, orders: int, seed: int, simulated: bool) -> None:
    """Run the whole story into the folder `output`, whose earlier demo is replaced."""
    _clear(output)
    settings = Settings(data_dir=output / "data", workers=4)
    init(settings, "acme")
    teller = Teller()
    catalog = load(settings.catalog_dir).catalog
    with started(catalog, simulated=simulated) as counterparts:
        replace_endpoints(settings, {name: c.endpoint for name, c in counterparts.items()})
        with _at_work(settings) as (app, clock):
            _introduce(teller, app, counterparts)
            _quote_one(teller, app)
            _live_through(teller, app, clock, orders, seed)
            _show_plan(teller, app)
            _show_inventory(teller, app)
            issued = _close_month(teller, app, clock)
            _late_fact(teller, app, clock, issued)
            _files(teller, app, issued, output)
    stopped = [name for name, c in counterparts.items() if c.endpoint.driver != "simulated"]
    _next_steps(teller, output, stopped)


def _clear(output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    marker, earlier = output / ".tierwise-demo", list(output.iterdir())
    if earlier and marker not in earlier:
        msg = f"the folder {output} holds something else than an earlier demo; name another with --output"
        raise InvalidInput(msg)
    for path in earlier:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != marker:
            path.unlink()
    marker.touch()


@contextmanager
def _at_work(settings: Settings) -> Iterator[tuple[App, SteppedClock]]:
    clock = SteppedClock(_START)
    app = wire(settings, clock)
    try:
        with running(app):
            yield app, clock
    finally:
        app.close()


def _introduce(teller: Teller, app: App, counterparts: Mapping[str, Counterpart]) -> None:
    catalog = app.documents.catalog
    teller.step(
        "Who is here",
        f"The acme catalog: {len(catalog.offerings)} offerings, {len(catalog.tiers)} tiers, "
        f"{len(catalog.tenants)} tenants, {len(app.documents.rules)} rules.",
    )
    for name, counterpart in counterparts.items():
        teller.say(f"{name:<12} {counterpart.what}", f"{'':<12} because {counterpart.why}")


def _quote_one(teller: Teller, app: App) -> None:
    teller.step(
        "Price and reason before ordering",
        "A requester asks what a database server for payroll costs. Every pool answers: price, or why not.",
        "$ tierwise quote db-medium --tenant payroll",
        "",
    )
    observe(app)
    order = _order(app, Wish("quote", "payroll", "db-medium"))
    on = estate(app)
    print_quote(app, quote(app, on, order), on.unusable, order)


def _live_through(teller: Teller, app: App, clock: SteppedClock, orders: int, seed: int) -> None:
    batches = stream(_START, orders - len(_REFUSED), _TASTES, seed)
    batches[1:1] = [Batch(batches[0].at + timedelta(hours=3), _REFUSED)]
    teller.step(
        "A month of orders and changes",
        f"{orders} orders arrive in {len(batches)} batches; each batch is placed by the solver as a whole,",
        "and each machine is made powered off, written down, and only then switched on.",
    )
    happenings: list[Batch | LifeEvent] = sorted(
        [*batches, *lives(batches, _END, seed)], key=lambda happening: happening.at
    )
    counts: Counter[str] = Counter()
    delivered: set[str] = set()
    told: set[str] = set()
    for happening in happenings:
        clock.set(happening.at)
        if isinstance(happening, Batch):
            delivered |= _fulfil(teller, app, happening)
        elif happening.machine_name in delivered:
            _happen(teller, app, happening, counts, told)
    changes = ", ".join(f"{count} x {action}" for action, count in sorted(counts.items()))
    teller.say(f"changes carried out over the same protocols: {changes}")


def _fulfil(teller: Teller, app: App, batch: Batch) -> set[str]:
    orders = [_order(app, wish) for wish in batch.wishes]
    rows = submit(app, uuid5(_NAMES, batch.at.isoformat()), orders)
    states = Counter(row.status for row in rows)
    tiers = Counter(row.tier for row in rows if row.status == OrderStatus.DELIVERED)
    where = ", ".join(f"{count} on {tier}" for tier, count in sorted(tiers.items(), key=str))
    noun = "order" if len(rows) == 1 else "orders"
    summary = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    teller.say(f"{batch.at:%d %b %H:%M}  {len(rows):>2} {noun}: {summary}{f' ({where})' if where else ''}")
    for row in rows:
        if row.status != OrderStatus.DELIVERED:
            print_why(row, teller.console, indent="      ")
    return {row.machine_name for row in rows if row.status == OrderStatus.DELIVERED}


def _happen(teller: Teller, app: App, event: LifeEvent, counts: Counter[str], told: set[str]) -> None:
    name, change_id = event.machine_name, uuid5(_NAMES, f"{event.at}{event.machine_name}{event.action}")
    try:
        match event.action:
            case Action.GROW:
                _grow(teller, app, name, change_id, told)
            case Action.POWER_OFF:
                change.power(app, change_id, name, PowerAction.OFF)
            case Action.POWER_ON:
                change.power(app, change_id, name, PowerAction.ON)
            case Action.DELETE:
                change.delete(app, change_id, name)
    except TierwiseError as error:
        teller.say(f"{event.at:%d %b %H:%M}  {event.action} refused: {error}")
    else:
        counts[event.action] += 1


def _grow(teller: Teller, app: App, name: str, change_id: UUID, told: set[str]) -> None:
    """Half as much memory again: while it runs, or switched off where the hypervisor insists."""
    with app.session() as session:
        machine = order_store.find_machine(session, name)
    wanted = Resources(memory_mib=machine.memory_mib * 3 // 2)
    try:
        change.resize(app, change_id, name, wanted)
    except NotSupported as error:
        reason = error.details[0] if error.details else str(error)
        if reason not in told:
            told.add(reason)
            teller.say(f"{app.clock.now():%d %b %H:%M}  {error}: {reason}; it is switched off for it")
        for part, action in (("off", PowerAction.OFF), ("on", PowerAction.ON)):
            change.power(app, uuid5(change_id, part), name, action)
            if action is PowerAction.OFF:
                change.resize(app, uuid5(change_id, "resize"), name, wanted)


def _order(app: App, wish: Wish) -> Order:
    return new_order(
        app,
        order_id=uuid5(_NAMES, wish.machine_name),
        offering=wish.offering,
        tenant=wish.tenant,
        machine_name=wish.machine_name,
        parameters=wish.parameters,
        tier=wish.tier,
        ordered_by="demo",
    )


def _show_plan(teller: Teller, app: App) -> None:
    teller.step(
        "The plan, and how good it is",
        "Each plan carries its cost, a proven bound and the gap between them; a checker that shares no",
        "code with the solver has accepted it. The batch that was hardest to place:",
    )
    with app.session() as session:
        rows = list(session.exec(order_store.all_orders()))
    sizes = Counter(row.batch_id for row in rows)
    plans = {row.batch_id: explained(app, row.id)["plan"] for row in rows}
    hardest = max(plans, key=lambda batch: (plans[batch]["solver"] != "greedy", sizes[batch]))
    plan = plans[hardest]
    teller.say(
        f"{plan['solver']}: {plan['status']}, cost {plan['cost_micros'] / 1e6:,.2f}, "
        f"bound {plan['bound_micros'] / 1e6:,.2f}, gap {plan['gap']:.4%}"
    )
    batch = [row for row in rows if row.batch_id == hardest]
    emit([_placed(row) for row in sorted(batch, key=lambda row: row.position)[:12]], Format.TABLE)


def _placed(row: OrderRow) -> dict[str, object]:
    price = None if row.price_minor is None else f"{row.price_minor / 100:,.2f}"
    return {
        "machine": row.machine_name,
        "tenant": row.tenant,
        "offering": row.offering,
        "status": row.status,
        "tier": row.tier,
        "pool": row.pool,
        "30-day price": price,
    }


def _show_inventory(teller: Teller, app: App) -> None:
    teller.step(
        "One inventory over all hypervisors",
        "Read back from the endpoints, not from our own books:",
        "$ tierwise vm list",
        "",
    )
    observe(app)
    found = inventory(app)
    ours = [machine for machine in found.machines if machine.tenant]
    entries = app.documents.catalog.pools
    hypervisor = {pool.name: pool.hypervisor.label for pool in estate(app).pools}
    groups: dict[str, list[Resources]] = defaultdict(list)
    for machine in ours:
        groups[machine.pool].append(machine.resources)
    emit(
        [
            {
                "pool": pool,
                "tier": entries[pool].tier,
                "hypervisor": hypervisor.get(pool, "?"),
                "machines": len(sizes),
                "vcpu": sum(size.vcpu for size in sizes),
                "memory_gib": sum(size.memory_mib for size in sizes) // 1024,
                "disk_gib": sum(size.disk_gib for size in sizes),
            }
            for pool, sizes in sorted(groups.items())
        ],
        Format.TABLE,
    )
    drifted = [machine for machine in ours if machine.drift]
    teller.say(f"{len(ours)} machines, {len(drifted)} of them other than tierwise expects")


def _close_month(teller: Teller, app: App, clock: SteppedClock) -> Bill:
    clock.set(_END + timedelta(hours=8))
    teller.step(
        "The month's statements",
        "Every hour of every machine, priced at its tier's rate. Sum of lines = statement, to the cent.",
        f"$ tierwise charge statement {_MONTH} --issue",
    )
    issued = bill(app, _MONTH, issue=True)
    print_bill(issued, None, lines=False)
    return issued


def _late_fact(teller: Teller, app: App, clock: SteppedClock, issued: Bill) -> None:
    clock.set(_END + timedelta(days=4))
    with app.session() as session:
        rows = list(session.exec(order_store.all_orders()))
    machine = next(row for row in rows if row.status == OrderStatus.DELIVERED and row.tenant == "web-shop")
    since = _START + timedelta(days=19)
    name = machine.machine_name
    teller.step(
        "A late fact",
        f"On 5 November finance learns that {name} belongs to finance-apps since 20 October.",
        f"$ tierwise vm owner {name} --tenant finance-apps --since 2026-10-19T22:00:00",
        "October was issued: its statements stay as they are. November carries the corrections.",
    )
    change_owner(app, uuid5(_NAMES, "late owner"), name, "finance-apps", since)
    again = bill(app, _MONTH)
    assert again.rows == issued.rows, "an issued statement never changes"
    november = bill(app, _NEXT_MONTH)
    corrections = [row for row in november.rows if row["charge_class"] == "Correction"]
    emit(
        corrections,
        Format.TABLE,
        columns=("tenant", "machine_name", "metric", "quantity", "unit", "rate", "amount"),
    )
    balance = sum(row["amount_minor"] for row in corrections)
    teller.say(
        f"what one tenant gets back the other pays; difference by rounding: {balance} cent"
        if balance
        else "what one tenant gets back the other pays; difference: 0"
    )


def _files(teller: Teller, app: App, issued: Bill, output: Path) -> None:
    statement, chart = output / "statement.csv", output / "statement.png"
    with statement.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*COLUMNS, "machine_name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(issued.rows)
    amounts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in issued.rows:
        amounts[row["tenant"]][row["tier"]] += row["amount_minor"]
    card = app.documents.rate_card
    cost_by_tenant(amounts, card.minor_digits, f"October 2026, {card.currency} by tenant and tier", chart)
    teller.step(
        "Files", f"{statement}  every line, to be recomputed by hand", f"{chart}  the same as a picture"
    )


def _next_steps(teller: Teller, output: Path, stopped: Sequence[str]) -> None:
    teller.step(
        "Try next",
        f"export TIERWISE_DATA_DIR={output / 'data'}",
        f".venv/bin/tierwise charge statement {_MONTH} --tenant payroll --lines",
        ".venv/bin/tierwise order show cards-01",
        ".venv/bin/tierwise whatif --change price:tier-1=+50% --change pool:fra-kvm-b=lost --no-refresh",
        "",
        f"The counterparts of {', '.join(stopped)} have stopped with the demo; `pool list` and `vm list` will say so."
        if stopped
        else "The simulations are files beside these, so `pool list` and `vm list` go on answering.",
    )

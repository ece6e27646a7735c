"""A whole application on embedded hypervisors, and doors to both that do not go through it.

`estate` makes a data directory of the acme example; `estate().running()` starts the durable engine.
What is asserted is read back by `Estate.machines` (a connector of its own) and `Estate.rows` (sqlite3).
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
import yaml
from sqlalchemy.orm import close_all_sessions

from catalog.orders import Order
from catalog.pools import Endpoint
from connectors.contract import VmView
from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import Call, Fault
from connectors.registry import connect
from policies.decisions import Rejection
from tierwise.app import App, wire
from tierwise.clock import SteppedClock
from tierwise.documents import Documents, load
from tierwise.endpoints import at_home
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.store.orders import rejections_of
from tierwise.store.tables import OrderRow
from tierwise.testing.estate import quick_settings, simulated_acme
from tierwise.usecases import disks
from tierwise.usecases.inventory import Drift, inventory
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, submit

START = datetime(2026, 9, 30, 22, tzinfo=UTC)
"""1 October 2026, 00:00 in Berlin, where acme's months begin."""


@dataclass(frozen=True, eq=False)
class Estate:
    """One application under test. `app` is what is tested; the rest looks behind its back."""

    settings: Settings
    clock: SteppedClock
    app: App

    def order(self, name: str, offering: str = "web-small", **wishes: Any) -> Order:
        """An order whose id follows from the machine's name; `wishes` are tenant, tier and parameters."""
        tenant = wishes.pop("tenant", "web-shop")
        tier = wishes.pop("tier", None)
        order_id = wishes.pop("order_id", uuid5(NAMESPACE_URL, name))
        return new_order(
            self.app,
            order_id=order_id,
            offering=offering,
            tenant=tenant,
            machine_name=name,
            parameters=wishes,
            tier=tier,
            ordered_by="a test",
        )

    def submit(self, *orders: Order, batch: str = "") -> list[OrderRow]:
        """Order and wait; the batch's id follows from `batch`, or from the first order."""
        return submit(self.app, uuid5(NAMESPACE_URL, batch or str(orders[0].id)), orders)

    def deliver(self, name: str, offering: str = "web-small", **wishes: Any) -> OrderRow:
        """One machine that runs."""
        (row,) = self.submit(self.order(name, offering, **wishes))
        assert row.status == "delivered", row.why
        return row

    @contextmanager
    def running(self) -> Iterator["Estate"]:
        """With the durable engine."""
        with running(self.app):
            yield self

    def endpoint(self, name: str) -> Endpoint:
        """An endpoint with the address of its estate's file."""
        return at_home(self.app.documents.catalog.endpoints, self.settings.data_dir)[name]

    def address(self, endpoint: str) -> str:
        """The file of a simulated estate."""
        return self.endpoint(endpoint).address

    def fault(self, endpoint: str, operation: Any, kind: Any, **more: Any) -> None:
        """Let a coming call go wrong."""
        control.script_faults(self.address(endpoint), [Fault(operation=operation, kind=kind, **more)])

    def calls(self, endpoint: str, operation: str) -> list[Call]:
        """The calls of one kind that reached the endpoint."""
        return [call for call in control.calls(self.address(endpoint)) if call.operation == operation]

    def machines(self) -> dict[str, list[tuple[str, VmView]]]:
        """Machine name -> (endpoint, machine) at the hypervisors themselves, by connectors of our own."""
        found: dict[str, list[tuple[str, VmView]]] = {}
        for name in self.app.documents.catalog.endpoints:
            with connect(self.endpoint(name)) as connector:
                for vm in connector.list_vms():
                    found.setdefault(vm.name, []).append((name, vm))
        return found

    def machine(self, name: str) -> VmView:
        """The only machine of that name anywhere."""
        ((_, vm),) = self.machines()[name]
        return vm

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database says to somebody who does not use our code."""
        with closing(sqlite3.connect(self.settings.database)) as connection:
            return connection.execute(query, values).fetchall()

    def held(self) -> dict[str, tuple[int, int, int]]:
        """Pool -> vcpu, memory_mib, disk_gib that orders hold."""
        query = "SELECT pool, sum(vcpu), sum(memory_mib), sum(disk_gib) FROM allocation GROUP BY pool"
        return {pool: tuple(amounts) for pool, *amounts in self.rows(query)}

    def drift(self) -> Drift:
        """How far the only machine is from its books, after a new look at the hypervisors."""
        observe(self.app)
        (machine,) = inventory(self.app).machines
        return machine.drift

    def disks_gib(self, name: str) -> dict[str, int]:
        """Name -> size of each disk of a machine, in GiB."""
        return {disk.name: disk.size_bytes >> 30 for disk in disks.listed(self.app, name)}

    def kinds(self, name: str) -> list[str]:
        """The kinds of a machine's events in the order they were written."""
        query = "SELECT kind FROM machine_event WHERE machine = ? ORDER BY sequence"
        return [kind for (kind,) in self.rows(query, str(uuid5(NAMESPACE_URL, name)))]

    def why(self, row: OrderRow) -> tuple[Rejection, ...]:
        """Why an order has no machine."""
        return rejections_of(row)

    def batch_id(self, text: str) -> UUID:
        """The id that `submit` makes of it."""
        return uuid5(NAMESPACE_URL, text)


MakeEstate = Callable[..., Estate]


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Documents]]:
    """Data directories that have run before, one per set of simulation options; tests get copies."""
    made: dict[tuple[tuple[str, Any], ...], tuple[Path, Documents]] = {}

    def original(**options: Any) -> tuple[Path, Documents]:
        key = tuple(sorted(options.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("original")
            settings = simulated_acme(folder, **options)
            if options:
                _reserve_nothing(settings)
            documents = load(settings.catalog_dir)
            app = wire(settings, SteppedClock(START), documents)
            with running(app):
                pass
            app.close()
            made[key] = folder, documents
        return made[key]

    return original


def _reserve_nothing(settings: Settings) -> None:
    """What acme keeps back of its pools would leave nothing of the small ones that tests make."""
    file = settings.catalog_dir / "pools.yaml"
    document = yaml.safe_load(file.read_text())
    for pool in document["pools"].values():
        pool.pop("reserved", None)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture
def estate(
    originals: Callable[..., tuple[Path, Documents]], tmp_path: Path
) -> Iterator[Callable[..., Estate]]:
    """Makes an estate in `folder`; `options` are those of its simulated endpoints."""
    made: list[Estate] = []

    def make(folder: Path = tmp_path, *, start: datetime = START, **options: Any) -> Estate:
        original, documents = originals(**options)
        shutil.copytree(original / "data", folder / "data")
        settings, clock = quick_settings(folder), SteppedClock(start)
        found = Estate(settings, clock, wire(settings, clock, documents))
        made.append(found)
        return found

    yield make
    for each in made:
        each.app.close()
    close_all_sessions()


@pytest.fixture
def acme(estate: Callable[..., Estate]) -> Iterator[Estate]:
    """Acme with its durable engine running."""
    with estate().running() as found:
        yield found

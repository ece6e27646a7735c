"""Four endpoints of 10,000 machines each, of four hypervisors, listed together in one process, as `tierwise vm list` does it.

`drivers_s` is all drivers' inventories side by side, over connections that are open. `list_first_s` and `list_again_s`
are what `vm list` does without its table: ask all endpoints side by side, keep what they say in the database, and join
it with the orders; `first` is into an empty database. The connections are open already. Memory is the peak of this process
until then, without the simulators' processes; libvirt's test driver, whose 10,000 domains stand in this process, is in
it (`peak_before_mib`). `alone_*` is each driver's inventory after the other's.
"""

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import connector_estates as estates
from connector_estates import Clock, Figures, Side

from catalog.catalog import Catalog
from connectors.contract import Connector
from tierwise.app import App, wire
from tierwise.documents import Documents
from tierwise.settings import Settings
from tierwise.usecases.inventory import inventory
from tierwise.usecases.observe import observe

MACHINES = 10_000


def main(machines: int = MACHINES) -> Figures:
    """Measure, and give seconds and MiB."""
    figures: Figures = {"machines_an_endpoint": machines}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(side(machines)) for name, side in estates.SIDES.items()}
        app = stack.enter_context(application(sides))
        with ExitStack() as leases:
            opened = {name: leases.enter_context(app.endpoints.lease(name)) for name in app.endpoints.names}
            figures["peak_before_mib"] = peak_mib()
            for name, connector in opened.items():
                clock = Clock(sides[name].process)
                assert len(clock.run(connector.inventory)[1]) == machines
                figures |= clock.figures(f"alone_{name}")
            figures["peak_alone_mib"] = peak_mib()
            figures |= timed("drivers", sides, lambda: side_by_side(opened))
            figures["peak_drivers_mib"] = peak_mib()
        figures |= listed(app, sides, machines * len(sides))
    return figures


def listed(app: App, sides: dict[str, Side], machines: int) -> Figures:
    """Twice, because only the second time has something to compare with."""
    figures: Figures = {}

    def list_all() -> None:
        found = inventory(app, observe(app))
        assert (len(found.machines), found.stale) == (machines, {}), found.stale

    for when in ("first", "again"):
        figures |= timed(f"list_{when}", sides, list_all)
        figures[f"peak_list_{when}_mib"] = peak_mib()
    return figures


def timed(name: str, sides: dict[str, Side], work: Callable[[], object]) -> Figures:
    """Seconds on the wall, of this process, and of all that answer."""
    processes = [side.process for side in sides.values() if side.process]
    others = sum(map(estates.processor_s, processes))
    own, wall = time.process_time(), time.perf_counter()
    work()
    return {
        f"{name}_s": time.perf_counter() - wall,
        f"{name}_processor_s": time.process_time() - own,
        f"{name}_counterparts_processor_s": sum(map(estates.processor_s, processes)) - others,
    }


def side_by_side(opened: dict[str, Connector]) -> None:
    with ThreadPoolExecutor(len(opened)) as threads:
        found = list(threads.map(lambda connector: connector.inventory(), opened.values()))
    assert len({len(machines) for _, machines in found}) == 1


@contextmanager
def application(sides: dict[str, Side]) -> Iterator[App]:
    """One without pools, on a database of its own; passwords come from the environment."""
    endpoints = {}
    for name, side in sides.items():
        secret = None
        if side.password is not None:
            os.environ[f"BENCH_{name.upper()}"] = side.password.get_secret_value()
            secret = f"env:BENCH_{name.upper()}"
        endpoints[name] = side.endpoint.model_copy(update={"name": name, "secret": secret})
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        settings.catalog_dir.mkdir()
        documents = Documents(Catalog(endpoints=endpoints), (), ())
        app = wire(settings, documents=documents)
        try:
            yield app
        finally:
            app.close()


def peak_mib() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(main(estates.size(MACHINES, "machines an endpoint")), indent=2))

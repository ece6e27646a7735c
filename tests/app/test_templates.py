"""docs/how-to/offer-operating-systems.md followed: its endpoint and its rule, an order, and what is on the machine's disk."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from connectors.contract import DiskFormat, Firmware, PowerAction
from connectors.registry import connect
from tierwise.app import App, wire
from tierwise.clock import SystemClock
from tierwise.documents import load
from tierwise.endpoints import at_home
from tierwise.jobs.runtime import running
from tierwise.testing.estate import simulated_acme
from tierwise.usecases.init import replace_endpoints
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, quote, submit
from tierwise.usecases.place import estate

GUIDE = Path(__file__).parents[2] / "docs/how-to/offer-operating-systems.md"
ENDPOINT, RULE = (
    yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Acme with the guide's templates at a simulated vCenter, and its rule."""
    settings = simulated_acme(tmp_path)
    endpoints = dict(load(settings.catalog_dir).catalog.endpoints)
    ((name, guided),) = ENDPOINT["endpoints"].items()
    named = {key: path.rpartition("/")[2] for key, path in guided["options"]["templates"].items()}
    options = {**endpoints[name].options, "templates": named}
    endpoints[name] = endpoints[name].model_copy(update={"options": options})
    replace_endpoints(settings, endpoints)
    (settings.catalog_dir / "systems.yaml").write_text(yaml.safe_dump(RULE), "utf-8")
    made = wire(settings, SystemClock())
    with running(made):
        yield made
    made.close()


def order(app: App, number: int, **parameters: Any) -> Any:
    return new_order(
        app, order_id=UUID(int=number), offering="web-small", tenant="web-shop", machine_name=f"web-{number}",
        parameters=parameters, tier=None, ordered_by="a test",
    )  # fmt: skip


def first_block(app: App, identity: UUID, into: Path) -> tuple[Firmware, bytes]:
    """What a machine starts by, and the beginning of its disk, by a connector of our own."""
    endpoint = at_home(app.documents.catalog.endpoints, app.settings.data_dir)["fra-vcenter"]
    with connect(endpoint) as connector, into.open("w+b") as image:
        connector.power(identity, PowerAction.OFF)
        details = connector.details(identity)
        connector.export_disk(identity, details.disks[0].key, DiskFormat.RAW, image, lambda _done: None)
        image.seek(0)
        return details.firmware, image.read(64)


def test_who_orders_debian_gets_a_machine_with_it_and_only_where_it_is(app: App, tmp_path: Path) -> None:
    wanted = order(app, 1, guest_os="debian-12")
    observe(app)
    told = {
        one.pool: {rejection.rule_id for rejection in one.rejections}
        for one in quote(app, estate(app), wanted).assignment.candidates
    }
    pools = app.documents.catalog.pools
    for name, pool in pools.items():
        assert ("debian-12-is-installed" in told[name]) is (pool.endpoint != "fra-vcenter"), name
    (row,) = submit(app, UUID(int=100), [wanted])
    assert row.status == "delivered", row.why
    firmware, content = first_block(app, UUID(int=1), tmp_path / "seen.raw")
    assert firmware is Firmware.BIOS
    assert content.startswith(b"made of the simulated template debian-12\n")


def test_an_order_of_another_system_is_made_without_it(app: App) -> None:
    (row,) = submit(app, UUID(int=100), [order(app, 2, guest_os="rhel-9")])
    assert row.status == "delivered", row.why

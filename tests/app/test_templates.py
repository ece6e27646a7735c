"""docs/how-to/offer-operating-systems.md followed: its endpoint and its rule, an order, and what is on the machine's disk."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from catalog.resources import Resources
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
from tierwise.usecases.order import new_order, quote, resolved, submit
from tierwise.usecases.place import estate, forbidden

GUIDE = Path(__file__).parents[2] / "docs/how-to/offer-operating-systems.md"
ENDPOINT, RULE = (
    yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
)


@pytest.fixture
def elsewhere() -> Mapping[str, Mapping[str, str]]:
    """Templates of other endpoints, by their names."""
    return {}


@pytest.fixture
def app(tmp_path: Path, elsewhere: Mapping[str, Mapping[str, str]]) -> Iterator[App]:
    """Acme with the guide's templates at a simulated vCenter, and its rule."""
    settings = simulated_acme(tmp_path)
    endpoints = dict(load(settings.catalog_dir).catalog.endpoints)
    ((name, guided),) = ENDPOINT["endpoints"].items()
    named = {key: path.rpartition("/")[2] for key, path in guided["options"]["templates"].items()}
    for endpoint, chosen in {name: named, **elsewhere}.items():
        options = {**endpoints[endpoint].options, "templates": chosen}
        endpoints[endpoint] = endpoints[endpoint].model_copy(update={"options": options})
    replace_endpoints(settings, endpoints)
    (settings.catalog_dir / "systems.yaml").write_text(yaml.safe_dump(RULE), "utf-8")
    made = wire(settings, SystemClock())
    with running(made):
        yield made
    made.close()


def order(
    app: App, number: int, offering: str = "web-small", tier: str | None = None, **parameters: Any
) -> Any:
    return new_order(
        app, order_id=UUID(int=number), offering=offering, tenant="web-shop", machine_name=f"web-{number}",
        parameters=parameters, tier=tier, ordered_by="a test",
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


LARGE = {"DEBIAN_12": "windows-2022"}
"""A template of 20 GiB."""


@pytest.mark.parametrize("elsewhere", [{"fra-kvm": LARGE, "fra-hyperv": {"DEBIAN_12": "debian-12"}}])
def test_a_machine_goes_where_the_template_fits_into_its_disk(app: App) -> None:
    observe(app)
    (row,) = submit(app, UUID(int=100), [order(app, 1, "sandbox-small", guest_os="debian-12")])
    assert (row.status, row.pool) == ("delivered", "fra-test-1"), row.why
    (row,) = submit(app, UUID(int=101), [order(app, 2, "sandbox-small", guest_os="rhel-9")])
    assert row.pool == "fra-kvm-b", "without the template this one would have come first"


@pytest.mark.parametrize("elsewhere", [{"fra-kvm": LARGE}])
def test_an_order_of_less_disk_than_its_template_has_is_refused_in_the_quote_with_what_would_do(
    app: App,
) -> None:
    observe(app)
    small = order(app, 1, "sandbox-small", guest_os="debian-12")
    assignment = quote(app, estate(app), small).assignment
    assert assignment.pool is None
    (reason,) = (
        reason
        for candidate in assignment.candidates
        for reason in candidate.rejections
        if candidate.pool == "fra-kvm-b"
    )
    assert (reason.rule_id, reason.dimension, reason.need) == ("pool template", "disk_gib", "10")
    assert str(reason) == (
        "CUSTOM_TEMPLATE_DEBIAN_12 of fra-kvm-b (20 GiB) needs a disk of at least 20 GiB; the order has 10 GiB; "
        "order at least 20 GiB of disk, or choose another template or pool"
    )
    enough = order(app, 2, tier="tier-2", guest_os="debian-12", disk_gib=20)
    refused, delivered = submit(app, UUID(int=100), [small, enough])
    assert refused.status == "refused"
    assert "order at least 20 GiB of disk" in refused.why
    assert (delivered.status, delivered.pool) == ("delivered", "fra-kvm-b"), delivered.why


@pytest.mark.parametrize("elsewhere", [{"fra-kvm": {"DEBIAN_12": "debian-12"}}])
def test_a_machine_that_exists_is_not_measured_by_a_template_that_grew(app: App) -> None:
    observe(app)
    (row,) = submit(app, UUID(int=100), [order(app, 1, "sandbox-small", guest_os="debian-12")])
    assert row.status == "delivered", row.why
    kvm = app.documents.catalog.endpoints["fra-kvm"]
    grown = kvm.model_copy(update={"options": {**kvm.options, "templates": LARGE}})
    replace_endpoints(app.settings, {**app.documents.catalog.endpoints, kvm.name: grown})
    again = wire(app.settings, SystemClock())
    observe(again)
    on = estate(again)
    machine = resolved(again, order(again, 1, "sandbox-small", guest_os="debian-12"))
    larger = machine.resources + Resources(disk_gib=1)
    assert forbidden(again.documents, on, "fra-kvm-b", machine, larger) == []
    again.close()


def test_an_order_of_another_system_is_made_without_it(app: App) -> None:
    (row,) = submit(app, UUID(int=100), [order(app, 2, guest_os="rhel-9")])
    assert row.status == "delivered", row.why

"""A machine with content goes from hypervisor to hypervisor by the real protocols, and is the same at each.

What stands on its disk is written and read by connectors of the test's own, and compared by qemu-img.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
import yaml

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import disks
from connectors.contract import Connector, DiskFormat, Firmware, PowerAction, PowerState, VmSpec
from connectors.disks import Image
from connectors.registry import connect
from connectors.simulators import hyperv, vsphere, xen
from tierwise import secrets
from tierwise.app import App, wire
from tierwise.clock import SystemClock
from tierwise.estates import read as read_estate
from tierwise.estates import write
from tierwise.estates.inventory import live as live_estate
from tierwise.jobs.runtime import running
from tierwise.testing.estate import simulated_acme
from tierwise.usecases import move
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, submit

pytestmark = [
    pytest.mark.counterpart("vcsim"),
    pytest.mark.counterpart("hyperv-sim"),
    pytest.mark.counterpart("xen-sim"),
    pytest.mark.counterpart("libvirt-qemu"),  # for qemu-img
]

POOLS = {"xen": "hosted-nl", "hyperv": "fra-test-1", "vsphere": "fra-prod-1"}
OPTIONS: dict[str, dict[str, str]] = {
    "fra-vcenter": {"network": "VM Network"},
    "fra-hyperv": {"secure_boot": "linux", "switch": "External"},
    "hosted-xen": {},
}
IDENTITY = uuid5(NAMESPACE_URL, "traveller")
GIB, MIB = 2**30, 2**20
DISK_GIB = 2
"""Small: comparing a VHDX reads all of it, at some 0.4 GiB/s of a processor."""


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest) -> Iterator[dict[str, Endpoint]]:
    """The three simulators behind acme's endpoints, each in a process of its own."""
    estate = vsphere.Estate(clusters=2, hosts=2, host_threads=32, host_memory_mib=256 * 1024)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        binary = vsphere.build(request.config.rootpath / ".build" / "vcsim")
        simulators: dict[str, Any] = {
            "fra-vcenter": vsphere.VsphereSimulator(binary, estate, task_delay_s=0.02),
            "fra-hyperv": hyperv.HypervSimulator(hyperv.Estate(host="fra-test-1")),
            "hosted-xen": xen.XenSimulator(xen.Estate(pool="hosted-nl", host_memory_mib=512 * 1024)),
        }
        found = {}
        for name, simulator in simulators.items():
            stack.enter_context(simulator)
            variable = f"TIERWISE_TEST_{name.upper().replace('-', '_')}"
            patch.setenv(variable, simulator.password.get_secret_value())
            endpoint = simulator.endpoint(name, options=OPTIONS[name])
            found[name] = endpoint.model_copy(update={"secret": f"env:{variable}"})
        yield found


@pytest.fixture
def app(live: dict[str, Endpoint], tmp_path: Path) -> Iterator[App]:
    """Acme on the three, with its durable engine running."""
    settings = simulated_acme(tmp_path, live)
    catalog = settings.catalog_dir / "catalog.yaml"
    document = yaml.safe_load(catalog.read_text())
    document["offerings"]["web-small"]["parameters"]["disk_gib"] |= {"minimum": 1, "multiple_of": 1}
    catalog.write_text(yaml.safe_dump(document, sort_keys=False))
    app = wire(settings, SystemClock())
    with running(app):
        yield app
        for name in live:
            with opened(app, name) as connector:
                connector.delete_vm(IDENTITY)
    app.close()


@contextmanager
def opened(app: App, endpoint: str) -> Iterator[Connector]:
    """A connector that is not the application's."""
    found = app.endpoints.get(endpoint)
    with connect(found, secrets.resolve(found.secret, wanted_by="a test")) as connector:
        yield connector


def endpoint_of(app: App, pool: str) -> str:
    return app.documents.catalog.pools[pool].endpoint


def written(app: App, pool: str, folder: Path) -> Image:
    """Put random content on the machine's disk, as an installer would; gives what was put there."""
    raw = Image(folder / "content.raw", DiskFormat.RAW)
    chance = random.Random(11)
    with raw.path.open("wb") as file:
        file.truncate(DISK_GIB * GIB)
        for place in (0, GIB + 5, DISK_GIB * GIB - MIB):
            file.seek(place)
            file.write(chance.randbytes(MIB))
    with opened(app, endpoint_of(app, pool)) as connector:
        taken = connector.declared()
        form = next(form for form in move.PREFERRED if taken.has(form.importing))
        image = Image(folder / f"content.{form}", form)
        disks.convert(raw, image, lambda _done: None)
        connector.power(IDENTITY, PowerAction.OFF)
        (disk,) = connector.details(IDENTITY).disks
        with image.path.open("rb") as file:
            connector.import_disk(IDENTITY, disk.key, form, file, lambda _done: None)
        connector.power(IDENTITY, PowerAction.ON)
    return raw


def read(app: App, pool: str, folder: Path) -> Image:
    """The machine's disk in the format in which the hypervisor gives it; the machine is off meanwhile."""
    with opened(app, endpoint_of(app, pool)) as connector:
        connector.power(IDENTITY, PowerAction.OFF)
        given = connector.declared()
        form = next(form for form in move.PREFERRED if given.has(form.exporting))
        (disk,) = connector.details(IDENTITY).disks
        image = Image(folder / f"back.{form}", form)
        with image.path.open("w+b") as file:
            connector.export_disk(IDENTITY, disk.key, form, file, lambda _done: None)
        connector.power(IDENTITY, PowerAction.ON)
    return image


def deliver(app: App, pool: str) -> None:
    """A machine on the pool's tier; the tenant and the offering are those that acme's rules let go there."""
    tier = app.documents.catalog.pools[pool].tier
    order = new_order(
        app, order_id=IDENTITY, offering="web-small", tenant="web-shop", machine_name="traveller",
        parameters={"disk_gib": DISK_GIB}, tier=tier, ordered_by="a test",
    )  # fmt: skip
    (row,) = submit(app, uuid5(IDENTITY, "batch"), [order])
    assert (row.status, row.pool) == ("delivered", pool), row.why


Go = Callable[[str], None]


@pytest.fixture
def go(app: App) -> Go:
    """Moves the machine to a pool, and confirms."""
    numbers = iter(range(1, 100))

    def one(pool: str) -> None:
        checked = move.preflight(app, "traveller", pool)
        assert checked.blocked == ()
        result = move.start(UUID(int=next(numbers)), checked).get_result(polling_interval_sec=0.05)
        move.finish(result, checked.machine)
        move.confirm(app, UUID(int=next(numbers)), "traveller")

    return one


def test_a_machine_goes_round_all_hypervisors_with_its_content(app: App, go: Go, tmp_path: Path) -> None:
    deliver(app, POOLS["xen"])
    raw = written(app, POOLS["xen"], tmp_path)
    for there in ("hyperv", "vsphere", "xen", "vsphere", "hyperv", "xen"):
        go(POOLS[there])
        for name, pool in POOLS.items():
            with opened(app, endpoint_of(app, pool)) as connector:
                found = [vm.power for vm in connector.list_vms() if vm.identity == IDENTITY]
                assert found == ([PowerState.ON] if name == there else []), (there, name)
        disks.must_be_equal(raw, read(app, POOLS[there], tmp_path))


def test_the_six_ways_are_all_gone() -> None:
    legs = ["xen", "hyperv", "vsphere", "xen", "vsphere", "hyperv", "xen"]
    assert set(pairwise(legs)) == set(permutations(POOLS, 2))


def test_what_secure_boot_a_machine_gets_at_hyper_v_is_said_before_and_is_what_it_then_has(
    app: App, go: Go
) -> None:
    def said(pool: str, subject: str) -> str:
        lines = move.preflight(app, "traveller", POOLS[pool]).lines
        return "; ".join(line.text for line in lines if line.subject == subject)

    keys = "MicrosoftUEFICertificateAuthority"
    deliver(app, POOLS["xen"])
    assert said("hyperv", "secure boot") == "", "it starts by BIOS"
    with opened(app, "hosted-xen") as connector:
        connector.delete_vm(IDENTITY)
        provider = app.documents.catalog.pools[POOLS["xen"]].provider
        size = Resources(vcpu=2, memory_mib=4096, disk_gib=DISK_GIB)
        spec = VmSpec(name="traveller", provider=provider, resources=size, firmware=Firmware.UEFI)
        connector.create_vm(spec, IDENTITY)
    assert keys in said("hyperv", "secure boot")
    go(POOLS["hyperv"])
    with opened(app, "fra-hyperv") as connector:
        assert connector.details(IDENTITY).secure_boot_keys == keys
    assert said("vsphere", "secure boot") == ""
    assert keys in said("vsphere", "firmware")


def test_what_network_card_a_machine_gets_is_said_before_and_is_what_it_then_has(app: App, go: Go) -> None:
    def said(pool: str) -> str:
        (line,) = (
            one
            for one in move.preflight(app, "traveller", POOLS[pool]).lines
            if one.subject == "network card"
        )
        return line.text

    def has(endpoint: str) -> list[str]:
        with opened(app, endpoint) as connector:
            return [card.network for card in connector.details(IDENTITY).cards]

    deliver(app, POOLS["xen"])
    assert has("hosted-xen") == []
    assert said("hyperv") == "it has none, and gets one on the network 'External'"
    go(POOLS["hyperv"])
    assert has("fra-hyperv") == ["External"]
    assert "on 'External'; it gets another model and MAC, and the network 'VM Network'" in said("vsphere")
    go(POOLS["vsphere"])
    assert has("fra-vcenter") == ["VM Network"]
    assert "machines of the new pool get no network card" in said("xen")
    go(POOLS["xen"])
    assert has("hosted-xen") == []


def test_machines_of_all_three_are_in_the_estate_and_survive_its_export(app: App, tmp_path: Path) -> None:
    """They are made beside tierwise, and are 1 to 3 of everything."""
    for n, pool in enumerate(POOLS.values(), 1):
        provider = app.documents.catalog.pools[pool].provider
        size = Resources(vcpu=n, memory_mib=n * 1024, disk_gib=n)
        with opened(app, endpoint_of(app, pool)) as connector:
            connector.create_vm(VmSpec(name=f"on-{pool}", provider=provider, resources=size), IDENTITY)
            connector.power(IDENTITY, PowerAction.ON)
    found = live_estate(app, observe(app))
    write(found, tmp_path / "live.xlsx")
    again = read_estate(tmp_path / "live.xlsx")
    assert again.totals == found.totals
    assert {
        (one.pool, one.power, one.vcpus, one.memory_mib, one.provisioned_mib) for one in again.machines
    } == {(pool, "on", n, n * 1024, n * 1024) for n, pool in enumerate(POOLS.values(), 1)}

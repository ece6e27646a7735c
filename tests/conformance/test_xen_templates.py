"""The Xen driver keeps the contract where machines get the content of a template's disk."""

from collections.abc import Callable, Iterator
from tempfile import TemporaryFile
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import registry
from connectors.contract import DiskFormat, VmSpec
from connectors.simulators.xen import USER, Estate, Rule, XenSimulator
from tierwise.testing.conformance import ConnectorConformance
from tierwise.testing.promises.templates import GONE

XenAPI = pytest.importorskip("XenAPI")

pytestmark = pytest.mark.counterpart("xen-sim")

TEMPLATE = "golden"
CHOSEN = {"DEBIAN_12": "Debian Bookworm 12", "ALPINE_3": "Alpine <ü> 3"}
"""Templates that orders choose."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[XenSimulator]:
    with XenSimulator(Estate(ha=True), task_delay_s=0.02) as running:
        for name in (TEMPLATE, *CHOSEN.values()):
            make_template(running, name)
        yield running


def words(name: str) -> bytes:
    """What stands on a template's disk."""
    return f"installed from {name}".encode()


def make_template(simulator: XenSimulator, name: str) -> None:
    """A machine with a disk of 1 GiB, which becomes a template by the vendor's own binding."""
    size = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    with registry.connect(simulator.endpoint(), simulator.password) as connector, TemporaryFile() as image:
        spec = VmSpec(name=name, provider="xen-pool", resources=size)
        view = connector.create_vm(spec, identity := uuid4())
        (disk,) = connector.details(identity).disks
        image.write(words(name))
        image.truncate(disk.size_bytes)
        image.seek(0)
        connector.import_disk(identity, disk.key, DiskFormat.RAW, image, lambda _done: None)
    raw = XenAPI.Session(f"http://{simulator.address}")
    raw.xenapi.login_with_password(USER, simulator.password.get_secret_value(), "1.0", "raw")
    try:
        raw.xenapi.VM.set_is_a_template(raw.xenapi.VM.get_by_uuid(view.native_id), True)
    finally:
        raw.xenapi.session.logout()
        raw("close")()


class TestXenOfATemplate(ConnectorConformance):
    @pytest.fixture
    def endpoint(self, simulator: XenSimulator) -> Iterator[Endpoint]:
        named = {**CHOSEN, GONE: "Debian Forky 14"}
        yield simulator.endpoint(timeout_s=20, options={"template": TEMPLATE, "templates": named})
        simulator.rules()

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {name: words(own) for name, own in CHOSEN.items()}

    @pytest.fixture
    def password(self, simulator: XenSimulator) -> SecretStr:
        return simulator.password

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint:
        scheme = endpoint.address.partition("://")[0]
        return endpoint.model_copy(update={"address": f"{scheme}://{host}:{port}"})

    @pytest.fixture
    def lose_next_create_reply(self, simulator: XenSimulator) -> Callable[[], None]:
        lost = Rule(method="VM.create", action="reset", after=True, times=1)
        return lambda: simulator.rules(lost)

    @pytest.fixture
    def restart_endpoint(self, simulator: XenSimulator) -> Callable[[], None]:
        return simulator.restart

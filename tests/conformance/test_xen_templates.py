"""The Xen driver keeps the contract where machines get the content of a template's disk."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import registry
from connectors.contract import VmSpec
from connectors.simulators.xen import USER, Estate, Rule, XenSimulator
from tierwise.testing.conformance import ConnectorConformance

XenAPI = pytest.importorskip("XenAPI")

pytestmark = pytest.mark.counterpart("xen-sim")

TEMPLATE = "golden"


@pytest.fixture(scope="module")
def simulator() -> Iterator[XenSimulator]:
    with XenSimulator(Estate(ha=True), task_delay_s=0.02) as running:
        make_template(running)
        yield running


def make_template(simulator: XenSimulator) -> None:
    """A machine with a disk of 1 GiB, which becomes a template by the vendor's own binding."""
    size = Resources(vcpu=1, memory_mib=64, disk_gib=1)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        view = connector.create_vm(VmSpec(name=TEMPLATE, provider="xen-pool", resources=size), uuid4())
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
        yield simulator.endpoint(timeout_s=20, options={"template": TEMPLATE})
        simulator.rules()

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

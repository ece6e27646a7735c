"""A XenAPI simulator of its own for each test, and the vendor's binding as a second client."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, VmSpec
from connectors.simulators.xen import USER, Estate, XenSimulator

Start = Callable[..., XenSimulator]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts simulators, which end with the test."""
    with ExitStack() as running:

        def one(estate: Estate | None = None, **settings: Any) -> XenSimulator:
            return running.enter_context(XenSimulator(estate, **settings))

        yield one


@pytest.fixture
def simulator(start: Start) -> XenSimulator:
    return start()


@pytest.fixture
def connector(simulator: XenSimulator) -> Iterator[Connector]:
    """The driver at the test's own simulator."""
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as opened:
        yield opened


@contextmanager
def vendor_session(simulator: XenSimulator) -> Iterator[Any]:
    vendor = pytest.importorskip("XenAPI")
    session = vendor.Session(f"{simulator.scheme}://{simulator.address}")
    session.xenapi.login_with_password(USER, simulator.password.get_secret_value(), "1.0", "second")
    try:
        yield session.xenapi
    finally:
        session.xenapi.session.logout()
        session("close")()


@pytest.fixture
def raw(simulator: XenSimulator) -> Iterator[Any]:
    """The second client, logged in at the test's own simulator."""
    with vendor_session(simulator) as api:
        yield api


@pytest.fixture
def look() -> Callable[[XenSimulator], Any]:
    """Opens the second client at any simulator: ``with look(simulator) as raw``."""
    return vendor_session


@pytest.fixture
def spec() -> VmSpec:
    resources = Resources(vcpu=2, memory_mib=512, disk_gib=3)
    return VmSpec(name="web", provider="xen-pool", resources=resources)

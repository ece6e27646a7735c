"""A simulated Hyper-V host for each test, and connectors to it."""

import importlib.util
from collections.abc import Callable, Iterator

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, VmSpec
from connectors.drivers.hyperv.settings import Library
from connectors.simulators import hyperv
from connectors.simulators.hyperv import Estate, HypervSimulator, Limits

Start = Callable[..., HypervSimulator]
Connect = Callable[..., Connector]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts simulators with a given estate and limits."""
    if reason := hyperv.missing():
        pytest.skip(reason)
    running: list[HypervSimulator] = []

    def one(estate: Estate | None = None, limits: Limits | None = None) -> HypervSimulator:
        running.append(HypervSimulator(estate, limits=limits).start())
        return running[-1]

    yield one
    for simulator in running:
        simulator.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[HypervSimulator]:
    if reason := hyperv.missing():
        pytest.skip(reason)
    with HypervSimulator() as running:
        yield running


@pytest.fixture
def simulator(shared: HypervSimulator) -> HypervSimulator:
    """A host as if just started."""
    shared.reset()
    return shared


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Library:
    """The library that speaks WinRM; others by parametrize, indirectly."""
    library: Library = getattr(request, "param", Library.PYWINRM)
    if library is Library.PYPSRP and importlib.util.find_spec("pypsrp") is None:
        pytest.skip("the extra hyperv-pypsrp is not installed")
    return library


@pytest.fixture
def connect(client: Library) -> Iterator[Connect]:
    """Opens connectors to a simulator; all are closed after the test."""
    opened: list[Connector] = []

    def one(simulator: HypervSimulator, timeout_s: float = 20, **options: str | int) -> Connector:
        endpoint = simulator.endpoint(timeout_s=timeout_s, options={"client": client, **options})
        opened.append(registry.connect(endpoint, simulator.password))
        opened[-1].open()
        return opened[-1]

    yield one
    for connector in opened:
        connector.close()


@pytest.fixture
def spec() -> VmSpec:
    size = Resources(vcpu=1, memory_mib=512, disk_gib=4)
    return VmSpec(name="web-1", provider="HV-SIM-1", resources=size)

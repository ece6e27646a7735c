"""A vSphere simulator of its own for each test, and a second client that is not the driver."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.pools import Option
from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, VmSpec
from connectors.errors import ConnectorError
from connectors.simulators import certificates, vsphere
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.vsphere import USER, Estate, VsphereSimulator

Start = Callable[..., VsphereSimulator]


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> Path:
    if reason := vsphere.missing():
        pytest.skip(reason)
    return vsphere.build(request.config.rootpath / ".build" / "vcsim")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if reason := certificates.missing():
        pytest.skip(reason)
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.2")


@pytest.fixture
def start(binary: Path) -> Iterator[Start]:
    """Starts simulators, which end with the test."""
    with ExitStack() as running:

        def one(estate: Estate | None = None, **settings: Any) -> VsphereSimulator:
            return running.enter_context(VsphereSimulator(binary, estate, **settings))

        yield one


@pytest.fixture
def simulator(start: Start) -> VsphereSimulator:
    return start(Estate(vms=1))


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    """The driver, with a time limit that a broken transfer does not keep a test waiting for."""
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as opened:
        yield opened


class Raw:
    """What bare pyvmomi sees, read object by object over a login of its own."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def machines(self) -> list[Any]:
        """Machines and templates that are in no folder of their datacenter's."""
        found: list[Any] = []
        for datacenter in self.content.rootFolder.childEntity:
            found += datacenter.vmFolder.childEntity
        return [one for one in found if hasattr(one, "config")]

    def of(self, identity: UUID) -> list[Any]:
        return [vm for vm in self.machines() if vm.config.instanceUuid == str(identity)]

    def clusters(self) -> list[Any]:
        found: list[Any] = []
        for datacenter in self.content.rootFolder.childEntity:
            found += datacenter.hostFolder.childEntity
        return found

    def sessions(self) -> int:
        """Logins there are, this one left out."""
        return len(self.content.sessionManager.sessionList) - 1

    def end_other_sessions(self) -> None:
        manager = self.content.sessionManager
        own = manager.currentSession.key
        manager.TerminateSession([s.key for s in manager.sessionList if s.key != own])


@contextmanager
def raw_client(simulator: VsphereSimulator) -> Iterator[Raw]:
    from pyVim.connect import Disconnect, SmartConnect

    host, _, port = simulator.address.partition(":")
    instance = SmartConnect(
        protocol=simulator.scheme,
        host=host,
        port=int(port),
        user=USER,
        pwd=simulator.password.get_secret_value(),
        disableSslCertValidation=True,
    )
    try:
        yield Raw(instance.content)
    finally:
        Disconnect(instance)


@pytest.fixture
def look() -> Callable[[VsphereSimulator], Any]:
    """Opens the second client: ``with look(simulator) as raw``."""
    return raw_client


@contextmanager
def connected(simulator: VsphereSimulator, timeout_s: float = 20, **options: Option) -> Iterator[Connector]:
    """The driver with these options of the endpoint."""
    endpoint = simulator.endpoint(timeout_s=timeout_s, options=options)
    with registry.connect(endpoint, simulator.password) as opened:
        yield opened


def create_at_once(workers: Sequence[Connector], spec: VmSpec) -> list[UUID]:
    """Each worker makes a machine of its own, all at the same time."""
    identities = [uuid4() for _ in workers]

    def create(index: int) -> None:
        named = spec.model_copy(update={"name": f"web-{index}"})
        workers[index].create_vm(named, identities[index])

    with ThreadPoolExecutor(len(workers)) as threads:
        list(threads.map(create, range(len(workers))))
    return identities


def requiring(spec: VmSpec, *traits: str, **changes: str) -> VmSpec:
    """The machine, whose order requires these traits."""
    return spec.model_copy(update={"traits": frozenset(traits), **changes})


def must_be_refused_before_anything_is_made(
    simulator: VsphereSimulator,
    spec: VmSpec,
    options: dict[str, str],
    kind: type[ConnectorError],
    said: str,
) -> None:
    """The machine cannot be made with these options: an error of this kind says so, and vCenter was not asked to."""
    with connected(simulator, **options) as connector, pytest.raises(kind, match=said):
        connector.create_vm(spec, uuid4())
    assert "CreateVM_Task" not in simulator.calls()


@pytest.fixture
def spec() -> VmSpec:
    return VmSpec(name="web", provider="DC0_C0", resources=Resources(vcpu=2, memory_mib=512, disk_gib=3))

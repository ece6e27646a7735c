"""The vSphere driver keeps the contract against VMware's simulator: over TLS, with tasks that take their time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors.simulators import certificates, vsphere
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.vsphere import USER, Estate, Rule, VsphereSimulator
from tierwise.testing.conformance import ConnectorConformance

pytestmark = pytest.mark.counterpart("vcsim")


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> Path:
    if reason := vsphere.missing() or certificates.missing():
        pytest.skip(reason)
    return vsphere.build(request.config.rootpath / ".build" / "vcsim")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.2")


@pytest.fixture(scope="module")
def like_vcenter(binary: Path, certificate: Certificate) -> Iterator[VsphereSimulator]:
    with VsphereSimulator(
        binary,
        Estate(clusters=2, vms=2, standalone_hosts=1, datastores=2),
        listen="127.0.0.2:0",
        certificate=certificate.certificate,
        key=certificate.key,
        task_delay_s=0.02,
        page_size=5,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def as_it_comes(binary: Path) -> Iterator[VsphereSimulator]:
    with VsphereSimulator(binary, Estate(vms=1, datastores=2), unique_names=False) as running:
        yield running


class VsphereConformance(ConnectorConformance):
    custom_attributes = True

    @pytest.fixture
    def other_storage(self) -> str:
        return "LocalDS_0"  # the driver takes the other one for new machines

    @pytest.fixture
    def endpoint(self, simulator: VsphereSimulator, certificate: Certificate) -> Iterator[Endpoint]:
        options = {"custom_attributes": self.custom_attributes}
        yield simulator.endpoint(timeout_s=20, ca_file=certificate.authority, options=options)
        simulator.rules()

    @pytest.fixture
    def password(self, simulator: VsphereSimulator) -> SecretStr:
        return simulator.password

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint:
        scheme = endpoint.address.partition("://")[0]
        return endpoint.model_copy(update={"address": f"{scheme}://{host}:{port}"})

    @pytest.fixture
    def lose_next_create_reply(self, simulator: VsphereSimulator) -> Callable[[], None]:
        lost = Rule(method="CreateVM_Task", action="reset", after=True, times=1)
        return lambda: simulator.rules(lost)

    @pytest.fixture
    def plant_foreign(self, simulator: VsphereSimulator) -> Callable[[str], None]:
        from pyVim.connect import Disconnect, SmartConnect
        from pyVim.task import WaitForTask

        def rename_one(name: str) -> None:
            host, _, port = simulator.address.partition(":")
            raw = SmartConnect(
                protocol=simulator.scheme,
                host=host,
                port=int(port),
                user=USER,
                pwd=simulator.password.get_secret_value(),
                disableSslCertValidation=True,
            )
            try:
                folder = raw.content.rootFolder.childEntity[0].vmFolder
                machine = next(vm for vm in folder.childEntity if "RP0_VM" in vm.name)
                WaitForTask(machine.Rename_Task(name))
            finally:
                Disconnect(raw)

        return rename_one


class TestVsphere(VsphereConformance):
    """As vCenter behaves: TLS, tasks that run after the call returned, pages, names that stand once."""

    @pytest.fixture
    def simulator(self, like_vcenter: VsphereSimulator) -> VsphereSimulator:
        return like_vcenter

    @pytest.fixture
    def untrusted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        return endpoint.model_copy(update={"tls": TlsPolicy()})


class TestVsphereWithoutUniqueNames(VsphereConformance):
    """As the simulator behaves by itself, so that only the election keeps a machine from being made twice."""

    custom_attributes = False

    @pytest.fixture
    def simulator(self, as_it_comes: VsphereSimulator) -> VsphereSimulator:
        return as_it_comes

"""The Hyper-V driver keeps the contract against our simulator of WinRM: over TLS, and over HTTP sealed by NTLM."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors.simulators import certificates, hyperv
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tierwise.testing.conformance import ConnectorConformance

pytestmark = pytest.mark.counterpart("hyperv-sim")


@pytest.fixture(scope="module", autouse=True)
def _can_run() -> None:
    if reason := hyperv.missing() or certificates.missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.2")


@pytest.fixture(scope="module")
def over_tls(certificate: Certificate) -> Iterator[HypervSimulator]:
    with HypervSimulator(listen="127.0.0.2", certificate=certificate) as running:
        yield running


@pytest.fixture(scope="module")
def sealed() -> Iterator[HypervSimulator]:
    with HypervSimulator(Estate(host="HV-2", cluster="FRA-HV")) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[HypervSimulator]:
    with HypervSimulator(Estate(host="HV-A", nodes=("HV-B",), cluster="FRA-HV")) as running:
        yield running


class HypervConformance(ConnectorConformance):
    workers_at_once = 20
    """Windows lets one user have 30 shells (MaxShellsPerUser), and each connector keeps one."""

    other_folder = "E:\\Machines"

    @pytest.fixture
    def endpoint(self, simulator: HypervSimulator) -> Iterator[Endpoint]:
        yield simulator.endpoint(timeout_s=20, options={"storages": f"fast={self.other_folder}"})
        simulator.rules()

    @pytest.fixture
    def other_storage(self) -> str:
        return "fast"

    @pytest.fixture
    def password(self, simulator: HypervSimulator) -> SecretStr:
        return simulator.password

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint:
        scheme = endpoint.address.partition("://")[0]
        return endpoint.model_copy(update={"address": f"{scheme}://{host}:{port}"})

    @pytest.fixture
    def lose_next_create_reply(self, simulator: HypervSimulator) -> Callable[[], None]:
        return lambda: simulator.rules(Rule(on="New-VM", action="reset", after=True, times=1))

    @pytest.fixture
    def plant_foreign(self, simulator: HypervSimulator) -> Callable[[str], None]:
        def plant(name: str) -> None:
            simulator.plant(name)

        return plant

    @pytest.fixture
    def restart_endpoint(self, simulator: HypervSimulator) -> Callable[[], None]:
        return simulator.restart


class TestHypervOverTls(HypervConformance):
    """TLS with a verified certificate, to which NTLM is bound."""

    @pytest.fixture
    def simulator(self, over_tls: HypervSimulator) -> HypervSimulator:
        return over_tls

    @pytest.fixture
    def untrusted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        return endpoint.model_copy(update={"tls": TlsPolicy()})


class TestHypervSealed(HypervConformance):
    """Plain HTTP, each message sealed by NTLM."""

    @pytest.fixture
    def simulator(self, sealed: HypervSimulator) -> HypervSimulator:
        return sealed


class TestHypervCluster(HypervConformance):
    """Two nodes of a failover cluster as one endpoint, each logged in at by itself."""

    other_folder = "C:\\ClusterStorage\\Volume2"
    workers_at_once = 6
    """Three shells a connector, two of them at the host that answers at the cluster's address."""

    @pytest.fixture
    def simulator(self, cluster: HypervSimulator) -> HypervSimulator:
        return cluster

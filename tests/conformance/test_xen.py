"""The Xen driver keeps the contract against the XenAPI simulator: over TLS, and with machines that grow while they run."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors.simulators import certificates
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.xen import USER, Estate, Rule, XenSimulator
from tierwise.testing.conformance import ConnectorConformance

XenAPI = pytest.importorskip("XenAPI")

pytestmark = pytest.mark.counterpart("xen-sim")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if reason := certificates.missing():
        pytest.skip(reason)
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.2")


@pytest.fixture(scope="module")
def pool_over_tls(certificate: Certificate) -> Iterator[XenSimulator]:
    with XenSimulator(
        Estate(hosts=3, disabled_hosts=1, second_sr_gib=1024),
        host="127.0.0.2",
        certificate=certificate.certificate,
        key=certificate.key,
        task_delay_s=0.02,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def lone_host() -> Iterator[XenSimulator]:
    estate = Estate(
        pool="", hosts=1, ha=True, online_resize=True, guests_obey_shutdown=False, second_sr_gib=64
    )
    with XenSimulator(estate) as running:
        yield running


class XenConformance(ConnectorConformance):
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


class TestXen(XenConformance):
    """As a pool is: TLS, tasks that take their time, a host in maintenance."""

    @pytest.fixture
    def simulator(self, pool_over_tls: XenSimulator) -> XenSimulator:
        return pool_over_tls

    @pytest.fixture
    def other_storage(self) -> str:
        return "fast"

    @pytest.fixture
    def endpoint(self, simulator: XenSimulator, certificate: Certificate) -> Iterator[Endpoint]:
        yield simulator.endpoint(timeout_s=20, ca_file=certificate.authority)
        simulator.rules()

    @pytest.fixture
    def untrusted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        return endpoint.model_copy(update={"tls": TlsPolicy()})


class TestXenThatGrowsWhileItRuns(XenConformance):
    """A lone host with HA, storage that grows disks in use, and guests that ignore a shutdown."""

    guests_obey_shutdown = False

    @pytest.fixture
    def simulator(self, lone_host: XenSimulator) -> XenSimulator:
        return lone_host

    @pytest.fixture
    def other_storage(self) -> str:
        return "fast"

    @pytest.fixture
    def endpoint(self, simulator: XenSimulator) -> Iterator[Endpoint]:
        network = "Pool-wide network associated with eth0"
        yield simulator.endpoint(timeout_s=4, options={"hot_add_factor": 4, "network": network})
        simulator.rules()

    @pytest.fixture
    def plant_foreign(self, simulator: XenSimulator) -> Callable[[str], None]:
        def clone_the_template(name: str) -> None:
            raw = XenAPI.Session(f"http://{simulator.address}")
            raw.xenapi.login_with_password(USER, simulator.password.get_secret_value(), "1.0", "raw")
            try:
                (template,) = raw.xenapi.VM.get_by_name_label("Other install media")
                raw.xenapi.VM.set_is_a_template(raw.xenapi.VM.clone(template, name), False)
            finally:
                raw.xenapi.session.logout()
                raw("close")()

        return clone_the_template

"""The Hyper-V driver keeps the contract against our simulator of WinRM: over TLS, and over HTTP sealed by NTLM."""

import importlib.util
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, Option, TlsPolicy
from connectors import disks
from connectors.drivers.hyperv.settings import Library
from connectors.simulators import certificates, hyperv
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.hyperv import Estate, HypervSimulator, Rule
from tierwise.testing.conformance import ConnectorConformance, Counterpart
from tierwise.testing.promises.connection import ConnectionPromises
from tierwise.testing.promises.disks import DiskPromises
from tierwise.testing.promises.lifecycle import LifecyclePromises
from tierwise.testing.promises.races import RacePromises
from tierwise.testing.promises.templates import GONE
from tierwise.testing.promises.wire import WirePromises

pytestmark = pytest.mark.counterpart("hyperv-sim")


CHOSEN = {"DEBIAN_12": "debian-12.vhdx", "RHEL_6": "rhel-6.vhd"}
"""Templates that orders choose: one of each format, in a folder of the host or the cluster."""


def words(file: str) -> bytes:
    """What stands on a template's disk."""
    return f"installed from {file}".encode()


def put_templates(simulator: HypervSimulator, golden: str, folder: Path) -> None:
    """Templates with disks of 1 GiB, in a folder of the host."""
    if disks.missing():
        return  # tests that need them skip
    raw = folder / "raw"
    for file in CHOSEN.values():
        with raw.open("wb") as image:
            image.truncate(1 << 30)
            image.write(words(file))
        made = folder / file
        vhd = ["vpc", "-o", "force_size=on"] if file.endswith(".vhd") else ["vhdx"]
        subprocess.run(["qemu-img", "convert", "-O", *vhd, str(raw), str(made)], check=True)
        simulator.put(f"{golden}\\{file}", made)


@pytest.fixture(scope="module", autouse=True)
def _can_run() -> None:
    if reason := hyperv.missing() or certificates.missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.2")


@pytest.fixture(scope="module")
def over_tls(
    certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HypervSimulator]:
    with HypervSimulator(listen="127.0.0.2", certificate=certificate) as running:
        put_templates(running, OverTls.golden, tmp_path_factory.mktemp("golden"))
        yield running


@pytest.fixture(scope="module")
def sealed() -> Iterator[HypervSimulator]:
    with HypervSimulator(Estate(host="HV-2", cluster="FRA-HV")) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HypervSimulator]:
    with HypervSimulator(Estate(host="HV-A", nodes=("HV-B",), cluster="FRA-HV")) as running:
        put_templates(running, TestHypervCluster.golden, tmp_path_factory.mktemp("golden"))
        yield running


class HypervCounterpart(Counterpart):
    workers_at_once = 20
    """Windows lets one user have 30 shells (MaxShellsPerUser), and each connector keeps one."""

    other_folder = "E:\\Machines"
    golden = ""
    """The folder of templates that orders choose."""
    client = Library.PYWINRM

    @pytest.fixture
    def endpoint(self, simulator: HypervSimulator) -> Iterator[Endpoint]:
        options: dict[str, Option] = {"storages": f"fast={self.other_folder}", "client": self.client}
        if self.golden:
            named = {**CHOSEN, GONE: "gone.vhdx"}
            options["templates"] = {name: f"{self.golden}\\{file}" for name, file in named.items()}
        yield simulator.endpoint(timeout_s=20, options=options)
        simulator.rules()

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {name: words(file) for name, file in CHOSEN.items()} if self.golden else {}

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
        return lambda: simulator.rules(Rule(method="New-VM", action="reset", after=True, times=1))

    @pytest.fixture
    def plant_foreign(self, simulator: HypervSimulator) -> Callable[[str], None]:
        def plant(name: str) -> None:
            simulator.plant(name)

        return plant

    @pytest.fixture
    def restart_endpoint(self, simulator: HypervSimulator) -> Callable[[], None]:
        return simulator.restart


class OverTls(HypervCounterpart):
    golden = "D:\\Golden"

    @pytest.fixture
    def simulator(self, over_tls: HypervSimulator) -> HypervSimulator:
        return over_tls

    @pytest.fixture
    def untrusted_endpoint(self, endpoint: Endpoint) -> Endpoint:
        return endpoint.model_copy(update={"tls": TlsPolicy()})


class TestHypervOverTls(OverTls, ConnectorConformance):
    """TLS with a verified certificate, to which NTLM is bound."""


@pytest.mark.skipif(
    importlib.util.find_spec("pypsrp") is None, reason="the extra hyperv-pypsrp is not installed"
)
class TestHypervByPypsrp(
    OverTls, ConnectionPromises, LifecyclePromises, RacePromises, DiskPromises, WirePromises
):
    """The same by the other client: of the promises those that the way to the host bears on."""

    client = Library.PYPSRP


class TestHypervSealed(HypervCounterpart, ConnectorConformance):
    """Plain HTTP, each message sealed by NTLM."""

    @pytest.fixture
    def simulator(self, sealed: HypervSimulator) -> HypervSimulator:
        return sealed


class TestHypervCluster(HypervCounterpart, ConnectorConformance):
    """Two nodes of a failover cluster as one endpoint, each logged in at by itself."""

    other_folder = "C:\\ClusterStorage\\Volume2"
    golden = "C:\\ClusterStorage\\Volume1\\Golden"
    workers_at_once = 6
    """Three shells a connector, two of them at the host that answers at the cluster's address."""

    @pytest.fixture
    def simulator(self, cluster: HypervSimulator) -> HypervSimulator:
        return cluster

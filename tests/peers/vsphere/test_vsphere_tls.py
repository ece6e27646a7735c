"""The certificate is checked, on loopback too, where pyvmomi by itself does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.pools import Endpoint, TlsPolicy
from connectors import registry
from connectors.errors import Refused, Unreachable
from connectors.simulators.certificates import Certificate, make_certificate
from connectors.simulators.vsphere import VsphereSimulator
from tierwise.testing.wire import Fault, Wire

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]


@pytest.fixture
def encrypted(start: Start, certificate: Certificate) -> VsphereSimulator:
    return start(listen="127.0.0.2:0", certificate=certificate.certificate, key=certificate.key)


def open_and_probe(simulator: VsphereSimulator, endpoint: Endpoint) -> bool:
    with registry.connect(endpoint, simulator.password) as connector:
        return connector.probe().secure


def test_the_right_authority_opens_and_counts_as_secure(
    encrypted: VsphereSimulator, certificate: Certificate
) -> None:
    assert open_and_probe(encrypted, encrypted.endpoint(ca_file=certificate.authority)) is True


def test_a_connection_that_was_closed_while_it_was_idle_is_replaced_unnoticed(
    encrypted: VsphereSimulator, certificate: Certificate
) -> None:
    host, _, port = encrypted.address.partition(":")
    endpoint = encrypted.endpoint(ca_file=certificate.authority)
    with Wire(host, int(port)) as wire:
        over = endpoint.model_copy(update={"address": f"https://{host}:{wire.port}"})
        with registry.connect(over, encrypted.password) as connector:
            before = connector.list_vms()
            for _ in range(3):
                wire.set(Fault.NONE)  # which resets the connection that is kept
                assert connector.list_vms() == before


def test_an_unknown_authority_is_unreachable_and_the_message_names_tls(
    encrypted: VsphereSimulator, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path / "other", "127.0.0.2")
    for endpoint in (encrypted.endpoint(), encrypted.endpoint(ca_file=other.authority)):
        with pytest.raises(Unreachable) as caught:
            open_and_probe(encrypted, endpoint)
        assert "TLS certificate is not trusted" in str(caught.value)
        assert "tls.ca_file" in caught.value.hint
        assert caught.value.vendor_code == "SSLCertVerificationError"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_for_another_host_is_unreachable_even_on_localhost(
    start: Start, certificate: Certificate, host: str
) -> None:
    simulator = start(certificate=certificate.certificate, key=certificate.key)
    port = simulator.address.rpartition(":")[2]
    endpoint = simulator.endpoint(ca_file=certificate.authority)
    with pytest.raises(Unreachable, match="TLS certificate is not trusted"):
        open_and_probe(simulator, endpoint.model_copy(update={"address": f"{host}:{port}"}))


def test_a_written_reason_opens_without_verification_and_counts_as_insecure(
    encrypted: VsphereSimulator,
) -> None:
    policy = TlsPolicy(unverified_because="a lab host that is rebuilt every day")
    endpoint = encrypted.endpoint().model_copy(update={"tls": policy})
    assert open_and_probe(encrypted, endpoint) is False


def test_plain_http_without_a_written_reason_is_refused_before_anything_is_sent(
    simulator: VsphereSimulator,
) -> None:
    endpoint = simulator.endpoint().model_copy(update={"tls": TlsPolicy()})
    with pytest.raises(Refused, match="unverified_because"):
        open_and_probe(simulator, endpoint)
    assert simulator.calls() == {}


def test_tls_spoken_to_a_plain_port_is_unreachable(simulator: VsphereSimulator) -> None:
    policy = {"tls": TlsPolicy(), "address": simulator.address}
    with pytest.raises(Unreachable, match="TLS"):
        open_and_probe(simulator, simulator.endpoint().model_copy(update=policy))


def test_an_authority_file_that_is_not_there_is_refused_with_its_name(
    encrypted: VsphereSimulator, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"missing\.pem"):
        open_and_probe(encrypted, encrypted.endpoint(ca_file=tmp_path / "missing.pem"))

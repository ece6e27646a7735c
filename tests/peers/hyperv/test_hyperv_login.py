"""Logging in by a password, which only a host that has proved itself over TLS gets to see."""

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors import registry
from connectors.contract import VmSpec
from connectors.drivers.hyperv.settings import Library
from connectors.errors import Refused
from connectors.simulators import certificates, hyperv
from connectors.simulators.certificates import make_certificate
from connectors.simulators.hyperv import HypervSimulator

pytestmark = pytest.mark.counterpart("hyperv-sim")

by_each_client = pytest.mark.parametrize("client", list(Library), indirect=True)

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")


@pytest.fixture(scope="module")
def by_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HypervSimulator]:
    """A host that takes Basic, as few do."""
    if reason := hyperv.missing() or certificates.missing():
        pytest.skip(reason)
    made = make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")
    with HypervSimulator(certificate=made, basic=True) as running:
        yield running


def with_auth(endpoint: Endpoint, auth: str, **more: str) -> Endpoint:
    return endpoint.model_copy(update={"options": {"auth": auth, **more}})


@by_each_client
def test_a_password_over_verified_tls_logs_in(
    client: Library, by_password: HypervSimulator, spec: VmSpec
) -> None:
    endpoint = with_auth(by_password.endpoint(), "basic", client=client)
    with registry.connect(endpoint, by_password.password) as connector:
        assert connector.probe().secure
        assert connector.create_vm(spec, IDENTITY).identity == IDENTITY
        connector.delete_vm(IDENTITY)


@by_each_client
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_wrong_password_is_refused(auth: str, client: Library, by_password: HypervSimulator) -> None:
    endpoint = with_auth(by_password.endpoint(), auth, client=client)
    with pytest.raises(Refused, match="password is wrong"):
        registry.connect(endpoint, SecretStr("wrong")).open()


@by_each_client
def test_a_host_as_windows_comes_takes_no_password(client: Library, tmp_path: Path) -> None:
    if reason := certificates.missing():
        pytest.skip(reason)
    made = make_certificate(tmp_path, "127.0.0.1")
    with HypervSimulator(certificate=made) as running:
        endpoint = with_auth(running.endpoint(), "basic", client=client)
        with pytest.raises(Refused, match="'auth'"):
            registry.connect(endpoint, running.password).open()


def test_a_password_is_never_sent_to_a_host_that_is_not_verified(by_password: HypervSimulator) -> None:
    lax = {"tls": TlsPolicy(unverified_because="a test says so")}
    for scheme in ("https", "http"):
        address = by_password.endpoint().address.replace("https", scheme)
        endpoint = with_auth(by_password.endpoint(), "basic").model_copy(update=lax | {"address": address})
        with pytest.raises(Refused, match="needs https with a certificate"):
            registry.connect(endpoint, by_password.password).open()


def test_an_unknown_way_to_log_in_names_the_known_ones(by_password: HypervSimulator) -> None:
    with pytest.raises(Refused, match="kerberos"):
        registry.connect(with_auth(by_password.endpoint(), "credssp"), by_password.password).open()


@pytest.mark.parametrize(
    ("client", "library"), [(Library.PYWINRM, "kerberos"), (Library.PYPSRP, "gssapi")], indirect=["client"]
)
def test_where_kerberos_is_not_installed_it_says_how_to_get_it(
    client: Library, library: str, by_password: HypervSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Refused, match="hyperv-kerberos"):
        registry.connect(with_auth(by_password.endpoint(), "kerberos", client=client)).open()


@pytest.mark.parametrize(
    ("client", "package", "extra"),
    [(Library.PYWINRM, "winrm", "hyperv"), (Library.PYPSRP, "pypsrp", "hyperv-pypsrp")],
)
def test_where_a_clients_library_is_not_installed_it_says_how_to_get_it(
    client: Library,
    package: str,
    extra: str,
    by_password: HypervSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, f"connectors.drivers.hyperv.{client}_client", raising=False)
    for module in (package, f"{package}.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Refused) as caught:
        registry.connect(
            with_auth(by_password.endpoint(), "ntlm", client=client), by_password.password
        ).open()
    assert f"pip install 'tierwise[{extra}]'" in str(caught.value)


def test_an_unknown_client_names_the_known_ones(by_password: HypervSimulator) -> None:
    with pytest.raises(Refused, match="pypsrp"):
        registry.connect(
            with_auth(by_password.endpoint(), "ntlm", client="winrs"), by_password.password
        ).open()

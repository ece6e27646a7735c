"""Logging in by Kerberos: a real KDC gives the ticket, and the simulator's host checks it by its keytab."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from catalog.pools import Endpoint
from connectors import registry
from connectors.contract import VmSpec
from connectors.drivers.hyperv.settings import Library
from connectors.errors import Refused
from connectors.simulators import certificates, hyperv
from connectors.simulators.certificates import make_certificate
from connectors.simulators.hyperv import HypervSimulator, realm
from connectors.simulators.hyperv.realm import Realm

pytestmark = pytest.mark.counterpart("mit-kdc")

NEEDS = {Library.PYWINRM: ("kerberos",), Library.PYPSRP: ("gssapi", "krb5")}
IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")


HERE = [one for one, names in NEEDS.items() if all(map(importlib.util.find_spec, names))] or [
    Library.PYWINRM
]
"""Those that can: krb5 and gssapi are compiled where they are installed, and nothing here needs them but pypsrp."""
by_each_client = pytest.mark.parametrize("client", HERE, indirect=True)


def with_kerberos(endpoint: Endpoint, spn_host: str, client: Library) -> Endpoint:
    if lacking := [name for name in NEEDS[client] if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{lacking[0]} of the extra hyperv-kerberos is not installed")
    options = {"auth": "kerberos", "spn_host": spn_host, "client": client}
    return endpoint.model_copy(update={"options": options, "username": realm.USER})


@pytest.fixture(scope="module")
def kerberos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    if reason := hyperv.missing() or realm.missing():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, Realm(tmp_path_factory.mktemp("realm")) as made:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        if importlib.util.find_spec("gssapi") is None:
            libraries = tmp_path_factory.mktemp("libraries")
            realm.link_gssapi(libraries)
            patch.setenv("PYTHONPATH", str(libraries), prepend=os.pathsep)  # the simulator's process
        yield made


@by_each_client
@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_a_ticket_of_a_real_kdc_logs_in_without_a_password(
    tls: bool, client: Library, kerberos: Realm, spec: VmSpec, tmp_path: Path
) -> None:
    if reason := certificates.missing() if tls else None:
        pytest.skip(reason)
    made = make_certificate(tmp_path, "127.0.0.1") if tls else None
    with HypervSimulator(certificate=made) as running:
        with registry.connect(with_kerberos(running.endpoint(), "localhost", client)) as connector:
            assert connector.create_vm(spec, IDENTITY).identity == IDENTITY
            assert [view.identity for view in connector.list_vms()] == [IDENTITY]
        assert running.shells() == 0


@by_each_client
def test_without_a_ticket_for_the_host_the_login_is_refused(client: Library, kerberos: Realm) -> None:
    with HypervSimulator() as running:
        connector = registry.connect(with_kerberos(running.endpoint(), "elsewhere", client))
        with pytest.raises(Refused, match="kinit"):
            connector.open()

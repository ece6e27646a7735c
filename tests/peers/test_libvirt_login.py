"""Logging in at a real libvirtd over TLS with a SASL password, and every way in which that is refused."""

import os
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from catalog.resources import Resources
from connectors.contract import PowerAction, VmSpec
from connectors.errors import ConnectorError, Refused, Unreachable
from connectors.registry import connect
from connectors.simulators import libvirt_pair, libvirt_pki, libvirt_sasl, libvirtd

pytestmark = pytest.mark.counterpart("libvirt-qemu")

LOGIN = libvirt_sasl.Login("planner", "l0gin-of-a-test/&=")
RIGHT = SecretStr(LOGIN.password)
WRONG = SecretStr("wr0ng-in-a-test/&=")


def running(login: libvirt_sasl.Login | None) -> Iterator[libvirtd.PrivateLibvirtd]:
    problem = libvirtd.missing() or libvirt_sasl.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirtd.PrivateLibvirtd(tls=True, login=login) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def daemon() -> Iterator[libvirtd.PrivateLibvirtd]:
    yield from running(LOGIN)


@pytest.fixture(scope="module")
def unasking() -> Iterator[libvirtd.PrivateLibvirtd]:
    """A daemon that goes by certificates alone."""
    yield from running(None)


def refusal(endpoint: Endpoint, password: SecretStr | None) -> ConnectorError:
    """The error of a login, in which no secret may stand, nor in what caused it."""
    with pytest.raises(ConnectorError) as caught:
        connect(endpoint, password).open()
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert not [secret for secret in (RIGHT, WRONG) if secret.get_secret_value() in told]
    assert endpoint.name in str(caught.value)
    return caught.value


def virsh(daemon: libvirtd.PrivateLibvirtd, password: str, folder: Path, *words: str) -> str:
    """The answer of libvirt's own client, which logs in as the file says; its words where it fails."""
    folder.mkdir()
    (folder / "cacert.pem").symlink_to(daemon.pki / "ca.pem")
    (folder / "auth.conf").write_text(
        "[credentials-test]\n"
        f"authname={LOGIN.username}\npassword={password}\n"
        f"[auth-libvirt-{libvirtd.ADDRESS}]\ncredentials=test\n"
    )
    command = ["virsh", "--quiet", "--connect", f"{daemon.tls_address}?pkipath={folder}", *words]
    environment = os.environ | {"LIBVIRT_AUTH_FILE": str(folder / "auth.conf")}
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def test_a_machine_made_by_password_is_seen_by_another_client_with_that_password_only(
    daemon: libvirtd.PrivateLibvirtd, tmp_path: Path
) -> None:
    identity = uuid4()
    with connect(daemon.tls_endpoint(), RIGHT) as connector:
        pool = connector.probe()
        assert pool.secure
        spec = VmSpec(
            name="by-password",
            provider=pool.pools[0].provider,
            resources=Resources(vcpu=1, memory_mib=64, disk_gib=1),
        )
        connector.create_vm(spec, identity)
        ask = ("list", "--all", "--uuid")
        assert virsh(daemon, LOGIN.password, tmp_path / "right", *ask).split() == [str(identity)]
        assert "authentication failed" in virsh(daemon, "another", tmp_path / "wrong", *ask)
        connector.delete_vm(identity)


def test_no_certificate_of_its_own_is_needed_where_there_is_a_password(
    daemon: libvirtd.PrivateLibvirtd,
) -> None:
    assert "client_cert" not in daemon.tls_endpoint().options
    with connect(daemon.tls_endpoint(), RIGHT) as connector:
        assert connector.list_vms() == []


@pytest.mark.parametrize(
    ("username", "password"), [(LOGIN.username, WRONG), ("somebody-else", RIGHT), (LOGIN.username, None)]
)
def test_a_login_that_does_not_fit_is_refused_for_good(
    daemon: libvirtd.PrivateLibvirtd, username: str, password: SecretStr | None
) -> None:
    endpoint = daemon.tls_endpoint().model_copy(update={"username": username})
    error = refusal(endpoint, password)
    assert isinstance(error, Refused)
    assert not error.retriable
    assert error.vendor_code == "45 VIR_ERR_AUTH_FAILED"
    assert "username and secret" in error.hint


def test_a_daemon_that_asks_an_endpoint_without_login_says_what_to_set(
    daemon: libvirtd.PrivateLibvirtd,
) -> None:
    error = refusal(daemon.tls_endpoint().model_copy(update={"username": None}), None)
    assert isinstance(error, Refused)
    assert error.hint == "the daemon asks for a login; set the endpoint's username and secret"


def test_the_password_is_not_given_to_a_daemon_of_another_authority(
    daemon: libvirtd.PrivateLibvirtd, tmp_path: Path
) -> None:
    libvirt_pki.daemon_settings(tmp_path / "other", libvirtd.ADDRESS, 1)
    strangers = TlsPolicy(ca_file=str(tmp_path / "other" / "ca.pem"))
    error = refusal(daemon.tls_endpoint().model_copy(update={"tls": strangers}), RIGHT)
    assert isinstance(error, Unreachable)
    assert "certificate" in error.why
    assert "certificate" in error.hint


def test_the_password_is_not_given_to_a_daemon_of_another_name(daemon: libvirtd.PrivateLibvirtd) -> None:
    endpoint = daemon.tls_endpoint()
    elsewhere = endpoint.address.replace(libvirtd.ADDRESS, "localhost")
    error = refusal(endpoint.model_copy(update={"address": elsewhere}), RIGHT)
    assert isinstance(error, Unreachable)
    assert "certificate" in error.why


def test_a_daemon_that_never_asks_for_the_password_is_not_used(
    unasking: libvirtd.PrivateLibvirtd,
) -> None:
    with connect(unasking.tls_endpoint()) as connector:
        assert connector.probe().secure
    error = refusal(unasking.tls_endpoint().model_copy(update={"username": LOGIN.username}), RIGHT)
    assert isinstance(error, Refused)
    assert "asks for no login" in error.hint


def test_a_mechanism_that_the_daemon_cannot_offer_is_refused() -> None:
    for daemon in running(libvirt_sasl.Login(LOGIN.username, LOGIN.password, mechanism="NO-SUCH")):
        error = refusal(daemon.tls_endpoint(), RIGHT)
        assert isinstance(error, Refused)
        assert "no mechanism available" in (daemon.folder / "daemon.log").read_text(errors="replace")


def test_an_unverified_daemon_gets_proof_of_the_password_and_never_the_password() -> None:
    for daemon in running(libvirt_sasl.Login(LOGIN.username, LOGIN.password, mechanism="PLAIN")):
        verified = daemon.tls_endpoint()
        with connect(verified, RIGHT) as connector:
            assert connector.probe().secure
        error = refusal(verified.model_copy(update={"tls": unverified(daemon)}), RIGHT)
        assert isinstance(error, Refused)
        assert "verify its certificate" in error.hint


def test_an_unverified_daemon_that_takes_proof_is_logged_in_to(daemon: libvirtd.PrivateLibvirtd) -> None:
    endpoint = daemon.tls_endpoint().model_copy(update={"tls": unverified(daemon)})
    with connect(endpoint, RIGHT) as connector:
        assert not connector.probe().secure


def unverified(daemon: libvirtd.PrivateLibvirtd) -> TlsPolicy:
    """libvirt reads an authority's file also where it then verifies nothing."""
    reason = "a test of what is given to a stranger"
    return TlsPolicy(ca_file=str(daemon.pki / "ca.pem"), unverified_because=reason)


def test_a_machine_moves_between_two_hosts_that_both_ask_for_the_password() -> None:
    problem = libvirtd.missing() or libvirt_sasl.missing()
    if problem is not None:
        pytest.skip(problem)
    identity = uuid4()
    with libvirt_pair.two_hosts(shared=True, tls=True, login=LOGIN) as pair:
        endpoint = pair.endpoint(pair.first)
        with connect(endpoint, RIGHT) as connector:
            provider = connector.probe().pools[0].provider
            size = Resources(vcpu=1, memory_mib=64, disk_gib=1)
            connector.create_vm(VmSpec(name="moves", provider=provider, resources=size), identity)
            connector.power(identity, PowerAction.ON)
            assert connector.migrate(identity, libvirt_pair.SECOND).host == libvirt_pair.SECOND
        assert pair.second.virsh("list", "--uuid").split() == [str(identity)]
        assert pair.first.virsh("list", "--all", "--uuid").split() == []


def test_a_lost_connection_logs_in_again_by_itself(daemon: libvirtd.PrivateLibvirtd) -> None:
    with connect(daemon.tls_endpoint(), RIGHT) as connector:
        connector.list_vms()
        daemon.restart()
        assert connector.list_vms() == []

# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Opening, closing, deadlines, and what an error may say."""

import base64
import ssl
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote, quote_plus, urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.capabilities import Capability
from catalog.pools import Endpoint, TlsPolicy
from connectors import registry, tls
from connectors.contract import Connector, PowerState
from connectors.errors import ConnectorError, DeadlineExceeded, NotFound, Refused, Unreachable
from tierwise.testing.promises.base import (
    WRONG_PASSWORD,
    Connect,
    Counterpart,
    Machines,
    Needs,
    identities,
    identity_of,
)


def pinned(endpoint: Endpoint, *fingerprints: str) -> Endpoint:
    """The endpoint with a certificate that must have one of these fingerprints, whoever signed it."""
    return endpoint.model_copy(update={"tls": TlsPolicy(fingerprints=fingerprints)})


class ConnectionPromises(Counterpart):
    """A connection opens, closes, breaks and refuses in the ways the contract names."""

    def test_the_driver_is_named_after_its_file(self, endpoint: Endpoint) -> None:
        assert registry.driver_class(endpoint.driver).driver == endpoint.driver

    def test_closing_twice_is_closing_once(self, connector: Connector) -> None:
        connector.close()
        connector.close()

    def test_closing_what_was_never_opened_is_nothing(
        self, endpoint: Endpoint, password: SecretStr | None
    ) -> None:
        self.new_connector(endpoint, password).close()

    def test_opening_twice_is_opening_once(self, connector: Connector) -> None:
        connector.open()
        assert connector.probe().endpoint == connector.endpoint.name

    def test_a_closed_connector_can_be_opened_again(self, connector: Connector) -> None:
        connector.close()
        connector.open()
        assert connector.probe().endpoint == connector.endpoint.name

    def test_a_call_on_a_closed_connector_is_unreachable(self, connector: Connector) -> None:
        connector.close()
        with pytest.raises(Unreachable):
            connector.list_vms()

    def test_one_connector_closing_leaves_others_open(self, connector: Connector, connect: Connect) -> None:
        connect().close()
        assert connector.probe().pools

    def test_a_wrong_password_is_refused(
        self, connect: Connect, endpoint: Endpoint, password: SecretStr | None
    ) -> None:
        if password is None:
            pytest.skip("this counterpart has no passwords")
        with pytest.raises(Refused) as caught:
            connect(endpoint, SecretStr(WRONG_PASSWORD))
        assert_tells_no_secret(caught.value, WRONG_PASSWORD)
        assert_says_where(caught.value, endpoint)

    def test_a_certificate_is_told_by_its_fingerprint_or_the_driver_refuses_to(
        self, connect: Connect, password: SecretStr | None, untrusted_endpoint: Endpoint | None
    ) -> None:
        if untrusted_endpoint is None:
            pytest.skip("this counterpart has no TLS")
        address = untrusted_endpoint.address
        at = urlsplit(address if "//" in address else f"//{address}")
        certificate = ssl.get_server_certificate((str(at.hostname), int(at.port or 443)))
        right = tls.fingerprint(ssl.PEM_cert_to_DER_cert(certificate))
        wrong = tls.fingerprint(b"another certificate")
        with pytest.raises((Unreachable, Refused)) as caught:
            connect(pinned(untrusted_endpoint, wrong), SecretStr(WRONG_PASSWORD))
        assert "fingerprint" in str(caught.value)
        assert_tells_no_secret(caught.value, WRONG_PASSWORD)
        if isinstance(caught.value, Unreachable):
            assert right in str(caught.value)
            with connect(pinned(untrusted_endpoint, wrong, right.lower()), password) as connector:
                assert connector.probe().secure

    def test_a_dead_address_is_unreachable(self, connect: Connect, dead_endpoint: Endpoint) -> None:
        with pytest.raises(Unreachable) as caught:
            connect(dead_endpoint, SecretStr(WRONG_PASSWORD))
        assert caught.value.retriable
        assert_tells_no_secret(caught.value, WRONG_PASSWORD)
        assert_says_where(caught.value, dead_endpoint)

    def test_a_silent_address_ends_at_the_deadline(
        self, connect: Connect, silent_endpoint: Endpoint
    ) -> None:
        started = time.monotonic()
        with pytest.raises((DeadlineExceeded, Unreachable)) as caught:
            connect(silent_endpoint, SecretStr(WRONG_PASSWORD)).list_vms()
        took_s = time.monotonic() - started
        assert took_s <= silent_endpoint.timeout_s * 1.1 + self.deadline_slack_s
        assert_tells_no_secret(caught.value, WRONG_PASSWORD)
        assert_says_where(caught.value, silent_endpoint)

    def test_a_certificate_nobody_trusts_is_unreachable(
        self, connect: Connect, untrusted_endpoint: Endpoint | None
    ) -> None:
        if untrusted_endpoint is None:
            pytest.skip("this counterpart has no TLS")
        with pytest.raises(Unreachable) as caught:
            connect(untrusted_endpoint)
        assert "answer" not in caught.value.why, "it is the certificate, not what the server says"
        assert_says_where(caught.value, untrusted_endpoint)

    def test_the_right_password_stands_in_no_error_or_repr(
        self, connector: Connector, endpoint: Endpoint, password: SecretStr | None
    ) -> None:
        with pytest.raises(NotFound) as caught:
            connector.get_vm(uuid4())
        assert_says_where(caught.value, endpoint)
        if password is not None:
            assert_tells_no_secret(caught.value, password.get_secret_value())
            assert password.get_secret_value() not in f"{connector!r} {vars(connector)!r}"

    def test_machines_outlive_a_restart_of_the_endpoint(
        self,
        machines: Machines,
        needs: Needs,
        connector: Connector,
        restart_endpoint: Callable[[], None] | None,
    ) -> None:
        if restart_endpoint is None:
            pytest.skip("this counterpart cannot be restarted")
        needs(Capability.CREATE)
        identity = identity_of(machines.make())
        restart_endpoint()
        with suppress(Unreachable, DeadlineExceeded):  # the old session may be gone, and must say so
            connector.list_vms()
        connector.close()
        connector.open()
        assert connector.get_vm(identity).power is PowerState.OFF
        assert identities(connector).count(identity) == 1


def assert_says_where(error: ConnectorError, endpoint: Endpoint) -> None:
    """An error names the endpoint and what was being done there."""
    assert error.endpoint == endpoint.name
    assert error.operation
    assert error.why
    assert endpoint.name in str(error)


def assert_tells_no_secret(error: BaseException, secret: str) -> None:
    """Neither the error nor what caused it holds the secret, in clear or in a common encoding."""
    text = "".join(traceback.format_exception(error, chain=True))
    chain: BaseException | None = error
    while chain is not None:
        text += f" {chain!r} {chain.args!r} {vars(chain)!r}"
        chain = chain.__cause__ or chain.__context__
    encoded = base64.b64encode(secret.encode()).decode()
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), encoded):
        assert form not in text, "an error shows the password"

"""How an endpoint's certificate is checked: by its authority and name, or by its fingerprint."""

import hashlib
import ssl
from typing import Any

from catalog.pools import Endpoint
from connectors.errors import Refused

HINT = (
    "check the address, and set tls.ca_file to the PEM file of the authority that signed it, "
    "or tls.fingerprints to the SHA-256 fingerprint that the server's owner told you"
)
"""What to do about a certificate that is not trusted."""
HUNG_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The server closed the connection, without a word or with TLS's own (RFC 8446, 6.1): nothing is said of its certificate."""


def context(endpoint: Endpoint) -> ssl.SSLContext:
    """The context of all the endpoint's connections. Raises Refused where the CA file cannot be read.

    With fingerprints a handshake whose certificate has none of them fails, before anything is sent.
    """
    policy = endpoint.tls
    if policy.fingerprints:
        pinned = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.check_hostname = False
        pinned.verify_mode = ssl.CERT_NONE
        pinned.fingerprints = frozenset(policy.fingerprints)
        return pinned
    try:
        found = ssl.create_default_context(cafile=policy.ca_file)
    except OSError as error:
        why = f"tls.ca_file '{policy.ca_file}' cannot be used: {error}"
        hint = "give a PEM file of the signing authority"
        raise Refused(endpoint.name, "open", why, hint=hint) from error
    if policy.unverified_because is not None:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    return found


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER, as ``openssl x509 -fingerprint -sha256`` prints it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


class _Pinned:
    """A handshake that ends with a look at the certificate."""

    def do_handshake(self, *arguments: Any) -> None:
        connection: Any = self
        super().do_handshake(*arguments)  # type: ignore[misc] # it stands before the class that has it
        certificate = connection.getpeercert(binary_form=True)
        found = fingerprint(certificate) if certificate else "none"
        if found not in connection.context.fingerprints:
            msg = f"its SHA-256 fingerprint {found} is not one of tls.fingerprints"
            error = ssl.SSLCertVerificationError(msg)
            error.verify_message = msg
            raise error


class _PinnedSocket(_Pinned, ssl.SSLSocket):
    """A TLS connection over a socket."""


class _PinnedObject(_Pinned, ssl.SSLObject):
    """A TLS connection inside of another one."""


class _PinnedContext(ssl.SSLContext):
    sslsocket_class = _PinnedSocket
    sslobject_class = _PinnedObject
    fingerprints: frozenset[str] = frozenset()


def failure(error: ssl.SSLError) -> tuple[str, str, str]:
    """The code, the reason and what to do where TLS ended a connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"the server's TLS certificate is not trusted: {error.verify_message}"
        return "SSLCertVerificationError", why, HINT
    if isinstance(error, HUNG_UP):
        return "SSLEOFError", "the server closed the connection without an answer", "repeat the call"
    return "SSLError", f"no TLS connection: {error.reason or error}", "check the address and port"

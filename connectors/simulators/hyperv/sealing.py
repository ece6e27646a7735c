"""Logging in by NTLM or Kerberos and sealing messages with it: the cryptography is pyspnego's and libkrb5's.

MS-WSMV 2.2.9.1 describes the sealed messages, RFC 5929 the binding to a TLS certificate.
"""

import base64
import hashlib
import hmac
import os
import re
import struct
from pathlib import Path

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from connectors.simulators.hyperv.tickets import BadToken, Tickets

BOUNDARY = b"--Encrypted Boundary"
PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
CONTENT_TYPE = f'multipart/encrypted;protocol="{PROTOCOL}";boundary="Encrypted Boundary"'
SOAP = "application/soap+xml;charset=UTF-8"

_SEALED = re.compile(
    rb"\A--Encrypted Boundary\r\n.*?Length=(\d+)\r\n--Encrypted Boundary\r\n"
    rb"\s*Content-Type: application/octet-stream\r\n(.*)--Encrypted Boundary--(?:\r\n)?\Z",
    re.DOTALL,
)


_KERBEROS = bytes.fromhex("06092a864886f712010202")
"""The object identifier that a Kerberos token begins with, after its length."""


class BadSeal(Exception):
    """A message that was not sealed by the user who logged in on this connection, or was changed."""


def bindings_of(certificate_der: bytes) -> GssChannelBindings:
    """What NTLM binds to a TLS connection: the SHA-256 of the server's certificate."""
    digest = hashlib.sha256(certificate_der).digest()
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)


class Login:
    """One connection's login. The passwords stand in the file that ``NTLM_USER_FILE`` names."""

    def __init__(self, bindings: GssChannelBindings | None, *, basic: bool) -> None:
        self._bindings = bindings
        self._basic = basic
        self._by_password = False
        self._context: spnego.ContextProxy | Tickets | None = None

    @property
    def complete(self) -> bool:
        """Whether a user has proved who it is."""
        return self._by_password or (self._context is not None and self._context.complete)

    def forget_password(self) -> None:
        """A password counts for the request that has it; NTLM and Kerberos for the connection."""
        self._by_password = False

    def step(self, authorization: str) -> tuple[str, str] | None:
        """The scheme and token to answer an Authorization header with; None for a refusal."""
        scheme, _, text = authorization.partition(" ")
        token = base64.b64decode(text)
        if scheme == "Basic":
            self._by_password = self._basic and _is_user(token)
            return ("Basic", "") if self._by_password else None
        if self.complete or self._context is None:
            self._context = self._begun_by(token)
        try:
            reply = self._context.step(token)
        except (SpnegoError, BadToken):
            self._context = None
            return None
        return scheme, base64.b64encode(reply or b"").decode()

    def _begun_by(self, token: bytes) -> spnego.ContextProxy | Tickets:
        if _KERBEROS in token[:32]:
            return Tickets()
        protocol = "ntlm" if token.startswith(b"NTLMSSP\0") else "negotiate"
        return spnego.server(protocol=protocol, channel_bindings=self._bindings)

    def unseal(self, body: bytes) -> bytes:
        """The message in a sealed body. Raises BadSeal."""
        found = _SEALED.match(body)
        if found is None or self._context is None:
            msg = "the body is not of the form of MS-WSMV 2.2.9.1"
            raise BadSeal(msg)
        length, sealed = int(found[1]), found[2]
        (header,) = struct.unpack("<i", sealed[:4])
        try:
            message = self._context.unwrap_winrm(sealed[4 : 4 + header], sealed[4 + header :])
        except (SpnegoError, BadToken) as error:
            raise BadSeal(str(error)) from None
        if len(message) != length:
            msg = f"the message has {len(message)} bytes and says it has {length}"
            raise BadSeal(msg)
        return message

    def seal(self, message: bytes) -> bytes:
        """The sealed body of a message."""
        assert self._context is not None
        wrapped = self._context.wrap_winrm(message)
        head = f"\tContent-Type: {PROTOCOL}\r\n\tOriginalContent: type={SOAP};Length={len(message)}\r\n"
        return (
            BOUNDARY + b"\r\n" + head.encode() + BOUNDARY + b"\r\n"
            b"\tContent-Type: application/octet-stream\r\n"
            + struct.pack("<i", len(wrapped.header))
            + wrapped.header
            + wrapped.data
            + BOUNDARY
            + b"--\r\n"
        )


def _is_user(given: bytes) -> bool:
    """Whether ``user:password`` stands in the file of the passwords, after an empty domain."""
    lines = Path(os.environ["NTLM_USER_FILE"]).read_bytes().splitlines()
    return any(hmac.compare_digest(line, b":" + given) for line in lines)

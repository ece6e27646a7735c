"""Logging in by Kerberos, and sealing messages with it, by python-gssapi: the host's side of a ticket.

pyspnego would do the same, but imports python-krb5 for it, which no distribution has and which takes a minute
to compile; Debian has python-gssapi. RFC 4121 describes the tokens, MS-WSMV 2.2.9.1 how WinRM splits a sealed one.
"""

import importlib
from typing import Any, NamedTuple

KERBEROS = "1.2.840.113554.1.2.2"
"""The mechanism's object identifier (RFC 4121)."""


class Wrapped(NamedTuple):
    """A sealed message: what WinRM sends before its length is known, and the rest."""

    header: bytes
    data: bytes


class BadToken(Exception):
    """A ticket for another host, of another realm or out of its time; a message that was changed."""


class Tickets:
    """One connection's login by the key of this host, of the keytab that ``KRB5_KTNAME`` names."""

    def __init__(self) -> None:
        self._gssapi: Any = importlib.import_module("gssapi")
        self._context: Any = None

    @property
    def complete(self) -> bool:
        """Whether a user has proved who it is, and this host too."""
        return self._context is not None and bool(self._context.complete)

    def step(self, token: bytes) -> bytes | None:
        """What to answer a token with. Raises BadToken."""
        try:
            if self._context is None:
                self._context = self._accepting()
            reply: bytes | None = self._context.step(token)
        except self._gssapi.exceptions.GSSError as error:
            raise BadToken(str(error)) from None
        return reply

    def _accepting(self) -> Any:
        mechanism = self._gssapi.OID.from_int_seq(KERBEROS)
        credentials = self._gssapi.Credentials(usage="accept", mechs=[mechanism])
        return self._gssapi.SecurityContext(usage="accept", creds=credentials)

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """The message that was sealed. Raises BadToken."""
        raw = self._gssapi.raw
        kinds = raw.IOVBufferType
        parts = raw.IOV((kinds.header, False, header), data, kinds.data, std_layout=False)
        try:
            raw.unwrap_iov(self._context, parts)
        except self._gssapi.exceptions.GSSError as error:
            raise BadToken(str(error)) from None
        return bytes(parts[1].value or b"")

    def wrap_winrm(self, message: bytes) -> Wrapped:
        """The message, sealed."""
        raw = self._gssapi.raw
        kinds = raw.IOVBufferType
        parts = raw.IOV(kinds.header, message, kinds.padding, std_layout=False)
        raw.wrap_iov(self._context, parts)
        header, data, padding = (bytes(part.value or b"") for part in parts)
        return Wrapped(header, data + padding)

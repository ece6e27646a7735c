"""pywinrm's WS-Management connection with one deadline over a whole call.

pywinrm's own timeout counts anew with every packet, and its wait for a command's output has no end.
"""

import functools
import http.client
import io
import socket
import ssl
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from spnego.exceptions import SpnegoError
from urllib3.connection import HTTPConnection, HTTPSConnection
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from connectors.deadlines import Deadline
from connectors.drivers.hyperv.settings import Settings

__all__ = [
    "FAILURES",
    "InvalidCredentialsError",
    "Protocol",
    "WSManFaultError",
    "WinRMOperationTimeoutError",
    "WinRMTransportError",
    "connect",
    "root_cause",
]

FAILURES = (
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    SpnegoError,
    OSError,
)
"""What a request can raise when the host, the network or the answer is at fault."""

_UNBOUNDED_S = 3600
"""pywinrm wants a timeout of its own; the deadline below it is always nearer."""


def connect(
    settings: Settings,
    username: str | None,
    password: str | None,
    context: ssl.SSLContext,
    deadline: Deadline,
) -> Protocol:
    """A WS-Management connection that is logged in by NTLM, Kerberos or a plain password.

    Over plain http each message is sealed by NTLM or Kerberos (MS-WSMV 2.2.9.1); over https TLS does that,
    and NTLM is bound to the server's certificate (RFC 5929). Kerberos takes the ticket of this process: of
    its credential cache, or by the keytab that ``KRB5_CLIENT_KTNAME`` names.
    """
    protocol = _Protocol(
        endpoint=settings.url,
        transport=settings.options.auth.value,
        username=username,
        password=password,
        kerberos_hostname_override=settings.options.spn_host,
        read_timeout_sec=_UNBOUNDED_S,
        operation_timeout_sec=1,
        message_encryption="never",
        proxy=None,
        ca_trust_path="",
    )
    transport = protocol.transport
    session = transport.build_session()
    session.trust_env = False  # neither proxies nor .netrc of this machine concern a hypervisor
    session.mount(settings.url, _Adapter(context, deadline))
    if not settings.encrypted:
        # Only now: pywinrm logs in here, and that too must keep the deadline.
        transport.setup_encryption(session)
    return protocol


class _Protocol(Protocol):
    """pywinrm's messages, with an error of this list for an answer that pywinrm stumbles over."""

    def send_message(self, message: str) -> Any:
        """The answer's envelope. Raises one of FAILURES."""
        try:
            return super().send_message(message)
        except FAILURES:
            raise
        except Exception as error:  # it takes answers apart by position, key and type, and checks none
            msg = f"the answer cannot be read ({type(error).__name__})"
            raise http.client.HTTPException(msg) from error


def root_cause(error: BaseException) -> BaseException:
    """The error below the wrappings of requests and urllib3; TimeoutError, if one is among them."""
    seen: list[BaseException] = []
    _unwrap(error, seen)
    timeouts = [one for one in seen if isinstance(one, TimeoutError)]
    inner = [one for one in seen if isinstance(one, ssl.SSLError)] or timeouts
    plain = [one for one in seen if isinstance(one, OSError) and one.errno is not None]
    return (inner or plain or [error])[0]


def _unwrap(error: BaseException, seen: list[BaseException]) -> None:
    if error in seen:
        return
    seen.append(error)
    below = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for one in below:
        if isinstance(one, BaseException):
            _unwrap(one, seen)


class _BoundedReader(io.RawIOBase):
    """The answer's bytes; each read may take what is left of the call's time."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock  # requests_ntlm finds the server's certificate by this name
        self._deadline = deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedAnswer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, deadline: Deadline, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock, deadline), 1 << 16)


class _Bounded(HTTPConnection):
    """Connects, sends and reads within the deadline."""

    def __init__(self, *arguments: Any, deadline: Deadline, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline = deadline
        self._answer: _BoundedAnswer | None = None
        new_answer: Any = self._new_answer
        self.response_class = new_answer

    def _new_answer(self, sock: socket.socket, *arguments: Any, **more: Any) -> _BoundedAnswer:
        self._answer = _BoundedAnswer(sock, *arguments, deadline=self._deadline, **more)
        return self._answer

    def close(self) -> None:
        # Python closes a socket only when the answer on it is closed too.
        answer, self._answer = self._answer, None
        super().close()
        if answer is not None:
            answer.close()

    def connect(self) -> None:
        self.timeout = self._deadline.left_s()
        super().connect()

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left_s())
        super().send(data)


class _Https(_Bounded, HTTPSConnection):
    """The same over TLS."""


class _Adapter(HTTPAdapter):
    """Gives requests our connections and our way to check certificates."""

    def __init__(self, context: ssl.SSLContext, deadline: Deadline) -> None:
        self._context = context
        self._deadline = deadline
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(urllib3.HTTPConnectionPool, _Bounded, self._deadline),
            "https": _pool(urllib3.HTTPSConnectionPool, _Https, self._deadline),
        }

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Leave `verify` aside: the context says how certificates are checked."""
        host, _ = super().build_connection_pool_key_attributes(request, True, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: requests would add authorities of its own to the context's."""


def _pool(kind: Any, connection: type[_Bounded], deadline: Deadline) -> Any:
    """A pool class, for urllib3 makes the pools itself, of connections with this deadline."""

    class Pool(kind):  # type: ignore[misc] # the class is chosen by the caller
        ConnectionCls = functools.partial(connection, deadline=deadline)

        def _validate_conn(self, conn: Any) -> None:
            """Connect, as urllib3 does, and do not warn: who does not verify has written down why."""
            if conn.is_closed:
                conn.connect()

    return Pool

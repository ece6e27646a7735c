"""HTTP for the clients of WS-Management, which both send by requests: with one deadline over a whole call.

Their own timeouts count anew with every packet.
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
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.deadlines import Deadline


def bind(session: requests.Session, url: str, context: ssl.SSLContext, deadline: Deadline) -> None:
    """Let a session reach this address only, directly, within the deadline, by our check of certificates."""
    session.trust_env = False  # neither proxies nor .netrc of this machine concern a hypervisor
    session.proxies = {}
    session.adapters.clear()
    session.mount(url, _Adapter(context, deadline))


class _BoundedReader(io.RawIOBase):
    """The answer's bytes; each read may take what is left of the call's time."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock  # both libraries find the server's certificate by this name
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

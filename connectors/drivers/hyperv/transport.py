"""HTTP for the clients of WS-Management, which both send by requests: with one deadline over a whole call.

Their own timeouts count anew with every packet.
"""

import functools
import socket
import ssl
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.deadlines import BoundedAnswer, Deadline


def bind(session: requests.Session, url: str, context: ssl.SSLContext, deadline: Deadline) -> None:
    """Let a session reach this address only, directly, within the deadline, by our check of certificates."""
    session.trust_env = False  # neither proxies nor .netrc of this machine concern a hypervisor
    session.proxies = {}
    session.adapters.clear()
    session.mount(url, _Adapter(context, deadline))


class _Bounded(HTTPConnection):
    """Connects, sends and reads within the deadline."""

    def __init__(self, *arguments: Any, deadline: Deadline, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline = deadline
        self._answer: BoundedAnswer | None = None
        new_answer: Any = self._new_answer
        self.response_class = new_answer

    def _new_answer(self, sock: socket.socket, *arguments: Any, **more: Any) -> BoundedAnswer:
        self._answer = BoundedAnswer(sock, *arguments, deadline=self._deadline, **more)
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

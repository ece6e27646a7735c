"""pyvmomi's SOAP connection with one deadline over a whole call.

pyvmomi's own timeout counts anew with every packet, and its version probe has none at all.
"""

import functools
import http.client
import io
import re
import socket
import ssl
from typing import Any

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter
from pyVmomi.VmomiSupport import GetServiceVersions, versionIdMap

from connectors.drivers.vsphere.deadline import Deadline
from connectors.drivers.vsphere.settings import Settings

__all__ = ["connect", "vim", "vmodl"]

POOL_IDLE_S = 15
"""Idle connections older than this are not used again: firewalls drop them silently."""
VERSIONS_LIMIT_BYTES = 1 << 20

_VIM25 = re.compile(r"<namespace>\s*<name>urn:vim25</name>(.*?)</namespace>", re.DOTALL)
_VERSION = re.compile(r"<version>([^<]+)</version>")


def connect(settings: Settings, context: ssl.SSLContext, deadline: Deadline) -> Any:
    """A SOAP stub that speaks the newest API version both sides know; not logged in."""
    connection: Any = functools.partial(_Https, context=context) if settings.encrypted else _Http
    version = _negotiate(connection(host=settings.host, port=settings.port, deadline=deadline))
    adapter: Any = _Stub  # pyvmomi says that it is typed, and is not
    stub = adapter(
        host=settings.host,
        port=settings.port,
        version=version,
        sslContext=context,
        connectionPoolTimeout=POOL_IDLE_S,
    )
    stub.scheme = connection
    stub.schemeArgs = {"deadline": deadline}
    return stub


def _negotiate(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/sdk/vimServiceVersions.xml")
        answer = connection.getresponse()
        text = answer.read(VERSIONS_LIMIT_BYTES).decode(errors="replace")
    finally:
        connection.close()
    if answer.status != http.client.OK:
        msg = f"{answer.status} {answer.reason}"
        raise http.client.HTTPException(msg)
    offered = set(_VERSION.findall(" ".join(_VIM25.findall(text))))
    known: Any = GetServiceVersions  # untyped, as above
    for version in known("vim25"):
        if versionIdMap[version] in offered:
            return str(version)
    msg = "it offers no version of the vSphere API that this driver knows"
    raise http.client.HTTPException(msg)


class _Stub(SoapStubAdapter):
    """pyvmomi's stub, for which an answer that it cannot read is an error of the connection."""

    def InvokeMethod(self, *arguments: Any, **more: Any) -> Any:  # noqa: N802 -- pyvmomi's name
        call: Any = super().InvokeMethod
        try:
            return call(*arguments, **more)
        except (OSError, http.client.HTTPException):
            raise
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            # What pyvmomi's parser raises on types it does not expect; arguments are checked before this.
            msg = f"an answer that pyvmomi cannot read ({type(error).__name__}: {error})"
            raise http.client.HTTPException(msg) from error


class _BoundedReader(io.RawIOBase):
    """The answer's bytes; each read may take what is left of the call's time."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
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


class _Bounded(http.client.HTTPConnection):
    """Connects, sends and reads within the deadline."""

    def __init__(self, *arguments: Any, deadline: Deadline, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline = deadline
        self._answer: http.client.HTTPResponse | None = None
        self._create_connection = self._dial
        answer: Any = functools.partial(_BoundedAnswer, deadline=deadline)
        self.response_class = answer

    def _dial(self, address: tuple[str, int], *_arguments: Any) -> socket.socket:
        """Try the host's addresses in turn; together they have the time that one has."""
        failure: OSError = OSError(f"host '{address[0]}' has no address")
        for *_, target in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                return socket.create_connection((str(target[0]), address[1]), self._deadline.left_s())
            except OSError as error:
                failure = error
        raise failure

    def connect(self) -> None:
        self.timeout = self._deadline.left_s()
        super().connect()

    def getresponse(self) -> http.client.HTTPResponse:
        self._answer = super().getresponse()
        return self._answer

    def close(self) -> None:
        # Python closes a socket only when the answer on it is closed too.
        answer, self._answer = self._answer, None
        super().close()
        if answer is not None:
            answer.close()

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left_s())
        super().send(data)


class _Http(_Bounded):
    """Plain HTTP, for simulators."""


class _Https(_Bounded, http.client.HTTPSConnection):
    """HTTP over TLS."""

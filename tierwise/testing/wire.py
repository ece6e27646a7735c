"""A wire between a connector and its endpoint that can be cut, garbled or frozen."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from enum import StrEnum
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 4096
_HTML = b"<html><body><p>Please log in to use the network.</p></body></html>"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(_HTML), _HTML)


class Fault(StrEnum):
    """What happens to the wire once the bytes of answers that it still carries are used up."""

    NONE = "none"
    CUT = "cut"
    """Every connection is reset, those that come later too."""
    GARBLE = "garble"
    """Answers go on with other bytes than were sent."""
    PAGE = "page"
    """Answers are a web page, whatever was asked, as of a portal that stands before the network."""
    FREEZE = "freeze"
    """Connections stay, and carry nothing in either direction; new ones are accepted."""


class Wire:
    """Carries TCP connections to one address; a fault is met by all of them, new ones included.

    It listens at the target's own host, so that a certificate for it holds here too. `hit` tells whether the
    fault was met since it was set.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.host_name = host
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._fault, self._left_bytes = Fault.NONE, 0
        self.hit = False
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, name="wire", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def set(self, fault: Fault, after_bytes: int = 0) -> None:
        """From `after_bytes` of answers on, counted over all connections from now. NONE heals what comes later."""
        with self._lock:
            self._fault, self._left_bytes, self.hit = fault, after_bytes, False
        if fault is Fault.NONE:
            self._reset_all()  # What a fault was in stays broken.

    @contextlib.contextmanager
    def failing(self, fault: Fault, after_bytes: int = 0) -> Iterator[None]:
        """The fault, healed at the end."""
        self.set(fault, after_bytes)
        try:
            yield
        finally:
            hit = self.hit
            self.set(Fault.NONE)
            self.hit = hit

    def reach(self) -> socket.socket:
        """A connection to the target; overridden where that is no TCP port."""
        return socket.create_connection(self.target, timeout=10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = self.reach()
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._carry, args=(source, sink, answers), name="wire", daemon=True
                ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(_CHUNK_BYTES):
                sink.sendall(self._through(data, answers))
        except OSError:
            _reset(source)
            _reset(sink)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _through(self, data: bytes, answers: bool) -> bytes:
        """What of the data arrives. Raises OSError where the wire is cut."""
        with self._lock:
            if self._fault is Fault.NONE:
                return data
            whole = min(len(data), self._left_bytes) if answers or not self._left_bytes else len(data)
            if answers:
                self._left_bytes -= whole
            if whole == len(data) or (self._fault in {Fault.GARBLE, Fault.PAGE} and not answers):
                return data
            self.hit = True
            if self._fault is Fault.CUT:
                raise ConnectionResetError
            if self._fault is Fault.PAGE:
                return data[:whole] + _PAGE
            rest = bytes(255 - byte for byte in data[whole:]) if self._fault is Fault.GARBLE else b""
            return data[:whole] + rest

    def _reset_all(self) -> None:
        with self._lock:
            found, self._open = self._open, set()
        for one in found:
            _reset(one)


def _reset(one: socket.socket) -> None:
    """Close with a reset rather than an end, as a router that forgot the connection does."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()

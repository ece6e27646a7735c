"""One time limit for a whole call, however many requests it takes, and HTTP connections that keep it."""

import functools
import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

GRACE = 0.05
"""Part of the limit that cleaning up may take after it has passed."""


class Deadline:
    """The end of the call under way; requests read it before each step that can block."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._end_s = 0.0
        self._cleanup_end_s = 0.0
        self.begin()

    def begin(self) -> None:
        """Start a new call."""
        self._end_s = time.monotonic() + self.limit_s
        self._cleanup_end_s = self._end_s + self.limit_s * GRACE

    def left_s(self) -> float:
        """Seconds left, more than zero. Raises TimeoutError when there are none."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(self.passed)
        return left_s

    @property
    def passed(self) -> str:
        """What to say of a call that it ended; sockets say it in words of their own."""
        return f"no answer within {self.limit_s:g} s"

    @contextmanager
    def until(self, end_s: float) -> Iterator[None]:
        """Let what is inside have its end at a moment of the monotonic clock."""
        kept, self._end_s = self._end_s, end_s
        try:
            yield
        finally:
            self._end_s = kept

    def share(self, parts: int) -> AbstractContextManager[None]:
        """Let what is inside have one of so many equal parts of the time that is left."""
        return self.until(time.monotonic() + self.left_s() / parts)

    def cleanup(self) -> AbstractContextManager[None]:
        """Let what is inside run a little past the end, so that nothing stays behind at the server."""
        return self.until(self._cleanup_end_s)


def connection(
    host: str, port: int, deadline: Deadline, context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    """A connection, not dialled yet, that keeps the deadline; over TLS where a context is given."""
    if context is None:
        return _Http(host, port, deadline=deadline)
    return _Https(host, port, deadline=deadline, context=context)


class _BoundedReader(io.RawIOBase):
    """The answer's bytes; each read may take what is left of the call's time."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock  # clients of WS-Management find the server's certificate by this name
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


class BoundedAnswer(http.client.HTTPResponse):
    """An answer that is read within the deadline, whichever library's connection it came over."""

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
        answer: Any = functools.partial(BoundedAnswer, deadline=deadline)
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

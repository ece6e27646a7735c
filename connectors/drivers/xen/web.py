"""What members give and take over plain HTTP: disk images and measurements.

A member that does not see a disk's storage sends the client to one that does (302), by IP address. The driver
goes there only if it is the address of a host of the pool, at the endpoint's own port and with TLS as for the
calls: the answer's word for scheme, port and path does not count. The login stands in the request's target, so
no target is ever part of a message.
"""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from connectors.drivers.xen.estate import records
from connectors.drivers.xen.session import MOST_REDIRECTS, Op
from connectors.drivers.xen.tasks import Task
from connectors.errors import Unreachable

OK, FOUND, UNAUTHORIZED = 200, 302, 401


class Exchange(NamedTuple):
    """A request whose answer has begun."""

    connection: http.client.HTTPConnection
    answer: http.client.HTTPResponse

    def send(self, part: bytes) -> None:
        """Send a part of the content; xapi answers before it reads any."""
        self.connection.send(part)


class Wanted(NamedTuple):
    """What is asked of a member. `length` is that of the content that follows, None where none does."""

    method: str
    path: str
    query: Mapping[str, str]
    length: int | None = None


@contextmanager
def exchange(op: Op, member: str, wanted: Wanted, task: Task | None = None) -> Iterator[Exchange]:
    """Ask a member, or the one that it names. Raises the task's failure, HTTPException or Unreachable."""
    for _ in range(MOST_REDIRECTS + 1):
        with closing(op.session.dial(member)) as connection:
            answer = _asked(op, connection, wanted)
            with closing(answer):
                if answer.status == OK:
                    yield Exchange(connection, answer)
                    return
                if answer.status != FOUND:
                    raise _refusal(op, answer, task)
                member = _next_member(op, member, answer.headers.get("Location", ""))
    why = f"the members send each other's clients around; the last was sent to '{member}'"
    raise op.error(Unreachable, why, hint="check which hosts see the storage repository")


def _asked(op: Op, connection: Any, wanted: Wanted) -> http.client.HTTPResponse:
    connection.putrequest(wanted.method, op.session.path(wanted.path, wanted.query))
    connection.putheader("Accept", "application/json, */*;q=0.1")
    if wanted.length is not None:
        connection.putheader("Content-Length", str(wanted.length))
    connection.endheaders()
    # Not by getresponse, which would take the connection away before the content is sent.
    answer: http.client.HTTPResponse = connection.response_class(connection.sock, method=wanted.method)
    try:
        answer.begin()
    except BaseException:
        answer.close()
        raise
    return answer


def _refusal(op: Op, answer: http.client.HTTPResponse, task: Task | None) -> Exception:
    """Why the answer is not what was asked for: the task's words go before the bare status."""
    if answer.status == UNAUTHORIZED:
        return op.session.fail(["SESSION_INVALID"])
    failure = None if task is None else task.failure()
    return failure or http.client.HTTPException(f"{answer.status} {answer.reason}")


def _next_member(op: Op, member: str, location: str) -> str:
    """Where a member sends its client. Raises Unreachable unless that is a host of the pool."""
    try:
        host = urlsplit(location).hostname or ""
    except ValueError:
        host = ""
    if host not in {str(one["address"]) for one in records(op, "host").values()} - {""}:
        why = f"member '{member}' names '{host}', which is no host of the pool"
        raise op.error(Unreachable, why, hint="check who answers at the address")
    return host

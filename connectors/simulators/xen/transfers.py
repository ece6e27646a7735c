# ruff: noqa: EM101 -- an error code is data, not a sentence
"""What the simulated xapi answers to GET and PUT: disk images, and the hosts' measurements.

The order of checks and what a client sees of each failure are those of xapi's ``xapi_http.ml``,
``import_raw_vdi.ml``, ``export_raw_vdi.ml`` and ``rrdd_proxy.ml``: session (401), role (403), the disk, whether
this member sees its storage (302), the format (404), the encoding (403), and attaching it. A PUT is answered
before its content is read, so only the task says how it ended. Where the content has no length xapi's answer
is not known to us; ours is 411.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from connectors.simulators.xen import images, rrd
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.rules import Rule
from connectors.simulators.xen.storage import plugged_into_domain_0, room_for
from connectors.simulators.xen.store import now
from connectors.simulators.xen.world import World

KINDS = {"raw": "application/octet-stream", "vhd": "application/vhd"}
SENT_AT_ONCE = 1 << 16


class Answer(Exception):
    """The request ends with this status; `failure` is what its task says."""

    def __init__(self, status: int, failure: tuple[str, ...] = (), location: str = "") -> None:
        super().__init__(status, *failure)
        self.status = status
        self.failure = failure
        self.location = location


class Member(NamedTuple):
    """The member that was asked: its pool, its own host (or several), and how its clients reach it."""

    world: World
    hosts: tuple[str, ...]
    scheme: str


class Request:
    """One GET or PUT; `handler` is the member's HTTP handler."""

    def __init__(self, handler: Any, member: Member) -> None:
        self.handler = handler
        self.world = member.world
        self.member = member
        url = urlsplit(handler.path)
        self.path = url.path
        self.uri = handler.path
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.rule: Rule | None = None

    @property
    def name(self) -> str:
        """As rules and counters name it: ``GET /export_raw_vdi``."""
        return f"{self.handler.command} {self.path}"

    def serve(self) -> None:
        """Answer; whatever happens, the connection is closed afterwards, as xapi does."""
        self.handler.close_connection = True
        rule = self.rule = self.handler.rules.match(self.name)
        try:
            if rule is not None and not rule.after:
                self._misbehave(rule)
            ENDPOINTS.get(self.name, _nothing)(self)
        except Answer as answer:
            self._end(answer)
        except Failure as failure:
            self._end(Answer(HTTPStatus.INTERNAL_SERVER_ERROR, (failure.code, *failure.parameters)))

    def _misbehave(self, rule: Rule) -> None:
        time.sleep(rule.delay_ms / 1000)
        if rule.action == "reset":
            raise ConnectionAbortedError
        if rule.action == "fail":
            raise Failure(rule.code, *rule.parameters)
        if rule.action == "http":
            raise Answer(rule.status, location="".join(rule.parameters))
        if rule.action == "garbage":
            self.handler.wfile.write(b"<methodResponse><params>")
            raise ConnectionAbortedError

    def half_way(self) -> bool:
        """In the middle of a content: what a rule wants to happen there; True to end as if that were all."""
        rule = self.rule
        if rule is None or not rule.after:
            return False
        time.sleep(rule.delay_ms / 1000)
        if rule.action == "fail":
            raise Failure(rule.code, *rule.parameters)
        if rule.action == "garbage":
            return True
        if rule.action != "delay":
            raise ConnectionAbortedError
        return False

    def _end(self, answer: Answer) -> None:
        with self.world.store.changed:
            if answer.failure:
                self._finish("failure", error_info=list(answer.failure))
        more = {"Location": answer.location} if answer.location else {}
        self.head(answer.status, {"Content-Length": "0", **more})

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the answer's head."""
        self.handler.send_response(status)
        for name, value in {"Connection": "close", "Cache-Control": "no-cache", **headers}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def admit(self, permission: str, *, readers: bool) -> None:
        """Check the session and its role."""
        session = self.query.get("session_id", "")
        try:
            self.world.check_session(session)
        except Failure:
            raise Answer(HTTPStatus.UNAUTHORIZED, ("SESSION_AUTHENTICATION_FAILED",)) from None
        try:
            if not readers:
                self.world.check_role(session, f"http/{permission}")
        except Failure as failure:
            raise Answer(HTTPStatus.FORBIDDEN, (failure.code, *failure.parameters)) from None

    def _finish(self, status: str, **more: Any) -> None:
        task = self.query.get("task_id", "")
        with suppress(Failure):  # the client may have named no task, or destroyed it
            if self.world.store.row("task", task)["status"] in {"pending", "cancelling"}:
                self.world.store.set("task", task, status=status, finished=now(), progress=1.0, **more)

    @contextmanager
    def disk(self, permission: str, mode: str) -> Iterator[tuple[str, str, int]]:
        """The disk that is asked for, its format and size, attached while it is used; then the task ends."""
        changed = self.world.store.changed
        with changed:
            self.admit(permission, readers=False)
            ref = self._disk_ref()
            host = self._host_that_sees(ref)
            form = self.query.get("format", "raw").lower()
            if form not in images.FORMATS:
                raise Answer(HTTPStatus.NOT_FOUND, ("INTERNAL_ERROR", f"Unknown format {form}"))
            if self.handler.headers.get("Transfer-Encoding"):
                why = "import code cannot handle encoding"
                raise Answer(HTTPStatus.FORBIDDEN, ("INTERNAL_ERROR", why))
            size = self.world.store.row("VDI", ref)["virtual_size"]
            attached = plugged_into_domain_0(self.world, ref, host, mode)
            attached.__enter__()
        try:
            yield ref, form, size
        except (OSError, ValueError, Failure) as error:
            code = (error.code, *error.parameters) if isinstance(error, Failure) else _io_error(error)
            with changed:
                attached.__exit__(None, None, None)
                self._finish("failure", error_info=list(code))
            raise ConnectionAbortedError from error
        with changed:
            attached.__exit__(None, None, None)
            self._finish("success")

    def _disk_ref(self) -> str:
        asked = self.query.get("vdi", "")
        rows = self.world.store.rows("VDI")
        for ref, row in rows.items():
            if asked in {ref, row["uuid"]}:
                return ref
        raise Failure("UUID_INVALID", "VDI", asked)

    def _host_that_sees(self, disk: str) -> str:
        """The member's own host; else sends the client to one that sees the disk's storage, at no port."""
        world = self.world
        sr = world.store.row("VDI", disk)["SR"]
        seeing = [host for host in world.hosts if world.sees(host, sr)]
        for host in self.member.hosts:
            if host in seeing:
                return host
        for host in seeing:
            if world.store.row("host", host)["enabled"]:
                address = world.store.row("host", host)["address"]
                location = f"{self.member.scheme}://{address}{self.uri}"
                raise Answer(HTTPStatus.FOUND, location=location)
        raise Failure("NO_HOSTS_AVAILABLE")

    def check_cancelled(self) -> None:
        """Raises Failure TASK_CANCELLED where somebody cancelled the task."""
        task = self.query.get("task_id", "")
        with self.world.store.changed:
            row = self.world.store.rows("task").get(task)
            if task and (row is None or row["status"] != "pending"):
                raise Failure("TASK_CANCELLED", task)


def _io_error(_error: Exception) -> tuple[str, ...]:
    return "VDI_IO_ERROR", "Device I/O errors"


def _export(request: Request) -> None:
    with request.disk("get_export_raw_vdi", "RO") as (ref, form, size):
        with request.world.store.changed:
            content = request.world.content(ref).copy()
        request.head(HTTPStatus.OK, {"Content-Type": KINDS[form]})
        sent = 0
        half = -(-size // 2) if form == "raw" else content.taken_bytes // 2
        for piece in images.written(form, content, size):
            if sent <= half < sent + len(piece) and request.half_way():
                break
            request.check_cancelled()
            request.handler.wfile.write(piece)
            sent += len(piece)


def _import(request: Request) -> None:
    with request.disk("put_import_raw_vdi", "RW") as (ref, form, size):
        length = request.handler.headers.get("Content-Length")
        if length is None:
            raise Answer(HTTPStatus.LENGTH_REQUIRED, ("INTERNAL_ERROR", "the length is not known"))
        request.head(HTTPStatus.OK, {"Content-Type": "application/octet-stream"})
        with request.world.store.changed:
            content = request.world.content(ref)
            room = room_for(request.world, ref) + content.taken_bytes
        read = _reader(request, int(length), lambda: content.taken_bytes > room)
        if int(length):
            images.take(form, read, int(length), content, size)


def _reader(request: Request, length: int, full: Callable[[], bool]) -> images.Read:
    """Reads the request's content; breaks off where the rule says so, or the storage is full."""
    done = 0

    def read(wanted: int) -> bytes:
        nonlocal done
        request.check_cancelled()
        if done <= length // 2 < done + wanted:
            request.half_way()
        got = request.handler.rfile.read(wanted)
        done += len(got)
        if len(got) < wanted or full():
            msg = f"the content ended, or found no room, after {done} bytes"
            raise ValueError(msg)
        return bytes(got)

    return read


def _rrd_updates(request: Request) -> None:
    with request.world.store.changed:
        request.admit("get_rrd_updates", readers=True)
        if not request.query.get("start", "").lstrip("-").isdigit():
            raise Answer(HTTPStatus.BAD_REQUEST)
        kind, content = rrd.updates(request.world, request.member.hosts, request.query)
    request.head(HTTPStatus.OK, {"Content-Type": kind, "Content-Length": str(len(content))})
    request.half_way()
    request.handler.wfile.write(content)


def _nothing(_request: Request) -> None:
    raise Answer(HTTPStatus.NOT_FOUND)


ENDPOINTS: Mapping[str, Callable[[Request], None]] = {
    "GET /export_raw_vdi": _export,
    "PUT /import_raw_vdi": _import,
    "GET /rrd_updates": _rrd_updates,
}

"""The simulator's process: ``python -m connectors.simulators.xen.server``, started by `XenSimulator`.

It reads its settings as one line of JSON from standard input, prints where it listens as one line of JSON,
and ends when standard input closes.
"""

import json
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from connectors.simulators.processes import must_be_there
from connectors.simulators.xen import wire
from connectors.simulators.xen.dispatch import ASYNC, Dispatcher, known
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.rules import Rule, Rules
from connectors.simulators.xen.schema import beyond
from connectors.simulators.xen.transfers import ENDPOINTS, Member, Request
from connectors.simulators.xen.world import Estate, World

HANDSHAKE_LIMIT_S = 30.0


class Quiet(BaseHTTPRequestHandler):
    """A handler that keeps connections open and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: Any) -> None:
        """Nobody reads it."""

    def body(self) -> bytes:
        """The request's content."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, content: bytes, kind: str = "text/xml") -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Listener(ThreadingHTTPServer):
    """A server that can cut all its connections, as a process that dies does."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[Quiet], tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent client holds up nobody."""
        if self._tls is not None:
            request.settimeout(HANDSHAKE_LIMIT_S)
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except OSError:
                request.close()
                return
            request.settimeout(None)
        self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in the middle; that is their right."""

    def cut(self) -> None:
        """Close every connection."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Xapi(Quiet):
    """XML-RPC on every path, JSON-RPC on /jsonrpc; GET and PUT for disk images and measurements."""

    dispatcher: ClassVar[Dispatcher]
    rules: ClassVar[Rules]
    hosts: ClassVar[tuple[str, ...]]
    scheme: ClassVar[str]
    slave_of: ClassVar[str] = ""
    speaks_json: ClassVar[bool] = True

    def do_GET(self) -> None:
        """A disk image, or measurements; members that are not the master give them too."""
        request = Request(self, Member(self.dispatcher.world, self.hosts, self.scheme))
        self.dispatcher.calls[request.name] += 1
        request.serve()

    def do_PUT(self) -> None:
        """A disk image."""
        self.do_GET()

    def do_POST(self) -> None:
        """One call."""
        body, is_json = self.body(), self.speaks_json and self.path.partition("?")[0] == "/jsonrpc"
        try:
            call = wire.read_json(body) if is_json else wire.read_xml(body)
        except wire.MalformedError:
            self.answer(
                HTTPStatus.INTERNAL_SERVER_ERROR, b"<html><body>malformed</body></html>", "text/html"
            )
            return
        content = self._content(call, is_json=is_json)
        if content is not None:
            self.answer(HTTPStatus.OK, content, "application/json" if is_json else "text/xml")

    def _content(self, call: wire.Call, *, is_json: bool) -> bytes | None:
        rule = self.rules.match(call.method)
        if rule is not None and not rule.after and rule.action != "delay":
            return self._misbehave(rule, call, is_json=is_json)
        if rule is not None and not rule.after:
            time.sleep(rule.delay_ms / 1000)
        try:
            value = self.dispatcher.call(call.method, call.params, self.slave_of)
            content = wire.json_success(call, value) if is_json else wire.xml_success(value)
        except Failure as failure:
            content = _failed(failure, call, is_json=is_json)
        if rule is not None and rule.after:
            return self._misbehave(rule, call, is_json=is_json, right=content)
        return content

    def _misbehave(self, rule: Rule, call: wire.Call, *, is_json: bool, right: bytes = b"") -> bytes | None:
        time.sleep(rule.delay_ms / 1000)
        if rule.action == "fail":
            return _failed(Failure(rule.code, *rule.parameters), call, is_json=is_json)
        if rule.action == "garbage":
            return b"<methodResponse><params>"
        if rule.action == "http":
            self.answer(rule.status, b"", "text/html")
            return None
        if rule.action == "reset":
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return right


def _failed(failure: Failure, call: wire.Call, *, is_json: bool) -> bytes:
    return wire.json_failure(call, failure) if is_json else wire.xml_failure(failure)


@cache
def rulable() -> frozenset[str]:
    """What a rule can be for: all calls, one message of xapi's, by itself or as a task, or an HTTP request."""
    messages = known().keys() | beyond()
    return frozenset({"*", *messages, *(f"{ASYNC}{one}" for one in messages), *ENDPOINTS})


def _rule(given: Any) -> Rule:
    rule = Rule.model_validate(given)
    must_be_there("method", rule.method, rulable())
    return rule


class Process:
    """The listeners of one simulated pool, and what its owner can ask of them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.rules = Rules()
        estate = Estate.model_validate(settings["estate"])
        world = World(
            estate,
            settings["user"],
            settings["password"],
            settings["task_delay_s"],
            [settings["host"], *settings["slaves"]],
        )
        self.dispatcher = Dispatcher(world)
        self.tls = _tls(settings)
        self.speaks_json: bool = settings["speaks_json"]
        self.master = self._listen(settings["host"], settings["port"], "")
        self.port = self.master.server_address[1]
        self.slaves = [self._listen(one, self.port, settings["host"]) for one in settings["slaves"]]
        process = self

        class Control(Quiet):
            def do_POST(self) -> None:
                try:
                    reply = process.control(self.path, json.loads(self.body() or b"null"))
                except ValueError as error:
                    self.answer(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain")
                    return
                self.answer(HTTPStatus.OK, json.dumps(reply).encode(), "application/json")

        self.controller = Listener(("127.0.0.1", 0), Control)

    def _listen(self, host: str, port: int, slave_of: str) -> Listener:
        scheme, hosts = "https" if self.tls else "http", self.dispatcher.world.hosts_at(host)
        values = {"dispatcher": self.dispatcher, "rules": self.rules, "slave_of": slave_of}
        values |= {"hosts": hosts, "scheme": scheme, "speaks_json": self.speaks_json}
        handler = type("Member", (Xapi,), values)
        return Listener((host, port), handler, self.tls)

    def serve(self) -> None:
        """Answer until told to stop."""
        for listener in (self.master, *self.slaves, self.controller):
            threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()

    def announcement(self) -> dict[str, Any]:
        """Where everything is."""
        return {
            "address": f"{self.master.server_address[0]!s}:{self.port}",
            "scheme": "https" if self.tls else "http",
            "control": f"127.0.0.1:{self.controller.server_address[1]}",
        }

    def control(self, path: str, document: Any) -> Any:
        """What the owner asks for. Raises ValueError."""
        world = self.dispatcher.world
        with world.store.changed:
            if path == "/rules":
                self.rules.replace([_rule(one) for one in document])
                self.dispatcher.calls.clear()
            elif path == "/restart":
                world.forget_clients()
                world.forget_the_deleted()
                self.master.cut()
            elif path == "/forget-sessions":
                world.forget_clients()
            elif path == "/kill-master":
                self._kill_master()
            elif path == "/promote":
                self._promote()
            elif path == "/forward":
                world.clock_offset_s += int(document)
            elif path == "/calls":
                return dict(self.dispatcher.calls)
            elif path == "/counts":
                return {name: len(world.store.rows(name)) for name in document}
            elif path == "/messages":
                return sorted(known())
            else:
                msg = f"there is no '{path}'"
                raise ValueError(msg)
        return None

    def _kill_master(self) -> None:
        self.master.shutdown()
        self.master.server_close()
        self.master.cut()

    def _promote(self) -> None:
        """The master dies; its first slave becomes master, with the same database."""
        self._kill_master()
        self.master = self.slaves.pop(0)
        handler: Any = self.master.RequestHandlerClass
        handler.slave_of = ""
        for slave in self.slaves:
            other: Any = slave.RequestHandlerClass
            other.slave_of = str(self.master.server_address[0])


def _tls(settings: dict[str, Any]) -> ssl.SSLContext | None:
    if not settings["certificate"]:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"], settings["key"])
    return context


def main() -> None:
    """Run until standard input closes."""
    process = Process(json.loads(sys.stdin.readline()))
    process.serve()
    sys.stdout.write(json.dumps(process.announcement()) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()

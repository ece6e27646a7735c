"""The simulator's process: WinRM's HTTP listener, and a control channel on standard input and output.

It is started by `connectors.simulators.hyperv.HypervSimulator`. The first line of standard input is its
configuration; it answers with the address. Each further line is a request, answered by a line. It ends
when standard input ends.
"""

import json
import shutil
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from connectors.simulators.hyperv import hardware, sealing, soap
from connectors.simulators.hyperv.estate import Adapter, Disk, Estate, Metering, Vm, World
from connectors.simulators.hyperv.interpreter import ConnectionLost, cmdlet_name
from connectors.simulators.hyperv.operations import OPERATIONS
from connectors.simulators.hyperv.rules import Rule, Rules
from connectors.simulators.hyperv.shells import SHELL_OPERATIONS, Limits, Shells
from connectors.simulators.processes import must_be_there

PATH = "/wsman"
ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a TCP reset."""


class Host:
    """One simulated host: its state, who is connected, and the other nodes of its cluster."""

    def __init__(
        self, configuration: Mapping[str, Any], name: str = "", cluster: "Host | None" = None
    ) -> None:
        estate = Estate.model_validate(configuration["estate"])
        first = None if cluster is None else cluster.world
        self.world: World = World(
            estate.model_copy(update={"host": name or estate.host}), Path(configuration["store"]), first
        )
        self.rules: Rules = Rules() if cluster is None else cluster.rules
        self.others: list[Host] = []
        if cluster is None:
            self.others = [Host(configuration, node, self) for node in estate.nodes]
        self.limits = Limits.model_validate(configuration["limits"])
        self.shells = Shells(self.world, self.rules, self.limits)
        self.connections: set[socket.socket] = set()

    def command(self, name: str, argument: Any) -> Any:
        """One request of the control channel."""
        commands = {
            "rules": lambda: self.rule(argument),
            "calls": lambda: dict(self.rules.calls),
            "shells": lambda: sum(host.shells.count() for host in (self, *self.others)),
            "machines": lambda: {name: sorted(node.vms) for name, node in self.world.nodes.items()},
            "checkpoints": lambda: {
                one.name: one.created for vm in self.world.vms.values() for one in vm.snapshots
            },
            "roles": lambda: dict(self.world.roles),
            "down": lambda: self.set_down(argument),
            "disks": lambda: sorted(disk.path for disk in self.world.disks.values()),
            "folders": lambda: sorted(self.world.folders),
            "content": lambda: self.content(argument),
            "plant": lambda: self.plant(argument),
            "put": lambda: self.put(*argument),
            "restart": self.restart,
            "reset_metering": self.reset_metering,
            "reset": self.reset,
        }
        return commands[name]()

    def rule(self, given: Iterable[Any]) -> None:
        """Let these rules be in force, and no others. Raises ValueError for what the simulator does not have."""
        rules = [Rule.model_validate(one) for one in given]
        cmdlets = {cmdlet_name(name) for name in OPERATIONS}
        for rule in rules:
            names = {"error": cmdlets, "fault": SHELL_OPERATIONS}.get(
                rule.action, SHELL_OPERATIONS | cmdlets
            )
            must_be_there("operation or cmdlet", rule.method, names)
        self.rules.replace(rules)

    def plant(self, given: Mapping[str, Any]) -> str:
        """Register a machine as somebody else would have made it; its id."""
        world = self.world.nodes[given.get("node", self.world.estate.host)]
        with world.lock:
            config = {
                "NewVMName": given["name"],
                "Generation": given.get("generation", 2),
                "ProcessorCount": 1,
                "MemoryStartupBytes": 1 << 30,
                "Notes": given.get("notes", ""),
                "CheckpointType": "Production",
                **hardware.SECURE_BOOT,
            }
            path = given.get("path") or f"D:\\Machines\\{given['name']}"
            vm = Vm(world.new_id(), path, config, state=given.get("state", "Off"))
            if given.get("switch"):
                vm.adapters.append(Adapter(given["switch"], world.new_mac()))
            world.vms[vm.id] = vm
            if given.get("disk_bytes"):
                disk = Disk(f"{path}\\{vm.id}.vhdx", given["disk_bytes"])
                world.put_disk(disk)
                vm.disks.append(disk.path)
        return vm.id

    def put(self, path: str, source: str) -> None:
        """Put an image of this machine at a path of the host, as somebody else would have copied it there."""
        with self.world.lock:
            self.world.remove_disk(path)
            disk = Disk(path, 0, file=self.world.new_file(), unread=True)
            assert disk.file is not None, disk
            shutil.copyfile(source, disk.file)
            self.world.put_disk(disk)

    def content(self, path: str) -> str:
        """Where on this machine the bytes of a disk's file are; empty where nobody looked at them."""
        with self.world.lock:
            disk = self.world.disk_of(path)
            return "" if disk is None or disk.file is None else str(disk.file)

    def reset_metering(self) -> None:
        """Begin all metering anew, as somebody else's Reset-VMResourceMetering does."""
        with self.world.lock:
            for world in self.world.nodes.values():
                now_s = world.pass_time()
                for vm in world.vms.values():
                    vm.metering = None if vm.metering is None else Metering(now_s)

    def reset(self) -> None:
        """Be as if just started: no machines, files, shells or rules."""
        self.rules.replace([])
        self.restart()
        with self.world.lock:
            for world in self.world.nodes.values():
                world.clear()

    def restart(self) -> None:
        """Restart WinRM: shells and connections end, machines stay."""
        for host in (self, *self.others):
            host.end_connections()

    def end_connections(self) -> None:
        """End all shells and connections of this host."""
        self.shells.clear()
        for connection in list(self.connections):
            abort(connection)

    def set_down(self, names: list[str]) -> None:
        """Let these nodes be down, and no others; their machines stay theirs."""
        with self.world.lock:
            self.world.down.clear()
            self.world.down.update(names)
        for host in (self, *self.others):
            if host.world.estate.host in names:
                host.end_connections()


def abort(connection: socket.socket) -> None:
    """End a connection with a TCP reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer was faster


class Listener(ThreadingHTTPServer):
    """Takes connections; with a certificate it speaks TLS."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: Host, configuration: Mapping[str, Any]) -> None:
        self.host = host
        self.bindings = None
        self.basic: bool = configuration["basic"]
        self.tls: ssl.SSLContext | None = None
        if configuration["certificate"]:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(configuration["certificate"], configuration["key"])
            pem = Path(configuration["certificate"]).read_text(encoding="ascii")
            self.bindings = sealing.bindings_of(ssl.PEM_cert_to_DER_cert(pem))
        super().__init__((configuration["listen"], configuration["port"]), Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection; the handshake is done here, so that a silent client holds up nobody."""
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                self.shutdown_request(request)
                return
        if self.host.world.estate.host in self.host.world.down:
            abort(request)
            return
        self.host.connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.host.connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no error of the simulator's; everything else is told."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection. NTLM and Kerberos log in a connection, not a request."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        """A connection begins, and nobody is logged in on it."""
        super().setup()
        self.login = sealing.Login(self.server.bindings, basic=self.server.basic)
        self.challenge = 'Negotiate, Basic realm="WSMAN"' if self.server.basic else "Negotiate"

    def do_POST(self) -> None:
        """Log in, or hand a message to the shells."""
        limit = self.server.host.limits.envelope_kib * 1024
        length = int(self.headers.get("Content-Length") or 0)
        if length > limit:
            # Seen in the field: github.com/ansible-collections/ansible.windows issue 391.
            self.close_connection = True
            return self._answer(413, b"", {"Connection": "close"})
        body = self.rfile.read(length)
        if self.path != PATH:
            return self._answer(404, b"")
        authorization = self.headers.get("Authorization")
        more: dict[str, str] = {}
        self.login.forget_password()
        if authorization is not None:
            answered = self.login.step(authorization)
            if answered is None:
                return self._answer(401, b"", {"WWW-Authenticate": self.challenge})
            more = {"WWW-Authenticate": " ".join(answered).strip()}
        if not self.login.complete:
            return self._answer(401, b"", more or {"WWW-Authenticate": self.challenge})
        if not body:
            return self._answer(200, b"", more)
        return self._message(body, more)

    def _message(self, body: bytes, more: Mapping[str, str]) -> None:
        sealed = sealing.PROTOCOL in self.headers.get("Content-Type", "")
        if not sealed and self.server.tls is None:
            words = "unencrypted traffic is disabled (AllowUnencrypted=false)"
            return self._answer(500, soap.fault(soap.Fault("w:AccessDenied", words, 5), ""))
        try:
            clear = self.login.unseal(body) if sealed else body
            status, reply = self._handled(clear)
        except sealing.BadSeal:
            self.close_connection = True
            return self._answer(400, b"", {"Connection": "close"})
        except ConnectionLost:
            self.close_connection = True
            return abort(self.connection)
        if not sealed:
            # A login may end with the message that it was made for; its token proves the host to the client.
            return self._answer(status, reply, {"Content-Type": sealing.SOAP, **more})
        return self._answer(status, self.login.seal(reply), {"Content-Type": sealing.CONTENT_TYPE})

    def _handled(self, clear: bytes) -> tuple[int, bytes]:
        message_id = ""
        try:
            message = soap.read(clear)
            message_id = message.message_id
            return 200, soap.answer(message, self.server.host.shells.handle(message))
        except soap.Fault as fault:
            return 500, soap.fault(fault, message_id)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing: standard error is for what breaks."""


def main() -> None:
    """Serve until standard input ends."""
    configuration = json.loads(sys.stdin.readline())
    host = Host(configuration)
    address = _listen(host, configuration)
    nodes = {one.world.estate.host: _listen(one, configuration | {"port": 0}) for one in host.others}
    _say({"address": address, "nodes": {host.world.estate.host: address, **nodes}})
    for line in sys.stdin:
        name, argument = json.loads(line)
        try:
            _say({"ok": host.command(name, argument)})
        except ValueError as error:
            _say({"error": str(error)})
        except KeyError as error:
            _say({"error": f"there is no {error}"})


def _listen(host: Host, configuration: Mapping[str, Any]) -> str:
    """Serve a host; its address."""
    listener = Listener(host, configuration)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    address, port = listener.server_address[:2]
    return f"{address!s}:{port}"


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

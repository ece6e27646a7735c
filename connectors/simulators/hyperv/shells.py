# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""Remote shells and their commands (MS-WSMV 3.1.4): what each operation does, and WinRM's limits."""

import base64
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import Field

from catalog.base import Value
from connectors.simulators.hyperv import interpreter
from connectors.simulators.hyperv.estate import World
from connectors.simulators.hyperv.interpreter import ConnectionLost, Output
from connectors.simulators.hyperv.rules import Rule, Rules
from connectors.simulators.hyperv.soap import NAMESPACES, Fault, Message

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CMD = f"{SHELL}/cmd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
TERMINATE = f"{SHELL}/signal/terminate"

TIMED_OUT = 2150858793
SHELL_NOT_FOUND = 2150858843
TOO_MANY_SHELLS = 2150859173
TOO_MANY_OPERATIONS = 2150859174
SHELL_OPERATIONS = frozenset({"Create", "Delete", "Command", "Send", "Receive", "Signal"})
"""What a client asks of a shell, as rules and counters name it."""

ENVELOPE_SHARE = 0.6
"""Of what a client takes in one envelope, the part that output may fill: base64 makes it a third longer."""


class Limits(Value):
    """WinRM's quotas, with the values that Windows Server has as it comes."""

    envelope_kib: int = Field(default=500, ge=32, description="MaxEnvelopeSizekb")
    shells_per_user: int = Field(default=30, ge=1, description="MaxShellsPerUser")
    operations_per_user: int = Field(default=1500, ge=1, description="MaxConcurrentOperationsPerUser")
    command_line_characters: int = Field(default=8191, ge=1)


@dataclass
class Running:
    """A command in a shell; `output` is there once it is done."""

    id: str
    stdin: bytearray = field(default_factory=bytearray)
    output: Output | None = None
    lost: bool = False
    sent: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)


class Shells:
    """All shells of the one user."""

    def __init__(self, world: World, rules: Rules, limits: Limits) -> None:
        self._world = world
        self._rules = rules
        self._limits = limits
        self._lock = threading.Lock()
        self._shells: dict[str, dict[str, Running]] = {}

    def count(self) -> int:
        """How many shells there are."""
        return len(self._shells)

    def clear(self) -> None:
        """End everything, as a restart of the service does."""
        with self._lock:
            for commands in self._shells.values():
                for command in commands.values():
                    command.cancelled.set()
            self._shells = {}

    def handle(self, message: Message) -> str:
        """The body of the answer. Raises Fault, and ConnectionLost where a rule says so."""
        operation = self._operation(message)
        rule = self._rules.called(message.action.rpartition("/")[2])
        if rule is not None and not rule.after:
            _obey(rule)
        body = operation(message)
        if rule is not None and rule.after:
            _obey(rule)
        return body

    def _operation(self, message: Message) -> Callable[[Message], str]:
        operations = {
            f"{TRANSFER}/Create": self._create,
            f"{TRANSFER}/Delete": self._delete,
            f"{SHELL}/Command": self._command,
            f"{SHELL}/Send": self._send,
            f"{SHELL}/Receive": self._receive,
            f"{SHELL}/Signal": self._signal,
        }
        if message.resource != CMD or message.action not in operations:
            words = f"NOT_IMPLEMENTED: the simulator has no {message.action} of {message.resource}"
            raise Fault("a:ActionNotSupported", words)
        return operations[message.action]

    def _create(self, _message: Message) -> str:
        with self._lock:
            if len(self._shells) >= self._limits.shells_per_user:
                words = "the maximum number of concurrent shells for this user has been exceeded"
                raise Fault("w:QuotaLimit", words, TOO_MANY_SHELLS)
            shell_id = str(uuid4()).upper()
            self._shells[shell_id] = {}
        return (
            f"<x:ResourceCreated><a:Address>http://localhost/wsman</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{CMD}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated>"
            f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId></rsp:Shell>"
        )

    def _delete(self, message: Message) -> str:
        commands = self._shell(message)
        with self._lock:
            self._shells.pop(message.shell_id, None)
        for command in commands.values():
            command.cancelled.set()
        return ""

    def _command(self, message: Message) -> str:
        commands = self._shell(message)
        line = _need(message.body, "rsp:CommandLine")
        command = _need(line, "rsp:Command").text or ""
        arguments = " ".join(one.text or "" for one in line.findall("rsp:Arguments", NAMESPACES))
        started = Running(str(uuid4()).upper())
        if len(command) + 1 + len(arguments) > self._limits.command_line_characters:
            started.output = Output(b"", b"The command line is too long.", 1)
        else:
            started.output = interpreter.refusal(command, arguments)
        if started.output is not None:
            started.finished.set()
        with self._lock:
            if sum(map(len, self._shells.values())) >= self._limits.operations_per_user:
                words = "the maximum number of concurrent operations for this user has been exceeded"
                raise Fault("w:QuotaLimit", words, TOO_MANY_OPERATIONS)
            commands[started.id] = started
        return f"<rsp:CommandResponse><rsp:CommandId>{started.id}</rsp:CommandId></rsp:CommandResponse>"

    def _send(self, message: Message) -> str:
        stream = _need(message.body, "rsp:Send/rsp:Stream")
        command = self._running(message, stream)
        command.stdin += base64.b64decode(stream.text or "")
        if stream.get("End", "false").lower() == "true" and command.output is None:
            threading.Thread(target=self._run, args=(command,), daemon=True).start()
        return "<rsp:SendResponse/>"

    def _run(self, command: Running) -> None:
        try:
            command.output = interpreter.run(
                self._world, self._rules, bytes(command.stdin), command.cancelled
            )
        except ConnectionLost:
            command.lost = True
        finally:
            command.finished.set()

    def _receive(self, message: Message) -> str:
        command = self._running(message, _need(message.body, "rsp:Receive/rsp:DesiredStream"))
        if not command.finished.wait(message.timeout_s):
            words = "the operation did not finish within the time specified in OperationTimeout"
            raise Fault("w:TimedOut", words, TIMED_OUT)
        if command.lost:
            raise ConnectionLost
        output = command.output or interpreter.not_implemented("this process broke")
        most = int(message.envelope_limit * ENVELOPE_SHARE)
        part = output.stdout[command.sent : command.sent + most]
        command.sent += len(part)
        streams = _stream("stdout", command.id, part)
        if command.sent < len(output.stdout):
            return f"<rsp:ReceiveResponse>{streams}{_state(command.id, 'Running')}</rsp:ReceiveResponse>"
        streams += _stream("stderr", command.id, output.stderr)
        done = _state(command.id, "Done", f"<rsp:ExitCode>{output.exit_code}</rsp:ExitCode>")
        return f"<rsp:ReceiveResponse>{streams}{done}</rsp:ReceiveResponse>"

    def _signal(self, message: Message) -> str:
        signal = _need(message.body, "rsp:Signal")
        code = (_need(signal, "rsp:Code").text or "").strip()
        if code.lower() != TERMINATE:  # pywinrm and pypsrp differ in the case
            raise Fault("w:InvalidParameter", f"NOT_IMPLEMENTED: the simulator has no signal {code}")
        command = self._running(message, signal)
        command.cancelled.set()
        self._shell(message).pop(command.id, None)
        return "<rsp:SignalResponse/>"

    def _shell(self, message: Message) -> dict[str, Running]:
        found = self._shells.get(message.shell_id)
        if found is None:
            words = f"the shell {message.shell_id} was not found on the server"
            raise Fault("w:InvalidSelectors", words, SHELL_NOT_FOUND)
        return found

    def _running(self, message: Message, element: ET.Element) -> Running:
        found = self._shell(message).get((element.get("CommandId") or "").upper())
        if found is None:
            raise Fault("w:InvalidSelectors", "the command was not found in its shell", SHELL_NOT_FOUND)
        return found


def _obey(rule: Rule) -> None:
    if rule.action == "reset":
        raise ConnectionLost
    if rule.action == "fault":
        raise Fault("w:InternalError", rule.message, rule.code)


def _need(parent: ET.Element, path: str) -> ET.Element:
    found = parent.find(path, NAMESPACES)
    if found is None:
        raise Fault("w:SchemaValidationError", f"the request has no {path}")
    return found


def _stream(name: str, command_id: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return f'<rsp:Stream Name="{name}" CommandId="{command_id}">{text}</rsp:Stream>'


def _state(command_id: str, state: str, inside: str = "") -> str:
    uri = f"{SHELL}/CommandState/{state}"
    return f'<rsp:CommandState CommandId="{command_id}" State="{uri}">{inside}</rsp:CommandState>'

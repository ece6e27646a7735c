"""A login at a host's WinRM service with one shell, and running the dispatcher in it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors import tls
from connectors.deadlines import Deadline
from connectors.drivers.hyperv import dispatcher
from connectors.drivers.hyperv.client import FAILURES, Client, Connect, Fault, OperationTimedOut
from connectors.drivers.hyperv.dispatcher import Command, Row
from connectors.drivers.hyperv.settings import Auth, Settings
from connectors.errors import ConnectorError, Refused

SHELL_IDLE_S = 15 * 60
"""The host removes a shell that its owner could not, after this time."""

QUOTA_FAULTS = frozenset({2150859173, 2150859174})
"""Too many shells, or operations, of this user at the host; it passes when others are done."""
SHELL_GONE = 2150858843
"""The shell was not found: it idled out, or the service was restarted."""

RECEIVE_LIMIT_S = 20
"""The longest that one request for output stays open."""
SEND_LIMIT_BYTES = 96 * 1024
"""Of input in one message: Windows takes 500 KiB as it comes, and base64 and XML are around it."""
BACK_OFF_S = (0.1, 0.2, 0.4, 0.8, 1.6)

LOOK_LIMIT_S = 5
"""The same of work whose progress is looked at in between."""

Rows = list[list[Row]]
Look = Callable[[], bool]


class NotYetDone(TimeoutError):
    """The deadline passed while the host was still at work, and the connection is whole."""


class Session:
    """One login; `connect` is of the module that holds a client's library, imported late."""

    failures: ClassVar[tuple[type[Exception], ...]] = (
        dispatcher.PowerShellError,
        dispatcher.BadReply,
        *FAILURES,
    )
    """What running commands can raise."""

    def __init__(
        self,
        endpoint: Endpoint,
        password: SecretStr | None,
        connect: Connect,
        deadline: Deadline | None = None,
    ) -> None:
        self.settings = Settings.of(endpoint)
        by_ticket = self.settings.options.auth is Auth.KERBEROS
        if not by_ticket and (endpoint.username is None or password is None):
            why = "Hyper-V needs a user name and password"
            raise Refused(endpoint.name, "open", why, hint="set the endpoint's 'username' and 'secret'")
        self.deadline = deadline or Deadline(endpoint.timeout_s)
        self.connect = connect
        self._username = endpoint.username
        self._password = None if by_ticket else password
        self._context = tls.context(endpoint)
        self._client: Client | None = None
        self._shell: str | None = None

    def login(self) -> None:
        """Connect, log in, and open a shell if there is none; a shell outlives its connection."""
        self.drop()
        password = None if self._password is None else self._password.get_secret_value()
        self._client = self.connect(self.settings, self._username, password, self._context, self.deadline)
        try:
            if self._shell is None:
                self._open_shell()
        except BaseException:
            self.drop()
            raise

    def run(self, *requests: Sequence[Command]) -> list[Rows]:
        """What each request's commands answer, run by one PowerShell process one after the other."""
        return self._run(requests)

    def run_long(self, commands: Sequence[Command], look: Look) -> Rows:
        """As `run` of one request, which may take as long as it comes further within each `timeout_s`."""
        return self._run([commands], look)[0]

    def _run(self, requests: Sequence[Sequence[Command]], look: Look | None = None) -> list[Rows]:
        try:
            self._ensure_shell()
            text = b"".join(dispatcher.request(commands) for commands in requests)
            stdout, stderr, code = self._process(text, look)
        except self.failures as error:
            if self.lost(error):
                self.drop()
            if self.fault_code(error) == SHELL_GONE:
                self.forget_shell()
            raise
        return dispatcher.read_replies(requests, stdout, stderr, code)

    def _process(self, stdin: bytes, look: Look | None) -> tuple[bytes, bytes, int]:
        command_id = self._patiently(self._start)
        try:
            self._send(command_id, stdin)
            output = self._receive(command_id, look)
        except self.failures as error:
            if not self.lost(error):
                self._end(command_id)
            raise
        self._end(command_id)
        return output

    def logout(self) -> None:
        """Delete the shell, on a new connection if need be, and close; whatever goes wrong, it is closed."""
        for _ in range(2):
            with suppress(*self.failures):
                self._delete_shell()
                break
            self.drop()
        self.drop()

    def _delete_shell(self) -> None:
        if self._shell is None:
            return
        if self._client is None:
            self.login()
        client, shell = self._open()
        self._timed(client, 1)
        client.close_shell(shell)
        self._shell = None

    def drop(self) -> None:
        """Close the connection. A shell that cannot be deleted idles out at the host."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @staticmethod
    def fault_code(error: BaseException) -> int | None:
        """The number of a WS-Management fault; None for other errors."""
        return error.code if isinstance(error, Fault) else None

    @staticmethod
    def lost(error: BaseException) -> bool:
        """Whether the connection cannot be used after this error.

        NTLM seals messages with a running number, so after one that was lost no other is understood.
        """
        whole = (dispatcher.PowerShellError, dispatcher.BadReply, Fault, OperationTimedOut, NotYetDone)
        return not isinstance(error, whole)

    def _ensure_shell(self) -> None:
        if self._client is None:
            self.login()
        elif self._shell is None:
            self._open_shell()

    def _open(self) -> tuple[Client, str]:
        """The connection and the shell, which are there."""
        assert self._client is not None, "no connection"
        assert self._shell is not None, "no shell"
        return self._client, self._shell

    def _open_shell(self) -> None:
        self._shell = self._patiently(lambda client: client.open_shell(SHELL_IDLE_S))

    def forget_shell(self) -> None:
        """The shell is gone at the host; the next command opens another."""
        self._shell = None

    def _patiently(self, call: Callable[[Client], str]) -> str:
        """The call's answer, asked for again while the host's quotas are used up, until the deadline."""
        client = self._client
        assert client is not None, "no connection"
        for wait_s in chain(BACK_OFF_S, repeat(BACK_OFF_S[-1])):
            self._timed(client, RECEIVE_LIMIT_S)
            try:
                return call(client)
            except Fault as fault:
                if fault.code not in QUOTA_FAULTS or self.deadline.left_s() <= wait_s:
                    raise
                time.sleep(wait_s)
        raise AssertionError

    def _start(self, client: Client) -> str:
        _, shell = self._open()
        return client.run_command(shell, dispatcher.COMMAND, dispatcher.arguments())

    def _send(self, command_id: str, text: bytes) -> None:
        client, shell = self._open()
        for start in range(0, len(text), SEND_LIMIT_BYTES):
            self._timed(client, RECEIVE_LIMIT_S)
            end = start + SEND_LIMIT_BYTES
            client.send(shell, command_id, text[start:end], end=end >= len(text))

    def _receive(self, command_id: str, look: Look | None) -> tuple[bytes, bytes, int]:
        """All output. Raises TimeoutError at the deadline, while the connection can still be used.

        With a `look` the deadline begins anew whenever that finds the work further on; it is asked by another
        process in the same shell.
        """
        out, errors = bytearray(), bytearray()
        while True:
            self._ensure_shell()  # a look may have lost the connection
            client, shell = self._open()
            self._timed(client, RECEIVE_LIMIT_S if look is None else LOOK_LIMIT_S)
            try:
                said = client.receive(shell, command_id)
            except OperationTimedOut:
                if look is not None and look():
                    self.deadline.begin()
                if self.deadline.left_s() < 1:
                    raise NotYetDone(self.deadline.passed) from None
                continue
            out += said.stdout
            errors += said.stderr
            if said.done:
                return bytes(out), bytes(errors), said.code

    def _end(self, command_id: str) -> None:
        """End a process that still runs, and free the host's record of one that does not."""
        if self._client is None or self._shell is None:
            return
        with self.deadline.cleanup():
            try:
                self._client.terminate(self._shell, command_id)
            except self.failures as error:
                if self.lost(error):
                    self.drop()

    def _timed(self, client: Client, most_s: int) -> None:
        """Let the host end the next request by itself a little before the deadline does."""
        whole_s = int(self.deadline.left_s() - 0.5)
        client.limit(max(1, min(most_s, whole_s)))


class Op(NamedTuple):
    """One operation of the contract under way, at one host.

    Of a cluster it begins at the endpoint's own address, whichever node that is: `node` is empty there, and
    `nodes` are the logins at the nodes that can be asked. `owners` has the cluster's machine roles, each with
    the node that has it.
    """

    session: Session
    endpoint: str
    name: str
    node: str = ""
    nodes: Mapping[str, Session] = MappingProxyType({})
    owners: Mapping[str, str] = MappingProxyType({})

    def at(self, node: str) -> "Op":
        """The same operation at a node; where the endpoint is one host, there is only that."""
        return self._replace(session=self.nodes[node], node=node) if node else self

    def everywhere(self) -> "list[Op]":
        """The same operation at each node that can be asked."""
        return [self.at(node) for node in self.nodes] or [self]

    def error(
        self, kind: type[ConnectorError], why: str, *, hint: str = "", code: str = ""
    ) -> ConnectorError:
        """An error of this operation."""
        return kind(self.endpoint, self.name, why, hint=hint, vendor_code=code)

    def run(self, *commands: Command) -> Rows:
        """What the commands answer."""
        with self._named():
            return self.session.run(commands)[0]

    def run_long(self, commands: Sequence[Command], look: Look) -> Rows:
        """As `run`, which may take as long as it comes further within each `timeout_s`."""
        with self._named():
            return self.session.run_long(commands, look)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let a failure say at which node it was."""
        try:
            yield
        except self.session.failures as error:
            if self.node and not getattr(error, "__notes__", ()):
                error.add_note(f"node '{self.node}'")
            raise

"""What the driver asks of a WS-Management client, and how that fails, whichever library it is."""

import http.client
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from connectors.deadlines import Deadline
from connectors.drivers.hyperv.settings import Settings

UNBOUNDED_S = 3600
"""The libraries want a timeout of their own; the deadline below it is always nearer."""


class Output(NamedTuple):
    """What a command said since it was last asked; `code` counts once it is `done`."""

    stdout: bytes
    stderr: bytes
    code: int
    done: bool


class Client(Protocol):
    """A connection that is logged in, for one thread: messages are sealed in order.

    Each method is one request and raises one of FAILURES. Shells and commands are of the host, so a later
    connection can use them by their ids.
    """

    def limit(self, timeout_s: int) -> None:
        """Let the host end each of the next requests by itself after this time."""

    def open_shell(self, idle_s: int) -> str:
        """The id of a new shell, in UTF-8 and without profile, which the host removes when it was idle."""

    def run_command(self, shell_id: str, command: str, arguments: Sequence[str]) -> str:
        """The id of a new process, without cmd.exe around it and with a pipe as its input."""

    def send(self, shell_id: str, command_id: str, data: bytes, *, end: bool) -> None:
        """Write to its input, and close that at the end."""

    def receive(self, shell_id: str, command_id: str) -> Output:
        """What it wrote. Raises OperationTimedOut where there is nothing yet."""

    def terminate(self, shell_id: str, command_id: str) -> None:
        """End the process, and free the host's record of it."""

    def close_shell(self, shell_id: str) -> None:
        """Delete the shell; the connection stays."""

    def close(self) -> None:
        """Close the connection; never fails."""


Connect = Callable[[Settings, str | None, str | None, ssl.SSLContext, Deadline], Client]
"""A client by settings, user name, password, how certificates are checked, and the deadline.

Over plain http each message is sealed by NTLM or Kerberos (MS-WSMV 2.2.9.1); over https TLS does that, and
NTLM is bound to the server's certificate (RFC 5929). Kerberos takes the ticket of this process: of its
credential cache, or by the keytab that ``KRB5_CLIENT_KTNAME`` names.
"""


class ClientError(Exception):
    """A request failed, and not by the network alone."""


class Fault(ClientError):
    """A WS-Management fault; `code` is the number that Windows gives it, `name` that or the standard's."""

    def __init__(self, reason: str, name: str, code: int | None) -> None:
        super().__init__(reason)
        self.name = name
        self.code = code


class OperationTimedOut(ClientError):
    """The host's way to say "not yet"."""


class LoginRefused(ClientError):
    """The host does not take the login."""


class NoTicket(LoginRefused):
    """There is no Kerberos ticket for the host; `code` is the library's name of the error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.code = type(error).__name__


class BadAnswer(ClientError):
    """The answer cannot be used; `code` is the library's name of the error."""

    def __init__(self, error: Exception, said: str = "") -> None:
        super().__init__(said or f"{type(error).__name__}: {error}")
        self.code = type(error).__name__


FAILURES = (ClientError, OSError)
"""What a request can raise when the host, the network or the answer is at fault."""


def root_cause(error: BaseException) -> BaseException:
    """The error below the wrappings of requests and urllib3; TimeoutError, if one is among them."""
    seen: list[BaseException] = []
    _unwrap(error, seen)
    timeouts = [one for one in seen if isinstance(one, TimeoutError)]
    inner = [one for one in seen if isinstance(one, ssl.SSLError)] or timeouts
    plain = [one for one in seen if isinstance(one, OSError) and one.errno is not None]
    odd = [one for one in seen if isinstance(one, http.client.HTTPException)]
    return (inner or plain or odd or [error])[0]


def _unwrap(error: BaseException, seen: list[BaseException]) -> None:
    if error in seen:
        return
    seen.append(error)
    below = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for one in below:
        if isinstance(one, BaseException):
            _unwrap(one, seen)

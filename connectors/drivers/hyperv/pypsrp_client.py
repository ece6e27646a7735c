"""The client by pypsrp: the same shells and processes as pywinrm's, without PSRP's runspaces."""

import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.shell import CommandState, SignalCode, WinRS
from pypsrp.wsman import NAMESPACES, OptionSet, SelectorSet, WSMan
from spnego.exceptions import BadMICError, SpnegoError

from connectors.deadlines import Deadline
from connectors.drivers.hyperv import transport
from connectors.drivers.hyperv.client import (
    UNBOUNDED_S,
    BadAnswer,
    Client,
    Fault,
    LoginRefused,
    NoTicket,
    OperationTimedOut,
    Output,
)
from connectors.drivers.hyperv.settings import Auth, Settings

TIMED_OUT = 2150858793
"""The fault of an operation that was not done within its OperationTimeout."""


def connect(
    settings: Settings,
    username: str | None,
    password: str | None,
    context: ssl.SSLContext,
    deadline: Deadline,
) -> Client:
    """A connection; it is dialled and logged in with the first message."""
    wsman = WSMan(
        settings.host,
        port=settings.port,
        username=username,
        password=password,
        ssl=settings.encrypted,
        auth=settings.options.auth.value,
        connection_timeout=UNBOUNDED_S,
        read_timeout=UNBOUNDED_S,
        negotiate_service="HTTP",
        negotiate_hostname_override=settings.options.spn_host,
    )
    session = wsman.transport._build_session()  # noqa: SLF001 -- else it makes one, without deadline, when it sends
    transport.bind(session, wsman.transport.endpoint, context, deadline)
    wsman.transport.session = session
    return _Pypsrp(wsman, by_ticket=settings.options.auth is Auth.KERBEROS)


class _Pypsrp:
    def __init__(self, wsman: WSMan, *, by_ticket: bool) -> None:
        self._wsman = wsman
        self._by_ticket = by_ticket

    def limit(self, timeout_s: int) -> None:
        self._wsman.operation_timeout = timeout_s

    def open_shell(self, idle_s: int) -> str:
        # WinRS would insist on it (MustComply), which newer hosts may not take.
        options = OptionSet()
        options.add_option("WINRS_NOPROFILE", "TRUE")
        shell = WinRS(self._wsman, codepage=65001, idle_time_out=idle_s)
        with self._told():
            shell.open(base_options=options)
            return _there(shell.id, "shell")

    def run_command(self, shell_id: str, command: str, arguments: Sequence[str]) -> str:
        # Not by WinRS, which leaves the input a console.
        options = OptionSet()
        options.add_option("WINRS_CONSOLEMODE_STDIN", "FALSE")
        options.add_option("WINRS_SKIP_CMD_SHELL", "TRUE")
        rsp = NAMESPACES["rsp"]
        line = ET.Element(f"{{{rsp}}}CommandLine")
        ET.SubElement(line, f"{{{rsp}}}Command").text = command
        ET.SubElement(line, f"{{{rsp}}}Arguments").text = " ".join(arguments)
        with self._told():
            shell = self._shell(shell_id)
            answer = self._wsman.command(shell.resource_uri, line, options, _selectors(shell_id))
            found = answer.findtext("rsp:CommandResponse/rsp:CommandId", namespaces=NAMESPACES)
            return _there(found, "command")

    def send(self, shell_id: str, command_id: str, data: bytes, *, end: bool) -> None:
        with self._told():
            self._shell(shell_id).send("stdin", data, command_id, end=end)

    def receive(self, shell_id: str, command_id: str) -> Output:
        with self._told():
            state, code, said = self._shell(shell_id).receive(command_id=command_id)
        done = state == CommandState.DONE
        if not done and not any(said.values()):
            raise OperationTimedOut
        return Output(said["stdout"], said["stderr"], -1 if code is None else code, done)

    def terminate(self, shell_id: str, command_id: str) -> None:
        with self._told():
            self._shell(shell_id).signal(SignalCode.TERMINATE, command_id)

    def close_shell(self, shell_id: str) -> None:
        with self._told():
            self._shell(shell_id).close()

    def close(self) -> None:
        self._wsman.close()

    def _shell(self, shell_id: str) -> WinRS:
        shell = WinRS(self._wsman, id=shell_id)
        shell._selector_set = _selectors(shell_id)  # noqa: SLF001 -- WinRS knows only shells of its own connection
        shell.opened = True
        return shell

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let pypsrp's errors be ours; those of the network are OSError and stay."""
        try:
            yield
        except WSManFaultError as error:
            raise _fault(error) from error
        except AuthenticationError as error:
            raise LoginRefused from error
        except WinRMTransportError as error:
            raise BadAnswer(error, f"HTTP {error.code}") from error
        except OSError:
            raise
        except Exception as error:  # it takes answers apart by position, key and type, and checks few
            if self._by_ticket and isinstance(error, SpnegoError) and not isinstance(error, BadMICError):
                raise NoTicket(error) from error
            raise BadAnswer(error) from error


def _there(found: str | None, what: str) -> str:
    if not found:
        msg = f"an answer without the {what}'s id"
        raise ValueError(msg)
    return found


def _selectors(shell_id: str) -> SelectorSet:
    selectors = SelectorSet()
    selectors.add_option("ShellId", shell_id)
    return selectors


def _fault(error: WSManFaultError) -> Exception:
    """The fault; pypsrp takes any XML for one, a web server's error page too."""
    if error.code == TIMED_OUT:
        return OperationTimedOut()
    if not error.code:
        status = getattr(error.__context__, "code", "")
        return BadAnswer(error, f"HTTP {status}".strip())
    reason = error.reason or "(no error message in fault)"
    return Fault(reason, str(error.code), error.code if isinstance(error.code, int) else None)

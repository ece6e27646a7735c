"""The client by pywinrm, which is the default."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

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
from connectors.drivers.hyperv.settings import Settings

NO_TICKET = frozenset({"KerberosExchangeError", "MutualAuthenticationError"})
"""By name, for their module cannot be imported where Kerberos is not installed."""


def connect(
    settings: Settings,
    username: str | None,
    password: str | None,
    context: ssl.SSLContext,
    deadline: Deadline,
) -> Client:
    """A connection; over plain http it is logged in already."""
    protocol = Protocol(
        endpoint=settings.url,
        transport=settings.options.auth.value,
        username=username,
        password=password,
        kerberos_hostname_override=settings.options.spn_host,
        read_timeout_sec=UNBOUNDED_S,
        operation_timeout_sec=1,
        message_encryption="never",
        proxy=None,
        ca_trust_path="",
    )
    session = protocol.transport.build_session()
    transport.bind(session, settings.url, context, deadline)
    if not settings.encrypted:
        # Only now: pywinrm logs in here, and that too must keep the deadline.
        with _told():
            protocol.transport.setup_encryption(session)
    return _Pywinrm(protocol)


class _Pywinrm:
    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def limit(self, timeout_s: int) -> None:
        self._protocol.operation_timeout_sec = timeout_s

    def open_shell(self, idle_s: int) -> str:
        with _told():
            return self._protocol.open_shell(codepage=65001, noprofile=True, idle_timeout=f"PT{idle_s}S")

    def run_command(self, shell_id: str, command: str, arguments: Sequence[str]) -> str:
        with _told():
            return self._protocol.run_command(
                shell_id, command, arguments, console_mode_stdin=False, skip_cmd_shell=True
            )

    def send(self, shell_id: str, command_id: str, data: bytes, *, end: bool) -> None:
        with _told():
            self._protocol.send_command_input(shell_id, command_id, data, end=end)

    def receive(self, shell_id: str, command_id: str) -> Output:
        with _told():
            return Output(*self._protocol.get_command_output_raw(shell_id, command_id))

    def terminate(self, shell_id: str, command_id: str) -> None:
        with _told():
            self._protocol.cleanup_command(shell_id, command_id)

    def close_shell(self, shell_id: str) -> None:
        with _told():
            self._protocol.close_shell(shell_id, close_session=False)

    def close(self) -> None:
        self._protocol.transport.close_session()


@contextmanager
def _told() -> Iterator[None]:
    """Let pywinrm's errors be ours; those of the network are OSError and stay."""
    try:
        yield
    except WinRMOperationTimeoutError as error:
        raise OperationTimedOut from error
    except WSManFaultError as error:
        code = error.wsman_fault_code
        name = code if code is not None else error.fault_subcode or error.code
        raise Fault(error.reason, str(name), code) from error
    except InvalidCredentialsError as error:
        raise LoginRefused from error
    except WinRMTransportError as error:
        raise BadAnswer(error, f"HTTP {error.code}") from error
    except OSError as error:
        if type(error).__name__ in NO_TICKET:
            raise NoTicket(error) from error
        raise
    except Exception as error:  # it takes answers apart by position, key and type, and checks none
        raise BadAnswer(error) from error

"""What answers at a host's port without being its WinRM, and a cmdlet that does not come to an end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors import registry
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.hyperv.settings import Library
from connectors.errors import DeadlineExceeded, Unreachable
from connectors.simulators.hyperv import HypervSimulator, Rule

pytestmark = [
    pytest.mark.counterpart("hyperv-sim"),
    pytest.mark.parametrize("client", list(Library), indirect=True),
]

IDENTITY = UUID(int=77)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same to everybody, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot found",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n<html>hello</html>",
        b"HTTP/1.1 500 Server Error\r\nContent-Length: 7\r\nConnection: close\r\n\r\n<html/>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n<s:Envelope>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["503", "404", "html", "html-500", "cut-short", "ssh", "nothing"],
)
def test_what_is_no_winrm_is_unreachable(answer: bytes, client: Library) -> None:
    with answering(answer) as address:
        endpoint = Endpoint(
            name="hyperv-1",
            driver="hyperv",
            address=address,
            username="kim",
            secret="env:X",
            tls=TlsPolicy(unverified_because="a test on this machine alone"),
            timeout_s=5,
            options={"client": client},
        )
        with pytest.raises(Unreachable) as caught:
            registry.connect(endpoint, SecretStr("pw-of-kim")).open()
    assert caught.value.hint
    assert "Connection aborted" not in caught.value.why, "in requests' words, not in a sentence"
    assert "pw-of-kim" not in str(caught.value)


def test_a_cmdlet_that_does_not_end_is_given_up_at_the_deadline(
    simulator: HypervSimulator, connect: Callable[..., Connector], spec: VmSpec
) -> None:
    patient, hasty = connect(simulator), connect(simulator, timeout_s=1.5)
    patient.create_vm(spec, IDENTITY)
    simulator.rules(Rule(method="Start-VM", action="delay", delay_ms=8_000, times=1))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        hasty.power(IDENTITY, PowerAction.ON)
    assert time.monotonic() - started < 1.5 * 1.1 + 1.5
    assert caught.value.retriable
    assert patient.power(IDENTITY, PowerAction.ON).power is PowerState.ON

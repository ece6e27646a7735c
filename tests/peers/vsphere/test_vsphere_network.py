"""Servers that are not vCenters, and answers that never end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server, socket
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, TlsPolicy
from connectors import registry
from connectors.errors import ConnectorError, DeadlineExceeded, Refused, Unreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


@contextmanager
def server(answer: bytes, *, drip: bytes = b"") -> Iterator[str]:
    """Answers every connection with the same bytes, and then one byte at a time, without end."""
    ended = Event()

    def serve(listener: socket) -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                while drip and not ended.wait(0.02):
                    try:
                        connection.sendall(drip)
                    except OSError:
                        break

    with create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def failure(address: str, **changes: object) -> ConnectorError:
    """What opening this address raises."""
    endpoint = Endpoint(
        name="odd",
        driver="vsphere",
        address="vc.example",
        username="kim",
        timeout_s=0.5,
        tls=TlsPolicy(unverified_because="a test server on loopback"),
    )
    with pytest.raises(ConnectorError) as caught:
        registry.connect(
            endpoint.model_copy(update={"address": address, **changes}), SecretStr("pw")
        ).open()
    return caught.value


@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"X: "], ids=["body", "header"])
def test_an_answer_that_drips_without_end_is_cut_at_the_deadline(head: bytes) -> None:
    started = time.monotonic()
    with server(head, drip=b"x") as address:
        assert isinstance(failure(address), DeadlineExceeded)
        assert time.monotonic() - started < 0.55 + 1.0


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 20\r\n\r\n<html>hello</html>\r\n",
        OK + b"Content-Length: 500\r\n\r\n<namespaces>",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["html", "cut-short", "404", "ssh", "nothing"],
)
def test_a_server_that_is_no_vcenter_is_unreachable(answer: bytes) -> None:
    with server(answer) as address:
        found = failure(address)
    assert isinstance(found, Unreachable)
    assert found.hint


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://kim:pw@vc.example", "user name or password"),
        ("ftp://vc.example", "https://"),
        ("vc.example:port", "cannot be read"),
        ("", "host"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_with_what_to_write(address: str, words: str) -> None:
    found = failure(address)
    assert isinstance(found, Refused)
    assert words in str(found)
    assert ":pw@" not in str(found)


def test_an_endpoint_without_a_user_or_password_is_refused() -> None:
    assert isinstance(failure("vc.example", username=None), Refused)

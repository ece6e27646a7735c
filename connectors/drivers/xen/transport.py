"""The vendor's binding over connections that keep a deadline.

The binding's own transport has no time limit, sends a call again after a lost connection, whatever the call
does, and its dispatcher logs in again behind the caller's back. None of these is used here.

Long answers come in xapi's other encoding, JSON-RPC, over the same connection and with the same login: Python reads
it twenty times as fast as XML-RPC. The vendor's binding does not speak it.
"""

import http.client
import json
import ssl
import time
import xmlrpc.client
from typing import Any
from xml.parsers.expat import ExpatError

import XenAPI

from connectors.deadlines import Deadline, connection

__all__ = ["Failure", "NoJsonError", "connect"]

Failure: type[Exception] = XenAPI.Failure

IDLE_S = 15.0
"""Idle connections older than this are not used again: firewalls drop them silently."""

_JSON_PATH = "/jsonrpc"
_JSON_TYPE = "application/json"
_NO_SUCH_PATH = frozenset({200, 404, 405, 500})
"""What a version without JSON-RPC may answer, if not in JSON: it takes the content for XML-RPC, or knows no such path."""


class NoJsonError(Exception):
    """The member does not speak JSON-RPC."""


def connect(host: str, port: int, context: ssl.SSLContext | None, deadline: Deadline) -> Any:
    """The vendor's server proxy for one member of a pool; not dialled yet."""
    scheme = "http" if context is None else "https"
    name = f"[{host}]" if ":" in host else host
    transport = _Transport(host, port, context, deadline)
    return XenAPI.Session(f"{scheme}://{name}:{port}", transport=transport)


def call(proxy: Any, method: str, *params: Any) -> Any:
    """The value of one call. Raises Failure, OSError or HTTPException."""
    try:
        answer = getattr(proxy, method)(*params)
    except xmlrpc.client.ProtocolError as error:
        msg = f"{error.errcode} {error.errmsg}"
        raise http.client.HTTPException(msg) from error
    except OSError:
        raise  # a certificate that is not trusted is a ValueError too
    except (xmlrpc.client.Error, ExpatError, UnicodeError, LookupError, TypeError, ValueError) as error:
        msg = f"an answer that is not XML-RPC ({type(error).__name__}: {error})"
        raise http.client.HTTPException(msg) from error
    return _of_kind(method, _value(answer))


def call_json(proxy: Any, method: str, *params: Any) -> Any:
    """The value of one call, by JSON-RPC. Raises NoJsonError, Failure, OSError or HTTPException."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    status, reason, kind, content = proxy("transport").ask(_JSON_PATH, _JSON_TYPE, body)
    if not kind.startswith(_JSON_TYPE):
        if status in _NO_SUCH_PATH:
            raise NoJsonError
        msg = f"{status} {reason}"
        raise http.client.HTTPException(msg)
    return _of_kind(method, _json_value(content))


class _Record(dict[str, Any]):
    """An object's fields. One that is missing is the pool's fault, not the program's."""

    def __missing__(self, field: str) -> Any:
        msg = f"a record without '{field}', which is not XenAPI's"
        raise http.client.HTTPException(msg)


def _of_kind(method: str, value: Any) -> Any:
    """The value as callers use it. Raises HTTPException where what gives records, references or the one pool gave others."""
    match method.rpartition(".")[2], value:
        case "get_record", dict():
            return _Record(value)
        case "get_all_records", dict() if method == "pool.get_all_records" and len(value) != 1:
            msg = f"{len(value)} pools, where XenAPI has one"
            raise http.client.HTTPException(msg)
        case "get_all_records", dict() if all(isinstance(one, dict) for one in value.values()):
            return {ref: _Record(one) for ref, one in value.items()}
        case "get_by_name_label", list():
            return value
        case "get_record" | "get_all_records" | "get_by_name_label", _:
            msg = f"an answer to {method} that is not XenAPI's"
            raise http.client.HTTPException(msg)
    return value


def _json_value(content: bytes) -> Any:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"an answer that is not JSON ({error})"
        raise http.client.HTTPException(msg) from error
    said = answer if isinstance(answer, dict) else {}
    if "result" in said:
        return said["result"]
    match said.get("error"):
        case {"message": str(code), "data": list() | None as details} if code:
            raise Failure([code, *map(str, details or ())])
        case {"message": str(code)} if code:
            raise Failure([code])
    msg = "an answer that is not XenAPI's"
    raise http.client.HTTPException(msg)


def _value(answer: Any) -> Any:
    if isinstance(answer, dict) and answer.get("Status") == "Success" and "Value" in answer:
        return answer["Value"]
    details = answer.get("ErrorDescription") if isinstance(answer, dict) else None
    if isinstance(details, list) and details:
        raise Failure([str(one) for one in details])
    msg = "an answer that is not XenAPI's"
    raise http.client.HTTPException(msg)


class _Transport(xmlrpc.client.Transport):
    """Each request is sent once, over one connection that is kept while it is fresh."""

    user_agent = "tierwise"

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        super().__init__()
        self._member = (host, port)
        self._context = context
        self._deadline = deadline
        self._used_s = 0.0

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """The kept connection, or a new one; `host` is what the proxy's address says."""
        kept = self._connection[1]
        if kept is not None and time.monotonic() - self._used_s > IDLE_S:
            self.close()
            kept = None
        if kept is None:
            kept = connection(*self._member, self._deadline, self._context)
            self._connection = str(host), kept
        self._extra_headers = []
        return kept

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """Send once. Whatever goes wrong, the connection is not used again."""
        try:
            answer = self.single_request(host, handler, request_body, verbose)
        except BaseException:
            self.close()
            raise
        self._used_s = time.monotonic()
        return answer

    def ask(self, path: str, kind: str, body: bytes) -> tuple[int, str, str, bytes]:
        """Send what is not XML-RPC, once: the answer's status, reason, type and content."""
        try:
            connection = self.make_connection(self._member[0])
            headers = {"Content-Type": kind, "User-Agent": self.user_agent}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            self.close()
            raise
        self._used_s = time.monotonic()
        return answer.status, answer.reason, answer.headers.get("Content-Type", ""), content

"""XenAPI's two encodings, written as xapi writes them.

XML-RPC comes without white space, strings and 64-bit integers both as bare ``<value>x</value>``, and the
names of struct members are not escaped (xapi's ocaml-rpc). JSON-RPC has integers as numbers.
"""

import json
import xmlrpc.client
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape
from xmlrpc.client import DateTime

from connectors.simulators.xen.failure import Failure


class Int32(int):
    """A number that xapi writes as ``<i4>``."""


class Call(NamedTuple):
    """One request: a method's name and its parameters; `ident` and `version` are JSON-RPC's."""

    method: str
    params: list[Any]
    ident: Any = None
    version: str = ""


class MalformedError(ValueError):
    """The request is not XML-RPC or JSON-RPC."""


def read_xml(body: bytes) -> Call:
    """The call in an XML-RPC request. Raises MalformedError."""
    try:
        params, method = xmlrpc.client.loads(body)
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError) as error:
        raise MalformedError(str(error)) from error
    if method is None:
        msg = "no method is named"
        raise MalformedError(msg)
    return Call(method, list(params))


def read_json(body: bytes) -> Call:
    """The call in a JSON-RPC request, version 1.0 or 2.0. Raises MalformedError."""
    try:
        found = json.loads(body)
        method, params = found["method"], found.get("params", [])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedError(str(error)) from error
    if not isinstance(method, str) or not isinstance(params, list):
        msg = "'method' must be a string and 'params' a list"
        raise MalformedError(msg)
    return Call(method, params, found.get("id"), found.get("jsonrpc", ""))


def xml_success(value: Any) -> bytes:
    """The answer to a call that succeeded."""
    return _response({"Status": "Success", "Value": value})


def xml_failure(failure: Failure) -> bytes:
    """The answer to a call that failed."""
    return _response({"Status": "Failure", "ErrorDescription": [failure.code, *failure.parameters]})


def _response(answer: dict[str, Any]) -> bytes:
    text = f"<?xml version='1.0'?><methodResponse><params><param>{xml_value(answer)}</param></params></methodResponse>"
    return text.encode()


def xml_value(value: Any) -> str:
    """One value, ``<value>`` included."""
    return f"<value>{_WRITERS[type(value)](value)}</value>"


def _struct(value: dict[str, Any]) -> str:
    members = [f"<member><name>{k}</name>{xml_value(v)}</member>" for k, v in value.items()]
    return f"<struct>{''.join(members)}</struct>"


def _array(value: list[Any]) -> str:
    return f"<array><data>{''.join(map(xml_value, value))}</data></array>"


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: escape,
    int: str,
    bool: lambda value: f"<boolean>{value:d}</boolean>",
    dict: _struct,
    list: _array,
    Int32: lambda value: f"<i4>{value}</i4>",
    float: lambda value: f"<double>{value!r}</double>",
    DateTime: lambda value: f"<dateTime.iso8601>{value.value}</dateTime.iso8601>",
    type(None): lambda _: "",
}
"""What is between the tags, by type: most integers are bare, as strings are."""


def json_success(call: Call, value: Any) -> bytes:
    """The answer to a call that succeeded, in the version of the request."""
    if call.version == "2.0":
        return _json({"jsonrpc": "2.0", "result": value, "id": call.ident})
    return _json({"result": value, "error": None, "id": call.ident})


def json_failure(call: Call, failure: Failure) -> bytes:
    """The answer to a call that failed, in the version of the request."""
    error = {"code": 1, "message": failure.code, "data": list(failure.parameters)}
    if call.version == "2.0":
        return _json({"jsonrpc": "2.0", "error": error, "id": call.ident})
    return _json({"result": None, "error": [failure.code, *failure.parameters], "id": call.ident})


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, default=_jsonable).encode()


def _jsonable(value: Any) -> str:
    return str(value.value) if isinstance(value, DateTime) else str(value)

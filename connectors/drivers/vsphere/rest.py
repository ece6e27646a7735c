"""vCenter's REST API, which alone has tags. It has sessions of its own, one for each operation that needs it.

The form of before 7.0 (``/rest``, values within ``value``), which later vCenters have too.
"""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.drivers.vsphere.session import Op
from connectors.errors import Conflict, ConnectorError, Refused, Unreachable

_SESSION = "/rest/com/vmware/cis/session"
_ERRORS = "com.vmware.vapi.std.errors."
EXISTS = "already_exists"


class Refusal(Exception):
    """An answer that is no success: its HTTP status, vCenter's name of the error, and its words."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Rest:
    """A session of the REST API."""

    op: Op
    connection: http.client.HTTPConnection
    headers: Mapping[str, str] = field(repr=False)
    """What lets a request in."""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The value of the answer to a request for a path below ``/rest``.

        Raises ConnectorError, the network's errors, and Refusal where something is there already.
        """
        return _value(self.do(method, path, body))

    def do(self, method: str, path: str, body: Any = None) -> bytes:
        """The whole answer, which is empty where nothing is told. Raises as `call`."""
        try:
            return self.ask(method, f"/rest{path}", body)
        except Refusal as refusal:
            if refusal.code == EXISTS:
                raise
            raise _meaning(self.op, refusal) from None

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """The same of a whole path. Raises Refusal for each answer that is none."""
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, {"Content-Type": "application/json", **self.headers})
        answer = self.connection.getresponse()
        told = answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise _refusal(answer.status, told)
        return told


@contextmanager
def opened(op: Op) -> Iterator[Rest]:
    """A session, ended afterwards. Raises Refused where vCenter takes no login there, and as `Rest.call`."""
    connection = op.session.own_connection()
    try:
        api = Rest(op, connection, {"vmware-api-session-id": _login(op, connection)})
        try:
            yield api
        except BaseException:
            connection.close()  # an answer may be on its way; the session is ended over a new one
            raise
        finally:
            with suppress(Refusal, *op.session.failures), op.session.deadline.cleanup():
                api.ask("DELETE", _SESSION)
    finally:
        connection.close()


def _login(op: Op, connection: http.client.HTTPConnection) -> str:
    """The new session's id, which all other requests have in place of the password."""
    user, password = op.session.login_of()
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        told = Rest(op, connection, {"Authorization": f"Basic {basic}"}).ask("POST", _SESSION)
    except Refusal as refusal:
        if refusal.status == http.client.UNAUTHORIZED:
            why = "the REST API does not take the endpoint's user name and password"
            hint = "tags are told by it alone; set the option 'custom_attributes' in place of 'tags'"
            raise op.error(Refused, why, hint=hint, code=refusal.code) from None
        if refusal.status == http.client.NOT_FOUND:
            why = "there is no REST API at the endpoint's address, which tags need"
            hint = "vCenter has it since 6.5, ESXi has none; set the option 'custom_attributes' in place of 'tags'"
            raise op.error(Refused, why, hint=hint, code="NOT_FOUND") from None
        raise _meaning(op, refusal) from None
    return str(_value(told))


def _value(told: bytes) -> Any:
    try:
        return json.loads(told)["value"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"with what is not its REST API's ({error})"
        raise http.client.HTTPException(msg) from error


def _refusal(status: int, told: bytes) -> Refusal:
    """What the answer says of it; proxies and web servers answer with pages of their own."""
    try:
        found = json.loads(told)
        code = str(found["type"]).removeprefix(_ERRORS)
        messages = (found.get("value") or {}).get("messages") or ()
        words = " ".join(str(one.get("default_message", "")) for one in messages)
    except (ValueError, KeyError, TypeError, AttributeError):
        code, words = "", ""
    return Refusal(status, code, words.strip())


def _meaning(op: Op, refusal: Refusal) -> ConnectorError:
    code = refusal.code or f"HTTP {refusal.status}"
    said = f": {refusal.words}" if refusal.words else ""
    match refusal.status:
        case http.client.UNAUTHORIZED:
            return op.error(
                Unreachable, f"the REST API's session ended{said}", hint="repeat the call", code=code
            )
        case http.client.FORBIDDEN:
            hint = "give its role the privileges of 'vSphere Tagging' in vCenter"
            return op.error(Refused, f"the endpoint's user may not do this{said}", hint=hint, code=code)
        case http.client.NOT_FOUND:
            why = f"a tag or a category was removed meanwhile{said}"
            return op.error(Conflict, why, hint="repeat the call", code=code)
        case status if (
            status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS
        ):
            why = f"the REST API cannot answer now{said} (HTTP {status})"
            return op.error(Unreachable, why, hint="repeat the call; see vCenter's own services", code=code)
    return op.error(Refused, f"the REST API refused it{said} (HTTP {refusal.status})", code=code)

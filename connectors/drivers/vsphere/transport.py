"""pyvmomi's SOAP connections with one deadline over a whole call.

pyvmomi's own timeout counts anew with every packet, and its version probe has none at all.
"""

import http.client
import re
import ssl
from collections.abc import Callable
from typing import Any

from pyVmomi import SoapAdapter, pbm, vim, vmodl
from pyVmomi.SoapAdapter import NS_SEP, XMLNS_SOAPENV, SoapResponseDeserializer, SoapStubAdapter
from pyVmomi.VmomiSupport import GetServiceVersions, versionIdMap

from connectors import deadlines
from connectors.deadlines import Deadline
from connectors.drivers.vsphere.settings import Settings

__all__ = ["connect", "join_policies", "pbm", "vim", "vmodl"]

POOL_IDLE_S = 15
"""Idle connections older than this are not used again: firewalls drop them silently."""
VERSIONS_LIMIT_BYTES = 1 << 20
PBM_VERSION = "pbm.version.version1"
"""The policy service's oldest, which has all that is used here and which every vCenter speaks."""

Dial = Callable[..., http.client.HTTPConnection]

_ENVELOPE = f"{XMLNS_SOAPENV}{NS_SEP}Envelope"
_NO_SOAP = "something else than SOAP"

_VIM25 = re.compile(r"<namespace>\s*<name>urn:vim25</name>(.*?)</namespace>", re.DOTALL)
_VERSION = re.compile(r"<version>([^<]+)</version>")


def connect(settings: Settings, context: ssl.SSLContext, deadline: Deadline) -> Any:
    """A SOAP stub that speaks the newest API version both sides know; not logged in."""
    dial = _dialler(settings, context, deadline)
    return _stub(settings, dial, version=_negotiate(dial()))


def join_policies(login: Any, settings: Settings, context: ssl.SSLContext, deadline: Deadline) -> Any:
    """A SOAP stub of vCenter's storage policy service, in the session of a stub that is logged in.

    vCenter's service knows the session by a SOAP header, others by the cookie.
    """
    session = login.GetSessionId() or ""
    return _stub(
        settings,
        _dialler(settings, context, deadline),
        version=PBM_VERSION,
        path="/pbm/sdk",
        sessionId=session,
        requestContext={"vcSessionCookie": session},
    )


def _dialler(settings: Settings, context: ssl.SSLContext, deadline: Deadline) -> Dial:
    def dial(*_address: Any, **_more: Any) -> http.client.HTTPConnection:
        verified = context if settings.encrypted else None
        return deadlines.connection(settings.host, settings.port, deadline, verified)

    return dial


def _stub(settings: Settings, dial: Dial, **more: Any) -> Any:
    adapter: Any = _Stub  # pyvmomi says that it is typed, and is not
    stub = adapter(host=settings.host, port=settings.port, connectionPoolTimeout=POOL_IDLE_S, **more)
    stub.scheme = dial
    stub.schemeArgs = {}
    return stub


def _negotiate(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/sdk/vimServiceVersions.xml")
        answer = connection.getresponse()
        text = answer.read(VERSIONS_LIMIT_BYTES).decode(errors="replace")
    finally:
        connection.close()
    if answer.status != http.client.OK:
        msg = f"{answer.status} {answer.reason}"
        raise http.client.HTTPException(msg)
    offered = set(_VERSION.findall(" ".join(_VIM25.findall(text))))
    known: Any = GetServiceVersions  # untyped, as above
    for version in known("vim25"):
        if versionIdMap[version] in offered:
            return str(version)
    msg = "it offers no version of the vSphere API that this driver knows"
    raise http.client.HTTPException(msg)


class _Stub(SoapStubAdapter):
    """pyvmomi's stub, for which an answer that it cannot read is an error of the connection."""

    def InvokeMethod(self, *arguments: Any, **more: Any) -> Any:  # noqa: N802 -- pyvmomi's name
        call: Any = super().InvokeMethod
        try:
            return call(*arguments, **more)
        except (OSError, http.client.HTTPException):
            raise
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            # What pyvmomi's parser raises on types it does not expect; arguments are checked before this.
            msg = f"an answer that pyvmomi cannot read ({type(error).__name__}: {error})"
            raise http.client.HTTPException(msg) from error


class _Answer(SoapResponseDeserializer):
    """pyvmomi's reader of answers, for which any other document (a portal's page) is none.

    pyvmomi takes such a page for an answer with nothing in it: no machine of that identity, no further page.
    """

    begun = answered = False

    def Deserialize(self, *arguments: Any, **more: Any) -> Any:  # noqa: N802 -- pyvmomi's name
        read: Any = super().Deserialize  # untyped, as above
        found = read(*arguments, **more)
        if not self.answered:
            raise http.client.HTTPException(_NO_SOAP)
        return found

    def StartElementHandler(self, tag: str, attr: Any) -> None:  # noqa: N802 -- as above
        if not self.begun and tag != _ENVELOPE:
            raise http.client.HTTPException(_NO_SOAP)
        self.begun = True
        self.answered = self.answered or tag == self.soapFaultTag or tag.endswith("Response")
        handle: Any = super().StartElementHandler
        handle(tag, attr)


_adapters: Any = SoapAdapter
_adapters.SoapResponseDeserializer = _Answer  # its stubs let nobody give them another

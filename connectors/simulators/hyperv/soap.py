# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""WS-Management envelopes as a Windows host reads and writes them (DSP0226, MS-WSMV)."""

import re
import xml.etree.ElementTree as ET
from typing import NamedTuple
from uuid import uuid4
from xml.sax.saxutils import escape

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
FAULT_NAMESPACE = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

_DURATION = re.compile(r"PT(\d+(?:\.\d+)?)S")


class Fault(Exception):
    """A SOAP fault; `code` is the number in its WSManFault detail, `subcode` the specification's name."""

    def __init__(self, subcode: str, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.subcode = subcode
        self.reason = reason
        self.code = code


class Message(NamedTuple):
    """What a request says."""

    action: str
    resource: str
    message_id: str
    shell_id: str
    timeout_s: float
    envelope_limit: int
    body: ET.Element


def read(data: bytes) -> Message:
    """A request's envelope. Raises Fault for what is none."""
    try:
        root = ET.fromstring(data)  # noqa: S314 -- it comes from loopback, after a login
    except ET.ParseError as error:
        raise Fault("w:SchemaValidationError", f"the request is no XML: {error}") from None
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if header is None or body is None:
        raise Fault("w:SchemaValidationError", "the request has no SOAP header or no body")
    return Message(
        action=_text(header, "a:Action"),
        resource=_text(header, "w:ResourceURI"),
        message_id=_text(header, "a:MessageID"),
        shell_id=_selector(header),
        timeout_s=_seconds(_text(header, "w:OperationTimeout", "PT60S")),
        envelope_limit=int(_text(header, "w:MaxEnvelopeSize", "153600")),
        body=body,
    )


def _text(parent: ET.Element, path: str, default: str | None = None) -> str:
    found = parent.findtext(path, default, NAMESPACES)
    if found is None:
        raise Fault("w:SchemaValidationError", f"the request has no {path}")
    return found.strip()


def _selector(header: ET.Element) -> str:
    for selector in header.iterfind("w:SelectorSet/w:Selector", NAMESPACES):
        if selector.get("Name") == "ShellId":
            return (selector.text or "").upper()
    return ""


def _seconds(duration: str) -> float:
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise Fault("w:SchemaValidationError", f"the time '{duration}' is not of the form PT20S")
    return float(found[1])


def answer(message: Message, body: str) -> bytes:
    """The envelope of an answer to a request."""
    return _envelope(f"{message.action}Response", message.message_id, body)


def fault(found: Fault, message_id: str) -> bytes:
    """The envelope of a fault."""
    number = "" if found.code is None else f' Code="{found.code}"'
    detail = f'<f:WSManFault xmlns:f="{FAULT_NAMESPACE}"{number} Machine="simulator"><f:Message>'
    body = (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode>"
        f"<s:Value>{found.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(found.reason)}</s:Text></s:Reason>'
        f"<s:Detail>{detail}{escape(found.reason)}</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", message_id, body)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    header = (
        f"<a:Action>{escape(action)}</a:Action>"
        f"<a:MessageID>uuid:{str(uuid4()).upper()}</a:MessageID>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>"
    )
    return (
        f"<s:Envelope {declared}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()
    )

"""Names as libvirt stores them, and what the metadata keeps: the real name and the annotations."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from catalog.base import Value

NAMESPACE = "urn:tierwise:machine:1"
PREFIX = "tierwise"
ELEMENT = f"{{{NAMESPACE}}}machine"

_LONGEST = 120
"""Bytes; libvirt adds suffixes to make file names of it, and 255 is the limit of those."""


class Mark(Value):
    """What the metadata element of one of our machines says."""

    name: str
    annotations: Mapping[str, str]
    identity: UUID | None = None
    """That of the machine that was marked; a clone takes the mark along and has another. None: written by hand."""

    def __hash__(self) -> int:
        return hash(self.name)


def stored(name: str) -> str:
    """The name that libvirt gets: the same, or where libvirt forbids it a readable form and a hash.

    libvirt forbids ``/`` and control characters, and XML cannot carry some; equal names map equally.
    """
    safe = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name).strip(" .-")
    if safe == name and len(name.encode()) <= _LONGEST:
        return name
    short = safe.encode()[: _LONGEST - 20].decode(errors="ignore")
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{short}-{digest}" if short else f"machine-{digest}"


def mark_text(name: str, annotations: Mapping[str, str], identity: UUID) -> str:
    """The metadata element's text: JSON in ASCII, so that XML can carry every character."""
    document = {"name": name, "annotations": dict(annotations), "identity": str(identity)}
    return json.dumps(document, sort_keys=True)


def mark_of(text: str | None) -> Mark | None:
    """What a metadata element's text says; None where it is not one of ours."""
    if not text:
        return None
    try:
        return Mark.model_validate(json_of(text))
    except ValueError:
        return None


def json_of(text: str | None) -> Any:
    """The text as JSON; None where it is not JSON."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def snapshot_text(name: str, number: int) -> str:
    """A snapshot's description: its real name, and its number in the order of taking."""
    return json.dumps({"tierwise": {"name": name, "number": number}}, sort_keys=True)


def snapshot_of(description: str | None) -> tuple[str, int] | None:
    """The real name and number that a snapshot's description holds; None where it is not one of ours."""
    found = json_of(description)
    match found:
        case {"tierwise": {"name": str(name), "number": int(number)}}:
            return name, number
    return None

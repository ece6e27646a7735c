"""How a machine on a host is known as tierwise's: what is written on it, and what is read back.

Hyper-V keeps no identity of ours unique, and New-VM takes no notes. So the identity stands in two places:
in the machine's notes, as a line of JSON with the annotations, and from its very first moment in the name
of its folder, ``tierwise-<identity>-<attempt>``, where its disks are too. A machine with the folder and no
notes is one whose creation was cut off; the next create finishes it.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

_SENTENCE = "Made by tierwise, which reads the next line; write below it."
MARK = "tierwise: "
"""What the line of JSON in the notes begins with."""

COPYING = "0" * 8
"""The attempt of a folder that a template is being copied to; no machine is in it."""

REMOVING = "f" * 8
"""The attempt of a folder with a note of what is being removed; no machine is in it."""

_FOLDER = re.compile(r"\\tierwise-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([0-9a-f]{8})(?:\\|$)")
_ADDED = re.compile(
    r"\\tierwise-[0-9a-f-]{36}-[0-9a-f]{8}\\disks\\added-([a-z0-9-]+)(?:_[0-9a-f-]{36})?\.a?vhdx$",
    re.IGNORECASE,
)
"""A disk that was added; with a checkpoint Windows puts an id at the end of the name."""


class Mark(NamedTuple):
    """What a machine says of itself; `finished` once its notes are written."""

    identity: UUID
    attempt: str
    finished: bool
    annotations: Mapping[str, str]


def folder_name(identity: UUID, attempt: str) -> str:
    """The folder of a new machine; `attempt` is eight hexadecimal digits."""
    return f"tierwise-{identity}-{attempt}"


def made_by(mark: Mark | None, attempt: str) -> bool:
    """Whether a machine was made by this attempt."""
    return mark is not None and mark.attempt == attempt


def disk_file(label: str) -> str:
    """The file of a disk that was added, in the machine's folder of disks."""
    return f"added-{label}.vhdx"


def disk_label(path: str) -> str:
    """What a disk was called when it was added, by its file; empty for others."""
    found = _ADDED.search(path)
    return "" if found is None else found[1]


def notes(identity: UUID, annotations: Mapping[str, str]) -> str:
    """The notes of a finished machine."""
    document = {"identity": str(identity), "annotations": dict(annotations)}
    return f"{_SENTENCE}\n{MARK}{json.dumps(document, sort_keys=True)}\n"


def noted_anew(text: str, identity: UUID, annotations: Mapping[str, str]) -> str:
    """The notes with other annotations; all that somebody wrote around our line stays."""
    _, ours, _ = notes(identity, annotations).split("\n")
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(MARK))
    end = "\r" if lines[at].endswith("\r") else ""
    return "\n".join([*lines[:at], ours + end, *lines[at + 1 :]])


def read(text: str | None, path: str | None) -> Mark | None:
    """The mark of a machine with these notes and this path; None where it is not one of ours.

    Both must tell the same identity: an imported copy has our notes, but lies in another folder.
    """
    in_path = _FOLDER.search(path or "")
    if in_path is None:
        return None
    identity, attempt = UUID(in_path[1]), in_path[2]
    lines = [line for line in (text or "").splitlines() if line.startswith(MARK)]
    if not lines:
        # With notes of somebody's own it is still ours: New-VM leaves them empty.
        return Mark(identity, attempt, finished=False, annotations={})
    noted = _document(lines[0].removeprefix(MARK))
    if noted is None or noted[0] != identity:
        return None
    return Mark(identity, attempt, finished=True, annotations=noted[1])


def _document(text: str) -> tuple[UUID, dict[str, str]] | None:
    try:
        found = json.loads(text)
        return UUID(found["identity"]), {str(k): str(v) for k, v in found["annotations"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # somebody edited the line by hand

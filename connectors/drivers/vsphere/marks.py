"""How a machine at vCenter is known as tierwise's: what is written on it, and what is read back.

The identity is written as `config.instanceUuid` and as the BIOS UUID `config.uuid`: vCenter changes the
first by itself when two machines have the same, and a clone gets new ones of both. Three marks, made
in the same call, tell our machines from others: `config.managedBy`, a line of JSON in the notes
(identity and annotations), and `config.extraConfig` (identity, and the attempt that made it). A mark
on a machine that has neither UUID is a copy that somebody made, and is not ours to delete.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

EXTENSION_KEY = "io.tierwise"
MACHINE_TYPE = "machine"
IDENTITY_KEY = "tierwise.identity"
ATTEMPT_KEY = "tierwise.attempt"
IMPORT_KEY = "tierwise.import"

_SENTENCE = "Made by tierwise, which reads the next line; write below it."
MARK = "tierwise: "
"""What the line of JSON in the notes begins with."""


def notes(identity: UUID, annotations: Mapping[str, str]) -> str:
    """The notes of a new machine."""
    document = {"identity": str(identity), "annotations": dict(annotations)}
    return f"{_SENTENCE}\n{MARK}{json.dumps(document, ensure_ascii=False, sort_keys=True)}\n"


def noted_anew(text: str, identity: UUID, annotations: Mapping[str, str]) -> str:
    """The notes with other annotations; all that somebody wrote around our line stays."""
    _, ours, _ = notes(identity, annotations).split("\n")
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(MARK))
    return "\n".join([*lines[:at], ours, *lines[at + 1 :]])


def read_notes(text: str) -> tuple[UUID | None, dict[str, str]]:
    """The identity and annotations in a machine's notes; (None, {}) where there are none of ours."""
    for line in text.splitlines():
        if line.startswith(MARK):
            return _read(line.removeprefix(MARK))
    return None, {}


def _read(document: str) -> tuple[UUID | None, dict[str, str]]:
    try:
        found = json.loads(document)
        identity = UUID(found["identity"])
        annotations = {str(k): str(v) for k, v in found["annotations"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, {}  # somebody edited the line by hand; the other marks remain
    return identity, annotations


class Marks(NamedTuple):
    """What one machine says about itself. `order` is its age among machines: the lower, the older."""

    order: tuple[int, str]
    instance_uuid: UUID | None
    bios_uuid: UUID | None
    managed: bool
    noted: UUID | None

    def claim(self) -> UUID | None:
        """The identity that the machine claims; None where it is not ours, or a copy of ours."""
        named = self.noted or (self.instance_uuid if self.managed else None)
        return named if named in {self.instance_uuid, self.bios_uuid} else None


def identify(machines: Mapping[str, Marks]) -> dict[str, UUID]:
    """The identity of each machine that is ours, by managed object id; each identity once.

    Several machines claim one identity while two workers create at the same moment, until the loser
    removes its own. vCenter lets one keep the instance UUID; else the oldest has the identity.
    """
    claims: dict[UUID, list[tuple[bool, tuple[int, str], str]]] = {}
    for ref, marks in machines.items():
        identity = marks.claim()
        if identity is not None:
            claimant = (marks.instance_uuid != identity, marks.order, ref)
            claims.setdefault(identity, []).append(claimant)
    return {min(claimants)[2]: identity for identity, claimants in claims.items()}


def age(ref: str) -> tuple[int, str]:
    """The order in which vCenter gave out managed object ids: ``vm-9`` is older than ``vm-10``."""
    number = ref.rpartition("-")[2]
    return (int(number) if number.isdigit() else 0, ref)


def uuid_or_none(text: str | None) -> UUID | None:
    """A UUID as vCenter writes it."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None

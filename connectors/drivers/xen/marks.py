"""How a machine at a pool is known as tierwise's: keys of `VM.other_config`, all written by VM.create.

xapi chooses a machine's uuid itself, so the identity is a key of ours, and nothing keeps two machines from
having the same. `state` settles which one it is: ``void``, or ``chosen`` with the machine's own uuid, written
once, because VM.add_to_other_config refuses a key that is there (MAP_DUPLICATE_KEY). Who clones a machine or
imports its export gets one with the same keys, but with another uuid than is chosen: a copy, which is not ours.
"""

import json
import re
from collections.abc import Mapping
from uuid import UUID

from connectors.drivers.xen.session import Record, Records

IDENTITY = "tierwise.identity"
ATTEMPT = "tierwise.attempt"
ANNOTATIONS = "tierwise.annotations"
STATE = "tierwise.state"
COMPLETE = "tierwise.complete"
EMPTY = "tierwise.empty"
"""On a disk (`VDI.other_config`): the driver made it and has written nothing to it."""

LABEL = "tierwise.disk"
"""On a disk that was added to a machine, and on what connects it: what it was called.

The second counts: xapi gives it to the connections of snapshots, and of machines that go back to one.
"""
ADDING = "tierwise.adding"
"""On such a disk until it is connected: nobody else has had it."""

DELETING = "tierwise.deleting"
"""On a disk of a snapshot that goes, before the snapshot does: the disk's own uuid, as copies take marks along."""

FILL = "tierwise.fill"
"""On a disk: the reference of the template's disk whose content is to come, and has not come whole yet."""
FILLING = "tierwise.filling"
"""On such a disk: the task that brings it."""

MOVING = "tierwise.moving"
"""On a disk that is being copied, and on its copy: how it is connected with its machine, as JSON."""
MOVED = "tierwise.moved"
"""On such a disk: the uuid of the copy that is whole, and about to take its place."""
OF_MOVES = frozenset({MOVING, MOVED})

NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]")
"""What no text of XML-RPC can have in it."""

VOID = "void"


def chosen(record: Record) -> str:
    """The state of this machine, and of no copy of it, once it is chosen."""
    return f"chosen {record['uuid']}"


def is_chosen(record: Record) -> bool:
    """Whether it is for good the machine of the identity that it claims."""
    return bool(record["other_config"].get(STATE) == chosen(record))


def is_copy(record: Record) -> bool:
    """Whether somebody made it of a machine that is chosen, by cloning or importing that."""
    return record["other_config"].get(STATE, VOID) != VOID and not is_chosen(record)


def first_marks(identity: UUID, attempt: str, annotations: Mapping[str, str]) -> dict[str, str]:
    """What a new machine says of itself. Annotations are one value: xapi does not escape keys in XML."""
    return {IDENTITY: str(identity), ATTEMPT: attempt, ANNOTATIONS: annotations_text(annotations)}


def annotations_text(annotations: Mapping[str, str]) -> str:
    """Annotations as they stand on a machine."""
    return json.dumps(dict(annotations), sort_keys=True)


def is_machine(record: Record) -> bool:
    """Neither a template, nor a snapshot, nor a host's control domain."""
    return not (record["is_a_template"] or record["is_a_snapshot"] or record["is_control_domain"])


def claim(record: Record) -> UUID | None:
    """The identity that a machine claims; None for those that are not ours, were voided, or are copies."""
    config = record["other_config"]
    if config.get(STATE) == VOID or is_copy(record):
        return None
    try:
        return UUID(config[IDENTITY])
    except (KeyError, ValueError):
        return None


def annotations(record: Record) -> dict[str, str]:
    """What the order wrote on the machine."""
    try:
        found = json.loads(record["other_config"].get(ANNOTATIONS, "{}"))
        return {str(key): str(value) for key, value in found.items()}
    except (ValueError, AttributeError):
        return {}  # somebody edited it by hand


def tags(annotations: Mapping[str, str]) -> list[str]:
    """Annotations as XenServer's tags, which have no values of their own; what XML cannot hold is left out."""
    found = [f"{key}={value}" for key, value in sorted(annotations.items())]
    return [tag for tag in found if not NOT_XML.search(tag)]


def read_tags(record: Record) -> dict[str, str]:
    """All tags of a machine; one without an equals sign has an empty value."""
    parts = (tag.partition("=") for tag in record["tags"])
    return {key: value for key, _, value in parts}


def shown_annotations(record: Record) -> dict[str, str]:
    """Annotations as the tags have them: so a tag that somebody changed or took away in XenCenter is seen."""
    noted, tagged = annotations(record), read_tags(record)
    kept = {k: v for k, v in noted.items() if NOT_XML.search(f"{k}={v}") or f"{k}={v}" in record["tags"]}
    changed = {k: tagged[k] for k in noted if k not in kept and k in tagged}
    return kept | changed


def order(record: Record) -> tuple[bool, str]:
    """The chosen machine first; before there is one, the lowest uuid."""
    return not is_chosen(record), record["uuid"]


def identities(machines: Records) -> dict[str, UUID]:
    """The identity of each machine that is ours, by reference; each identity once."""
    best: dict[UUID, str] = {}
    for ref, record in machines.items():
        identity = claim(record)
        if identity is None:
            continue
        rival = best.get(identity)
        if rival is None or order(record) < order(machines[rival]):
            best[identity] = ref
    return {ref: identity for identity, ref in best.items()}


_CONNECTED = (
    "userdevice",
    "bootable",
    "mode",
    "type",
    "empty",
    "qos_algorithm_type",
    "qos_algorithm_params",
)


def connection(vbd: Record) -> str:
    """What a disk's connection has that another one is to have too."""
    return json.dumps({name: vbd[name] for name in _CONNECTED}, sort_keys=True)


def read_connection(text: str) -> Record:
    """What `connection` noted, as VBD.create takes it."""
    return {**json.loads(text), "other_config": {}}


def disk_name(identity: UUID) -> str:
    """The name of a machine's disk, and of its snapshots' disks; what is left behind is found by it."""
    return f"tierwise {identity} disk 0"


def added_name(identity: UUID) -> str:
    """The name of all disks that were added to a machine; what is left behind is found by it."""
    return f"tierwise {identity} added disk"

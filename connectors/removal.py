"""What a removal may take: the very disk that was named, never the first one, and the only snapshot of a name."""

from collections.abc import Sequence
from typing import TypeVar

from connectors.contract import Disk
from connectors.errors import Conflict

OPERATION = "remove_disk"

T = TypeVar("T")


def to_remove(endpoint: str, machine: str, wanted: Disk, there: Sequence[Disk]) -> Disk | None:
    """The disk that is to go, of all that the machine has, the first one first; None where it is gone.

    A name, and the place that is a disk's key, may belong to another disk by now, so all must be as it was shown.
    Raises Conflict.
    """
    if not wanted.name:
        what = f"disk '{wanted.key}' was not added by tierwise"
        hint = "remove it with the hypervisor's own tools"
        raise Conflict(endpoint, OPERATION, f"machine '{machine}': {what}", hint=hint)
    at, found = next(((at, one) for at, one in enumerate(there) if one.name == wanted.name), (0, None))
    if found is None:
        return None
    if (found.key, found.size_bytes) != (wanted.key, wanted.size_bytes):
        what = f"its disk '{wanted.name}' is another one by now, '{found.key}' of {found.size_bytes} bytes"
        hint = "look at its disks again"
        raise Conflict(endpoint, OPERATION, f"machine '{machine}': {what}", hint=hint)
    if at == 0:
        what = f"starts from disk '{wanted.name}'"
        hint = "let it start from another one first, or delete the machine"
        raise Conflict(endpoint, OPERATION, f"machine '{machine}' {what}", hint=hint)
    return found


def only_snapshot(endpoint: str, machine: str, name: str, named: Sequence[T]) -> T | None:
    """The one snapshot of a name, of those that have it; None where none has. Raises Conflict.

    Of several a repeated call would delete one after the other.
    """
    if len(named) > 1:
        why = f"machine '{machine}' has {len(named)} snapshots '{name}', of which tierwise took one at most"
        hint = "rename or delete the others with the hypervisor's own tools"
        raise Conflict(endpoint, "delete_snapshot", why, hint=hint)
    return named[0] if named else None

"""What an earlier process left undone of a machine, which ends before anything else begins."""

import time
from typing import Any

from dbos import DBOS, WorkflowStatus

from tierwise.errors import TierwiseError
from tierwise.jobs.runtime import current
from tierwise.store import moves
from tierwise.store.tables import MachineRow

_OPEN = ["PENDING", "ENQUEUED"]
"""What an earlier process left undone is put into a queue before it goes on."""
_CHANGES = [
    "change_power", "change_size", "change_disk", "migrate", "migrate_storage",
    "take_snapshot", "revert", "delete_snapshot", "tag", "remove", "confirm_move", "undo_move",
]  # fmt: skip
"""The work on one machine that ends soon."""


def await_open_changes(machine: MachineRow) -> None:
    """Wait for the open work on a machine, of a move until it has its row: that may last long, and forbids others.

    Raises TierwiseError where something stopped half-way.
    """
    while _under_way(machine):
        if current().stopped:
            msg = f"an earlier change of {machine.name} stopped half-way; `tierwise order resume` ends it"
            raise TierwiseError(msg, details=list(current().stopped.values()))
        time.sleep(0.05)


def _under_way(machine: MachineRow) -> bool:
    works = DBOS.list_workflows(name=[*_CHANGES, "move"], status=_OPEN)
    if not works:
        return False
    with current().app.session() as session:
        open_move = moves.open_move(session, machine.id)
    if open_move is None:
        return any(machine.id in _arguments(work) for work in works)
    about = {machine.id, open_move.id}
    return any(about & set(_arguments(work)) for work in works if work.name != "move")


def _arguments(work: WorkflowStatus) -> list[Any]:
    """What the work was given, documents left out."""
    return [one for one in (work.input or {"args": ()})["args"] if isinstance(one, str)]

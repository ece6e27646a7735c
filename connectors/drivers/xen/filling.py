"""A new machine's disk gets the content of its template's, by a task that may outlast the call that began it.

A copy of many GiB takes longer than a call has. So its task is neither cancelled at the deadline nor removed;
it is noted on the disk, and the next call awaits it. A disk that is still to be filled says so by a mark of its
own, which only a copy that succeeded takes away: a copy that broke off, or whose end nobody saw, is made anew.
"""

from contextlib import suppress

from connectors.drivers.xen import marks, tasks
from connectors.drivers.xen.electing import suppress_gone
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import NULL, Op

IN_USE = frozenset({"VDI_IN_USE", "OTHER_OPERATION_IN_PROGRESS"})
"""Another worker's copy is under way."""
LOOK_S = 2.0
"""How long to wait for news of a disk that another worker fills, before trying again."""


def fill(op: Op, disk: str) -> None:
    """Fill the disk, unless that is done. Raises the copy's failure, or TimeoutError while it goes on."""
    begun = ""
    while True:
        config = op.call("VDI.get_other_config", disk)
        noted = config.get(marks.FILLING, "")
        if marks.FILL not in config:
            # Another worker saw a copy end. Whoever saw it may have died right after, and our own may still go on.
            for task in {begun, noted} - {""}:
                tasks.end(op, task)
                _forget(op, disk, task)
            return
        task = begun or noted
        end = tasks.end(op, task) if task else None
        if begun and end is None:  # gone: another worker saw it end, and what that means stands on the disk
            begun = ""
            continue
        if end is not None:
            if end["status"] == "success":
                # First of all: a worker that dies after this leaves nothing to be done.
                op.call("VDI.remove_from_other_config", disk, marks.FILL)
            _forget(op, disk, task)
            if end["status"] == "success":
                return
        if end is not None and begun:
            _give_way(op, disk, end["error_info"])
        begun = _begin(op, disk, config[marks.FILL])


def _begin(op: Op, disk: str, source: str) -> str:
    task: str = op.call("Async.VDI.copy", source, NULL, NULL, disk)
    op.call("VDI.remove_from_other_config", disk, marks.FILLING)
    try:
        op.call("VDI.add_to_other_config", disk, marks.FILLING, task)
    except op.session.failure as failure:
        if code_of(failure) != "MAP_DUPLICATE_KEY":  # another worker noted its own
            raise
    return task


def _forget(op: Op, disk: str, task: str) -> None:
    with suppress_gone(op):
        op.call("task.destroy", task)
    if op.call("VDI.get_other_config", disk).get(marks.FILLING) == task:
        op.call("VDI.remove_from_other_config", disk, marks.FILLING)


def _give_way(op: Op, disk: str, error: list[str]) -> None:
    """Wait a little where another worker's copy is under way. Raises any other failure."""
    failure = op.session.fail(error or ["TASK_CANCELLED", ""])
    if code_of(failure) not in IN_USE:
        raise failure
    watched = [f"vdi/{disk}"]
    token = op.call("event.from", watched, "", 0.0)["token"]
    left_s = op.session.deadline.left_s() - tasks.LAST_MOMENT_S
    if left_s <= 0:
        op.sleep_out()
    op.call("event.from", watched, token, min(LOOK_S, left_s))


def stop(op: Op, disk: str) -> None:
    """End a copy that goes on, before the disk is removed; nothing where none does."""
    with suppress_gone(op):
        task = op.call("VDI.get_other_config", disk).get(marks.FILLING)
        if task:
            with suppress(op.session.failure):  # it may have ended
                op.call("task.cancel", task)
            if tasks.end(op, task) is not None:
                _forget(op, disk, task)

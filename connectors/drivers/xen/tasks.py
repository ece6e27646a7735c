"""Long calls: started as tasks, awaited by one long poll, and always removed."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import Op, Record

POLL_S = 20.0
"""The longest that one poll stays open; firewalls end silent connections."""
LAST_MOMENT_S = 0.2
"""What a poll leaves of the time, so that its answer still arrives."""

Further = Callable[[float], None]

_ENDS = frozenset({"success", "failure", "cancelled"})
_RESULT = re.compile(r"^<value>(?P<ref>[^<]*)</value>$")


def run(op: Op, method: str, *params: Any) -> str:
    """The task's result, a reference or nothing. Raises the task's failure, or TimeoutError."""
    with removed(op, op.call(f"Async.{method}", *params)) as task:
        return task.result()


def run_long(op: Op, further: Further, method: str, *params: Any) -> str:
    """As `run`, for a task that may take as long as each `timeout_s` brings it further, which is told: 0 to 1."""
    with removed(op, op.call(f"Async.{method}", *params)) as task:
        return task.result(further)


class Task:
    """A task under way at the pool."""

    def __init__(self, op: Op, ref: str) -> None:
        self.op = op
        self.ref = ref
        self.ended = False

    def result(self, further: Further | None = None) -> str:
        """Wait until it ends; a reference or nothing. Raises the task's failure, or TimeoutError."""
        record = _ended(self.op, self.ref, further)
        self.ended = True
        if record["status"] == "success":
            found = _RESULT.match(record["result"])
            return found["ref"] if found else ""
        raise self.op.session.fail(record["error_info"] or ["TASK_CANCELLED", self.ref])

    def failure(self) -> Exception | None:
        """What it failed with; None while it is under way, or where it succeeded."""
        record = self.op.call("task.get_record", self.ref)
        self.ended = record["status"] in _ENDS
        return self.op.session.fail(record["error_info"]) if record["status"] == "failure" else None


@contextmanager
def removed(op: Op, ref: str) -> Iterator[Task]:
    """A task that is gone afterwards.

    xapi forgets a task that ended only after 65 minutes, so it is destroyed here whatever happens; one that
    is still under way is cancelled, or it would block the machine.
    """
    task = Task(op, ref)
    try:
        yield task
    finally:
        if not task.ended:
            op.session.tidy("task.cancel", ref)
        op.session.tidy("task.destroy", ref)


def _ended(op: Op, task: str, further: Further | None = None) -> Record:
    token, best = "", 0.0
    while True:
        left_s = op.session.deadline.left_s()
        wait_s = min(POLL_S, left_s - LAST_MOMENT_S)
        # A task that was gone before is told by no event: the first look does not wait, and finds it missing.
        batch = op.call("event.from", [f"task/{task}"], token, max(0.0, wait_s) if token else 0.0)
        if not token and not batch["events"]:
            op.call("task.get_status", task)
        token = batch["token"]
        for event in batch["events"]:
            if event["operation"] == "del":
                raise op.session.fail(["HANDLE_INVALID", "task", task])
            record: Record = event.get("snapshot", {})
            if record.get("status") in _ENDS:
                return record
            if further is not None and (now := float(record.get("progress", 0))) > best:
                best = now
                op.session.deadline.begin()
                further(best)
        if wait_s <= 0:
            op.sleep_out()


def end(op: Op, task: str) -> Record | None:
    """The task's record once it has ended; None where it is gone. Raises TimeoutError; the task goes on then."""
    try:
        return _ended(op, task)
    except op.session.failure as failure:
        if code_of(failure) != "HANDLE_INVALID":
            raise
        return None


def await_idle(op: Op, ref: str) -> None:
    """Wait until nothing is under way at a machine. Raises TimeoutError, and HANDLE_INVALID when it is gone."""
    watched = [f"vm/{ref}"]
    # The token first: what happens between the look and the wait is then still reported.
    token = op.call("event.from", watched, "", 0.0)["token"]
    while op.call("VM.get_current_operations", ref):
        wait_s = min(POLL_S, op.session.deadline.left_s() - LAST_MOMENT_S)
        if wait_s <= 0:
            op.sleep_out()
        token = op.call("event.from", watched, token, wait_s)["token"]

"""Waiting for what vCenter does after a call returned, by one long poll instead of many short ones."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from connectors.drivers.vsphere.session import Op, Properties
from connectors.errors import Conflict

POLL_S = 20
"""The longest that one poll stays open; firewalls end silent connections."""
LAST_MOMENT_S = 1.0
"""A poll takes whole seconds; the rest of the time before the deadline is slept through."""

_TASK = ("info.state", "info.error", "info.result")


def run(op: Op, task: Any, machine: Any = None) -> Any:
    """The task's result. Raises the task's fault, TimeoutError, or Conflict for a machine that asks.

    A machine that waits for an answer from a person (a full datastore, a moved disk) blocks its task
    for ever, so its question is watched too.
    """
    watched: list[tuple[Any, tuple[str, ...]]] = [(task, _TASK)]
    if machine is not None:
        watched.append((machine, ("runtime.question",)))
    seen = until(op, watched, lambda now: now.get("info.state") in {"success", "error"} or _question(now))
    if seen.get("info.state") == "success":
        return seen.get("info.result")
    if seen.get("info.state") == "error":
        raise seen["info.error"]
    raise _asked(op, _question(seen))


def _question(seen: Properties) -> Any:
    return seen.get("runtime.question")


def _asked(op: Op, question: Any) -> Exception:
    why = f"the machine waits for an answer to: {' '.join(question.text.split())}"
    hint = "answer it in the vSphere Client, then repeat the call"
    return op.error(Conflict, why, hint=hint, code="runtime.question")


def until(
    op: Op, watched: list[tuple[Any, tuple[str, ...]]], done: Callable[[Properties], object]
) -> Properties:
    """Wait for the watched objects' properties, taken together, to be as `done` wants them.

    Raises TimeoutError at the deadline.
    """
    session = op.session
    # A collector of its own: filters of a shared one would report each other's changes.
    collector = session.content.propertyCollector.CreatePropertyCollector()
    try:
        for managed_object, paths in watched:
            collector.CreateFilter(_filter(session.vim, managed_object, paths), partialUpdates=False)
        return _poll(op, collector, done)
    finally:
        with suppress(*session.failures), session.deadline.cleanup():
            collector.DestroyPropertyCollector()


def _filter(vim: Any, managed_object: Any, paths: tuple[str, ...]) -> Any:
    types = vim.PropertyCollector
    return types.FilterSpec(
        propSet=[types.PropertySpec(type=type(managed_object), pathSet=list(paths))],
        objectSet=[types.ObjectSpec(obj=managed_object)],
    )


def _poll(op: Op, collector: Any, done: Callable[[Properties], object]) -> Properties:
    seen: Properties = {}
    version = ""
    while True:
        wait_s = _wait_s(op.session.deadline.left_s())
        options = op.session.vim.PropertyCollector.WaitOptions(maxWaitSeconds=wait_s)
        changes = collector.WaitForUpdatesEx(version, options)
        if changes is not None:
            version = changes.version
            seen |= _values(changes)
        if done(seen):
            return seen
        if wait_s == 0:
            # The last moment: nothing is left to poll for, and a cut poll would leave the collector busy.
            time.sleep(op.session.deadline.left_s())


def _wait_s(left_s: float) -> int:
    return 0 if left_s < LAST_MOMENT_S else min(POLL_S, int(left_s))


def _values(changes: Any) -> Properties:
    return {
        change.name: change.val
        for update in changes.filterSet
        for item in update.objectSet
        for change in item.changeSet
    }

"""Waiting for what vCenter does after a call returned, by one long poll instead of many short ones."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from connectors.drivers.vsphere.session import Op, Properties, ref_id
from connectors.errors import Conflict

POLL_S = 20
"""The longest that one poll stays open; firewalls end silent connections."""
LAST_MOMENT_S = 1.0
"""A poll takes whole seconds; the rest of the time before the deadline is slept through."""

ENDED = frozenset({"success", "error"})
"""The states of a task that has ended."""

_TASK = ("info.state", "info.error", "info.result")


def run(op: Op, task: Any, machine: Any = None) -> Any:
    """The task's result. Raises the task's fault, TimeoutError, or Conflict for a machine that asks.

    A machine that waits for an answer from a person (a full datastore, a moved disk) blocks its task
    for ever, so its question is watched too.
    """
    watched: list[tuple[Any, tuple[str, ...]]] = [(task, _TASK)]
    if machine is not None:
        watched.append((machine, ("runtime.question",)))
    seen = until(op, watched, lambda now: now.get("info.state") in ENDED or _question(now))
    return _result(op, seen)


def _result(op: Op, seen: Properties) -> Any:
    if seen.get("info.state") == "success":
        return seen.get("info.result")
    if seen.get("info.state") == "error":
        raise seen["info.error"]
    raise _asked(op, _question(seen))


def run_long(
    op: Op, task: Any, machine: Any, further: Callable[[int], None], *, cancel: bool = True
) -> Any:
    """As `run`, for a task that may take as long as each `timeout_s` brings it further, in percent, which is told.

    One that comes no further is cancelled, unless it is better to let it go on.
    """
    best = 0

    def done(now: Properties) -> bool:
        nonlocal best
        percent = int(now.get("info.progress") or 0)
        if percent > best:
            best = percent
            op.session.deadline.begin()
            further(min(percent, 100))
        return now.get("info.state") in ENDED or bool(_question(now))

    watched: list[tuple[Any, tuple[str, ...]]] = [(task, (*_TASK, "info.progress"))]
    try:
        seen = until(op, [*watched, (machine, ("runtime.question",))], done)
    except TimeoutError:
        if not cancel:
            raise
        with suppress(*op.session.failures), op.session.deadline.cleanup():
            task.CancelTask()
        raise
    return _result(op, seen)


def _question(seen: Properties) -> Any:
    return seen.get("runtime.question")


def _asked(op: Op, question: Any) -> Exception:
    why = f"the machine waits for an answer to: {_words(question.text)}"
    choices = [_choice(one) for one in getattr(question.choice, "choiceInfo", None) or ()]
    answers = f" ({' / '.join(choices)})" if choices else ""
    hint = f"answer it in the vSphere Client{answers}, then repeat the call"
    return op.error(Conflict, why, hint=hint, code="runtime.question")


def _choice(one: Any) -> str:
    """Hosts name choices ``button.retry`` at times, with the words people see beside it."""
    return _words(one.summary or one.label or one.key)


def _words(text: str) -> str:
    return " ".join(text.split())


def await_off(op: Op, machine: Any) -> None:
    """Wait until a machine is off. Raises TimeoutError at the deadline, or Conflict for a machine that asks."""
    off = "poweredOff"
    seen = until(
        op,
        [(machine, ("runtime.powerState", "runtime.question"))],
        lambda now: now.get("runtime.powerState") == off or _question(now),
    )
    if seen.get("runtime.powerState") != off:
        raise _asked(op, _question(seen))


def await_all(op: Op, running: Sequence[Any]) -> None:
    """Wait, by one poll for all, until every task has ended, however. Raises TimeoutError at the deadline."""
    ended: set[str] = set()

    def told(items: Iterable[Any]) -> bool:
        for item in items:
            # vCenter forgets tasks ten minutes after they ended.
            if item.kind == "leave" or any(change.val in ENDED for change in item.changeSet):
                ended.add(ref_id(item.obj))
        return len(ended) == len(running)

    _watch(op, [(task, ("info.state",)) for task in running], told)


def until(
    op: Op, watched: list[tuple[Any, tuple[str, ...]]], done: Callable[[Properties], object]
) -> Properties:
    """Wait for the watched objects' properties, taken together, to be as `done` wants them.

    Raises TimeoutError at the deadline.
    """
    seen: Properties = {}

    def told(items: Iterable[Any]) -> object:
        for item in items:
            seen.update({change.name: change.val for change in item.changeSet})
        return done(seen)

    _watch(op, watched, told)
    return seen


def _watch(
    op: Op, watched: list[tuple[Any, tuple[str, ...]]], told: Callable[[Iterable[Any]], object]
) -> None:
    """Hand on what is told of the watched objects, until that was enough."""
    session = op.session
    # A collector of its own: filters of a shared one would report each other's changes.
    collector = session.content.propertyCollector.CreatePropertyCollector()
    try:
        for managed_object, paths in watched:
            collector.CreateFilter(_filter(session.vim, managed_object, paths), partialUpdates=False)
        _poll(op, collector, told)
    finally:
        with suppress(*session.failures), session.deadline.cleanup():
            collector.DestroyPropertyCollector()


def _filter(vim: Any, managed_object: Any, paths: tuple[str, ...]) -> Any:
    types = vim.PropertyCollector
    return types.FilterSpec(
        propSet=[types.PropertySpec(type=type(managed_object), pathSet=list(paths))],
        objectSet=[types.ObjectSpec(obj=managed_object)],
    )


def _poll(op: Op, collector: Any, told: Callable[[Iterable[Any]], object]) -> None:
    version = ""
    while True:
        wait_s = _wait_s(op.session.deadline.left_s())
        options = op.session.vim.PropertyCollector.WaitOptions(maxWaitSeconds=wait_s)
        changes = collector.WaitForUpdatesEx(version, options)
        if changes is not None:
            version = changes.version
        if told(() if changes is None else _items(changes)):
            return
        if wait_s == 0:
            # The last moment: nothing is left to poll for, and a cut poll would leave the collector busy.
            time.sleep(op.session.deadline.left_s())


def _wait_s(left_s: float) -> int:
    return 0 if left_s < LAST_MOMENT_S else min(POLL_S, int(left_s))


def _items(changes: Any) -> Iterable[Any]:
    return (item for update in changes.filterSet for item in update.objectSet)

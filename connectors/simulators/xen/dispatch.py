# ruff: noqa: EM101 -- an error code is data, not a sentence
"""One call: checked in xapi's order, then done, at once or by a task.

The order (xapi's ``server.ml`` and ``rbac.ml``): the method, the number of parameters, their types, the
session, the role, and only then the body.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from connectors.simulators.xen import (
    agility,
    control,
    copying,
    machines,
    migrating,
    plugging,
    snapshots,
    storage,
)
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.messages import Message, all_messages
from connectors.simulators.xen.schema import beyond, read
from connectors.simulators.xen.store import now
from connectors.simulators.xen.wire import xml_value
from connectors.simulators.xen.world import Context, World

__all__ = [
    "Dispatcher",
    "agility",
    "control",
    "copying",
    "machines",
    "migrating",
    "plugging",
    "snapshots",
    "storage",
]

ASYNC = "Async."


@cache
def known() -> Mapping[str, Message]:
    """All messages; importing this module has made the written ones known."""
    return all_messages()


class Dispatcher:
    """Answers calls on one world; `slave_of` is the master's address where this member is not the master."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: Counter[str] = Counter()

    def call(self, method: str, params: list[Any], slave_of: str = "") -> Any:
        """The call's result. Raises Failure."""
        name = method.removeprefix(ASYNC)
        message = known().get(name)
        if message is None and name in beyond():
            raise Failure("NOT_IMPLEMENTED", method)
        if message is None or (name != method and not message.can_be_async):
            raise Failure("MESSAGE_METHOD_UNKNOWN", method)
        with self.world.store.changed:
            self.calls[method] += 1
            session, arguments = self._unmarshalled(message, method, params)
            if slave_of:
                raise Failure("HOST_IS_SLAVE", slave_of)
            if message.session:
                self.world.check_session(session)
            if message.writes:
                self.world.check_role(session, name)
            if name == method:
                return message.body(self.world, Context(session), *arguments)
            return self._started(message, session, arguments)

    def _unmarshalled(self, message: Message, method: str, params: list[Any]) -> tuple[str, list[Any]]:
        expected = len(message.params)
        given = len(params) - message.session
        if not expected - message.optional <= given <= expected:
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, str(expected), str(given))
        session = read("session ref", "session_id", params[0]) if message.session else ""
        rest = params[message.session :]
        return session, [
            read(kind, f"argument {number}", value)
            for number, (kind, value) in enumerate(zip(message.params, rest, strict=False), start=1)
        ]

    def _started(self, message: Message, session: str, arguments: list[Any]) -> str:
        task = control.new_task(self.world, f"{ASYNC}{message.name}")
        work = threading.Thread(
            target=self._run, args=(message, Context(session, task), arguments), daemon=True
        )
        work.start()
        return task

    def _run(self, message: Message, context: Context, arguments: list[Any]) -> None:
        with self.world.store.changed:
            changes: dict[str, Any] = {"finished": now(), "progress": 1.0}
            try:
                value = message.body(self.world, context, *arguments)
                changes |= {"status": "success", "result": "" if value is None else xml_value(value)}
            except Failure as failure:
                status = "cancelled" if failure.code == "TASK_CANCELLED" else "failure"
                changes |= {"status": status, "error_info": [failure.code, *failure.parameters]}
            with suppress(Failure):  # the client may have destroyed the task already
                self.world.store.set("task", context.task, **changes)

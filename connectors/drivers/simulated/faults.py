"""Faults that a test or a demo scripts, the log of calls, and one exchange of request and reply."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.pools import Endpoint
from connectors.errors import DeadlineExceeded, Refused, Unreachable

Operation = Literal[
    "*",
    "open",
    "probe",
    "list_vms",
    "get_vm",
    "create_vm",
    "delete_vm",
    "power",
    "resize",
    "add_disk",
    "grow_disk",
    "remove_disk",
    "snapshot",
    "list_snapshots",
    "revert",
    "delete_snapshot",
    "usage",
    "details",
    "export_disk",
    "import_disk",
    "migrate",
    "tag",
    "changes",
]
"""The calls of the contract, or ``*`` for any of them."""


class FaultKind(StrEnum):
    """How a scripted call goes wrong, and what it has done by then."""

    REFUSED = "refused"
    """Nothing happens, and the caller is told no."""
    UNREACHABLE = "unreachable"
    """The request is lost: nothing happens."""
    DEADLINE = "deadline"
    """Nothing happens, and the caller waits for its whole `timeout_s`."""
    LOSE_REPLY = "lose_reply"
    """It happens, and the caller gets Unreachable."""
    LATE_REPLY = "late_reply"
    """It happens, and the caller gets DeadlineExceeded after its whole `timeout_s`."""
    DELAY = "delay"
    """It happens `delay_ms` later; a create waits between looking for the machine and making it."""
    FAIL_AFTER_HALF = "fail_after_half"
    """A create fails when the machine is made without its disk; the driver must take it away."""


class Fault(Value):
    """One scripted fault: the `nth` matching call after it was scripted, and `times` in a row."""

    operation: Operation
    kind: FaultKind
    nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] = 1
    identity: UUID | None = Field(default=None, description="Only calls about this machine.")
    delay_ms: Annotated[int, Field(ge=0)] = 0
    why: str = Field(default="", description="What the caller is told.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.kind is FaultKind.FAIL_AFTER_HALF and self.operation != "create_vm":
            msg = f"fail_after_half needs operation create_vm, not {self.operation}"
            raise ValueError(msg)
        return self

    def matches(self, operation: str, identity: UUID | None) -> bool:
        """Whether a call is one of those that this fault counts."""
        return self.operation in {"*", operation} and self.identity in {None, identity}


class Call(Value):
    """One call that reached the simulated hypervisor; `seq` counts from 1."""

    seq: int
    operation: str
    identity: UUID | None


def script(db: sqlite3.Connection, faults: Iterable[Fault]) -> None:
    """Add faults to the estate's plan."""
    rows = [(fault.model_dump_json(),) for fault in faults]
    db.executemany("INSERT INTO fault (plan, seen) VALUES (?, 0)", rows)


def recorded(db: sqlite3.Connection, operation: str, identity: UUID | None) -> Fault | None:
    """Log a call, count it for each fault it matches, and give the first fault that is due."""
    db.execute(
        "INSERT INTO call (operation, identity) VALUES (?, ?)", (operation, identity and str(identity))
    )
    due: Fault | None = None
    for seq, plan, seen in db.execute("SELECT seq, plan, seen FROM fault ORDER BY seq").fetchall():
        fault = Fault.model_validate_json(plan)
        if not fault.matches(operation, identity):
            continue
        db.execute("UPDATE fault SET seen = seen + 1 WHERE seq = ?", (seq,))
        if due is None and fault.nth <= seen + 1 < fault.nth + fault.times:
            due = fault
    return due


def logged(db: sqlite3.Connection) -> list[Call]:
    """Every call so far, in order."""
    rows = db.execute("SELECT seq, operation, identity FROM call ORDER BY seq").fetchall()
    return [Call(seq=s, operation=o, identity=UUID(i) if i else None) for s, o, i in rows]


class Exchange:
    """One request and its reply, within the endpoint's deadline."""

    def __init__(self, endpoint: Endpoint, operation: str, sleep: Callable[[float], None]) -> None:
        self.endpoint = endpoint
        self.operation = operation
        self.fault: Fault | None = None
        self._sleep = sleep
        self._until = time.monotonic() + endpoint.timeout_s

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never below zero."""
        return max(0.0, self._until - time.monotonic())

    def due(self, kind: FaultKind) -> bool:
        """Whether this call is to go wrong in that way."""
        return self.fault is not None and self.fault.kind is kind

    def arrive(self) -> None:
        """Raise what stops the request before it has an effect."""
        if self.due(FaultKind.REFUSED):
            raise self.refused(why="the hypervisor refused it")
        if self.due(FaultKind.UNREACHABLE):
            raise self.unreachable(why="the connection was refused")
        if self.due(FaultKind.DEADLINE):
            self.wait(self.endpoint.timeout_s + 1)

    def pause(self) -> None:
        """Wait where a scripted delay is due."""
        if self.fault is not None and self.due(FaultKind.DELAY):
            self.wait(self.fault.delay_ms / 1000)

    def reply(self, latency_ms: int) -> None:
        """Wait for the reply, or raise what happens to it; the effect is there already."""
        if self.due(FaultKind.LATE_REPLY):
            self.wait(self.endpoint.timeout_s + 1)
        if latency_ms:
            self.wait(latency_ms / 1000)
        if self.due(FaultKind.LOSE_REPLY):
            raise self.unreachable(why="the connection was lost before the reply")

    def wait(self, seconds: float) -> None:
        """Sleep, or raise DeadlineExceeded at the deadline when that is sooner."""
        left_s = self.left_s
        self._sleep(min(seconds, left_s))
        if seconds > left_s:
            raise self.late()

    def late(self) -> DeadlineExceeded:
        """The error at the deadline."""
        why = self._why(f"no reply within {self.endpoint.timeout_s:g} s")
        return DeadlineExceeded(self.endpoint.name, self.operation, why)

    def refused(self, why: str) -> Refused:
        """The scripted no."""
        return Refused(self.endpoint.name, self.operation, self._why(why), vendor_code="SIMULATED")

    def unreachable(self, why: str) -> Unreachable:
        """The error of a lost request or reply."""
        return Unreachable(self.endpoint.name, self.operation, self._why(why))

    def _why(self, otherwise: str) -> str:
        return (self.fault.why if self.fault else "") or otherwise

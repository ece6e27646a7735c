"""Killing a process at every point where it touches the database or a hypervisor, then recovering.

A *point* is one SQL statement, one commit, or one hypervisor call (before and after it). `run_until`
runs work in a forked child that is killed by SIGKILL at one of them, so nothing can be cleaned up;
the caller then recovers and checks what is left. After a statement and before its commit the database
is as it was before the statement, so one point serves both. Reads that poll, on threads that run no
workflow, are no points: their number depends on time, and they change nothing.
"""

import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.contract import Connector
from tierwise.app import App
from tierwise.endpoints import Endpoints

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Point:
    """The `nth` time that something of this name happens, from 1.

    Threads that work side by side change the order of all points from run to run, not these numbers.
    """

    name: str
    nth: int

    def __str__(self) -> str:
        return f"{self.name}, time {self.nth}"


class Points:
    """Counts points, and kills the process at the one it was told."""

    def __init__(self, kill_at: Point | None) -> None:
        self.kill_at = kill_at
        self.names: list[str] = []
        self._times: Counter[str] = Counter()
        self.armed = False
        """Nothing counts until this is set."""
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        """One point."""
        if not self.armed:
            return
        with self._lock:
            self.names.append(name)
            self._times[name] += 1
            if Point(name, self._times[name]) == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def watch_engine(engine: sa.Engine, points: Points) -> None:
    """Count the statements and commits of an engine."""
    wrote = threading.local()

    def counts(statement: str) -> bool:
        writes = statement.lstrip().upper().startswith(_WRITES)
        if writes:
            wrote.pending = True
        return writes or is_worker()

    def before(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        if counts(statement):
            points.reached(f"sql {_short(statement)}")

    def commit(_connection: Any) -> None:
        if getattr(wrote, "pending", False):
            wrote.pending = False
            points.reached("commit")

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "commit", commit)


def is_worker() -> bool:
    """Whether this thread runs a workflow."""
    return threading.current_thread().name.startswith("dbos-executor")


def _short(statement: str) -> str:
    return " ".join(statement.split())[:60]


class WatchedEndpoints(Endpoints):
    """Endpoints whose connectors count their calls."""

    def __init__(self, inner: Endpoints, points: Points) -> None:
        super().__init__({name: inner.get(name) for name in inner.names})
        self._points = points

    @contextmanager
    def lease(self, name: str) -> Iterator[Connector]:
        """A connector whose calls are points."""
        with super().lease(name) as connector:
            yield _Watched(connector, self._points)  # type: ignore[misc] # stands in for the connector it wraps


class _Watched:
    def __init__(self, inner: Connector, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if not callable(attribute):
            return attribute

        def watched(*arguments: Any, **named: Any) -> Any:
            self._points.reached(f"before {name}")
            result = attribute(*arguments, **named)
            self._points.reached(f"after {name}")
            return result

        return watched


def watched(app: App, points: Points) -> App:
    """The same application with every touch of database and endpoints counted."""
    watch_engine(app.engine, points)
    return App(
        settings=app.settings,
        clock=app.clock,
        documents=app.documents,
        endpoints=WatchedEndpoints(app.endpoints, points),
        engine=app.engine,
        sessions=app.sessions,
    )


@dataclass(frozen=True)
class Ended:
    """How a child ended. `points` is empty for a child that was killed."""

    killed: bool
    points: tuple[Point, ...]


def run_until(work: Callable[[Points], None], kill_at: Point | None, report: Path) -> Ended:
    """Run `work` in a fork of this process, killed at the point `kill_at` if it reaches it.

    Call it from a process without threads of its own. Raises RuntimeError with the child's
    traceback when the work fails for another reason than the kill.
    """
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _in_child(work, kill_at, report)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    if code not in {0, _KILLED}:
        msg = f"the child ended with {code} before point {kill_at}:\n{text}"
        raise RuntimeError(msg)
    return Ended(killed=code == _KILLED, points=tuple(_numbered(text.splitlines())))


def _numbered(names: Iterable[str]) -> Iterator[Point]:
    times: Counter[str] = Counter()
    for name in names:
        times[name] += 1
        yield Point(name, times[name])


def _in_child(work: Callable[[Points], None], kill_at: Point | None, report: Path) -> None:
    code = 1
    try:
        points = Points(kill_at)
        work(points)
        report.write_text("\n".join(points.names), encoding="utf-8")
        code = 0
    except BaseException:  # noqa: BLE001 - the parent shall see whatever ended the child
        report.write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        # No clean-up of the parent's state that the fork copied: exit at once.
        os._exit(code)

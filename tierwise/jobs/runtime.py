"""The durable workflow engine (DBOS Transact) inside this process, on the application's database."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SQLAlchemyDatasource
from filelock import FileLock, Timeout
from sqlmodel import Session

from tierwise.app import App
from tierwise.errors import StoreBusy, TierwiseError
from tierwise.store import orders as order_store

WORKFLOW_ABI = "1"
"""Raised when the steps of a workflow change, so that old work is never replayed over new steps."""

QUEUE = "machines"


class Runtime:
    """The running engine. One process at a time works on a data directory, guarded by a lock file."""

    def __init__(self, app: App, datasource: SQLAlchemyDatasource) -> None:
        self.app = app
        self.datasource = datasource
        self.active: set[str] = set()
        """The workflows that run in this process."""
        self.stopped: dict[str, str] = {}
        """Workflows that ended here with an error, which a full disk may have kept from being written."""
        self.planning = threading.Lock()
        """Held from a batch's plan until its room is reserved: of batches that plan at once all but one lose."""

        self.progress: dict[str, tuple[str, int, int]] = {}
        """What long work of this process is at: (what, done, all)."""

    def reporter(self, workflow_id: str) -> Callable[[str, int, int], None]:
        """Keeps what a workflow tells of its progress, for whoever waits for it."""

        def tell(what: str, done: int, total: int) -> None:
            self.progress[workflow_id] = what, done, total

        return tell

    @contextmanager
    def working(self, workflow_id: str) -> Iterator["Runtime"]:
        """Let others in this process see that a workflow runs, and what stopped it."""
        self.stopped.pop(workflow_id, None)
        self.active.add(workflow_id)
        try:
            yield self
        except Exception as error:
            self.stopped[workflow_id] = str(error)
            raise
        finally:
            self.active.discard(workflow_id)
            self.progress.pop(workflow_id, None)

    def transaction(self, name: str, change: Callable[..., Any], *arguments: Any) -> Any:
        """Run ``change(session, *arguments)`` as a step whose result commits with its rows."""

        def body() -> Any:
            session = self.datasource.sql_session()
            assert isinstance(session, Session)
            order_store.lock(session)
            return change(session, *arguments)

        return self.datasource.run_tx_step({"name": name}, body)


_current: list[Runtime] = []


def current() -> Runtime:
    """The runtime of this process; workflows have no other way to reach it after a restart."""
    assert _current, "durable work runs only inside `running`"
    return _current[-1]


@contextmanager
def running(app: App) -> Iterator[Runtime]:
    """Start the engine, finish what an earlier process left undone, and stop at the end.

    Raises StoreBusy when another process works on the same data directory.
    """
    from tierwise.jobs import moving, workflows  # noqa: F401, PLC0415 - registers them; they import this module

    lock = FileLock(str(app.settings.data_dir / "tierwise.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        msg = (
            f"another tierwise process works on {app.settings.data_dir}; "
            "wait until it ends, or use another --data-dir"
        )
        raise StoreBusy(msg) from None
    except OSError as error:
        msg = f"{app.settings.data_dir} cannot be written: {error}; check its rights and free space"
        raise TierwiseError(msg) from None
    try:
        runtime = _prepare(app)
        # Set before the launch: recovery starts workflows at once, and they ask for it.
        _current.append(runtime)
        try:
            DBOS.launch()
            workflows.register_queue(app.settings.workers)
            yield runtime
        finally:
            DBOS.destroy()
            _current.remove(runtime)
    finally:
        lock.release()


def _prepare(app: App) -> Runtime:
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    url = f"sqlite:///{app.settings.database}"
    config: DBOSConfig = {
        "name": "tierwise",
        "system_database_url": url,
        "system_database_engine": app.engine,
        "application_version": WORKFLOW_ABI,
        "executor_id": "local",
        # Pickle, the default, would run code from a database that somebody tampered with.
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "CRITICAL",
        "notification_listener_polling_interval_sec": 0.05,
        "max_executor_threads": app.settings.workers * 2 + 4,
    }
    DBOS(config=config)
    datasource = SQLAlchemyDatasource.create(
        url, engine=app.engine, sessionmaker=app.sessions, serializer=DBOSPortableJSONSerializer()
    )
    return Runtime(app, datasource)

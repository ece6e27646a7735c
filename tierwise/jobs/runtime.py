"""The durable workflow engine (DBOS Transact) inside this process, on the application's database."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SQLAlchemyDatasource
from sqlmodel import Session, col, select

from tierwise.app import App
from tierwise.store import orders as order_store
from tierwise.store.locks import alone
from tierwise.store.tables import AppliedStepRow

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
        self.process = str(uuid4())
        """Tells this run of the engine from earlier and later ones."""
        self.cut_off: list[str] = []
        """What an earlier process was cut off at and this one does not do, in words."""
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
        """Run ``change(session, *arguments)`` as a step whose result commits with its rows.

        The change is made once, however often the step is. The engine's own note of that is not enough: it removes
        the notes of work that ends before it writes down that it ended, and where the disk is full in between, the
        next process does all steps again; a thread of a stopped engine that waited for room may do so too.
        """

        def body() -> Any:
            session = self.datasource.sql_session()
            assert isinstance(session, Session)
            order_store.lock(session)
            workflow, step = DBOS.workflow_id, DBOS.step_id
            assert workflow is not None, name
            assert step is not None, name
            applied = session.get(AppliedStepRow, (workflow, step))
            if applied is not None:
                return json.loads(applied.result)
            result = change(session, *arguments)
            session.add(AppliedStepRow(workflow=workflow, step=step, result=json.dumps(result)))
            return result

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

    folder = app.settings.data_dir
    busy = f"another tierwise process works on {folder}; wait until it ends, or use another --data-dir"
    with alone(folder / "tierwise.lock", busy, patience_s=0):
        runtime = _prepare(app)
        # Set before the launch: recovery starts workflows at once, and they ask for it.
        _current.append(runtime)
        try:
            DBOS.launch()
            workflows.register_queue(app.settings.workers)
            _forget_finished(app)
            yield runtime
        finally:
            DBOS.destroy()
            _current.remove(runtime)


def _forget_finished(app: App) -> None:
    """Remove the applied steps of work that has come to its end, which is written down and never runs again."""
    with app.session() as session:
        known = set(session.exec(select(AppliedStepRow.workflow)))
        if not known:
            return
        ended = DBOS.list_workflows(
            workflow_ids=list(known), status=["SUCCESS", "ERROR"], load_input=False, load_output=False
        )
        order_store.lock(session)
        for work in ended:
            session.execute(
                sa.delete(AppliedStepRow).where(col(AppliedStepRow.workflow) == work.workflow_id)
            )
        session.commit()


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

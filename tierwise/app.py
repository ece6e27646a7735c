"""Everything real, wired by hand, once; every part can be replaced by an argument."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from tierwise.clock import Clock, SystemClock
from tierwise.documents import Documents, load
from tierwise.endpoints import Endpoints, at_home
from tierwise.errors import InvalidInput
from tierwise.settings import Settings
from tierwise.store.engine import migrate, open_engine, session_factory


@dataclass(frozen=True, eq=False)
class App:
    """The application's parts. Use `session` for short reads and writes outside durable work."""

    settings: Settings
    clock: Clock
    documents: Documents
    endpoints: Endpoints
    engine: sa.Engine
    sessions: sessionmaker[Session]

    def session(self) -> Session:
        """A session on the application's database."""
        return self.sessions(bind=self.engine)

    def close(self) -> None:
        """Let go of every endpoint and of the database."""
        self.endpoints.close()
        self.engine.dispose()


def wire(settings: Settings, clock: Clock | None = None, documents: Documents | None = None) -> App:
    """The application on a data directory that `tierwise init` has made. Raises InvalidInput.

    `documents` are those of the data directory where the caller has loaded them before.
    """
    if not settings.catalog_dir.is_dir():
        msg = (
            f"{settings.data_dir} is not a tierwise data directory (it has no catalog folder); "
            "run `tierwise init --example acme`, or name another with --data-dir"
        )
        raise InvalidInput(msg)
    documents = documents or load(settings.catalog_dir)
    engine = open_engine(settings.database)
    migrate(engine)
    return App(
        settings=settings,
        clock=clock or SystemClock(),
        documents=documents,
        endpoints=Endpoints(at_home(documents.catalog.endpoints, settings.data_dir)),
        engine=engine,
        sessions=session_factory(),
    )

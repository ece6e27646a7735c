"""Opening the database: SQLite in WAL mode by default, migrated to the present schema."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from tierwise.errors import TierwiseError

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_MS = 30_000


def open_engine(path: Path) -> sa.Engine:
    """An engine on the SQLite file, made and put into WAL mode where it is new.

    Two writers queue up for half a minute. Raises TierwiseError when the file is not a database or
    cannot be written; so do all later statements when the disk fails them.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # WAL is a property of the file: DBOS shares it, and is 14 times faster for it.
        with closing(sqlite3.connect(path, timeout=30)) as plain:
            plain.execute("PRAGMA journal_mode=WAL")
    except (OSError, sqlite3.Error) as error:
        advice = _NOT_OURS.get(_code(error), "check the path, its rights and free space")
        msg = f"the database {path} cannot be opened: {error}; {advice}"
        raise TierwiseError(msg) from None
    engine = sa.create_engine(f"sqlite:///{path}")
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "handle_error", _on_error)
    return engine


class StoreFailed(TierwiseError):
    """The disk failed the database: what was to be written was not, and may be tried again later."""


_NOT_OURS = {
    sqlite3.SQLITE_FULL: "free some space",
    sqlite3.SQLITE_IOERR: "free some space, or look at the disk",
    sqlite3.SQLITE_READONLY: "make it writable",
    sqlite3.SQLITE_CANTOPEN: "check the path, its rights and free space",
    sqlite3.SQLITE_CORRUPT: "restore it from a backup",
    sqlite3.SQLITE_NOTADB: "restore it from a backup",
}


def _on_error(context: sa.engine.ExceptionContext) -> None:
    """What the disk did, in words; all other errors stay SQLAlchemy's."""
    error = context.original_exception
    code = _code(error)
    if code in _NOT_OURS and context.engine is not None:
        msg = f"the database {context.engine.url.database}: {error}; {_NOT_OURS[code]}, then repeat"
        raise StoreFailed(msg) from None


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys=ON")
    # NORMAL loses no committed transaction when the process dies; FULL also survives power loss.
    connection.execute("PRAGMA synchronous=FULL")


def session_factory() -> sessionmaker[Session]:
    """Sessions whose objects stay readable after commit. No ``bind=`` here: DBOS passes its own."""
    return sessionmaker(class_=Session, expire_on_commit=False)


def alembic_config(engine: sa.Engine) -> Config:
    """Alembic's configuration for this engine; no ini file is needed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine
    return config


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision. Raises TierwiseError where that cannot be done."""
    try:
        command.upgrade(alembic_config(engine), "head")
    except CommandError as error:
        msg = (
            f"the database {engine.url.database} has a schema that this version of tierwise does not know "
            f"({error}); it was made by a newer version: use that one"
        )
        raise TierwiseError(msg) from None


def revision(engine: sa.Engine) -> tuple[str | None, str | None]:
    """(the database's schema revision, the newest one that this version of tierwise knows)."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(alembic_config(engine)).get_current_head()


def _code(error: BaseException | None) -> int:
    """SQLite's primary result code, or 0."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF

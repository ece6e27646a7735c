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
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from tierwise.errors import TierwiseError

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_MS = 30_000


def open_engine(path: Path) -> sa.Engine:
    """An engine on the SQLite file, made and put into WAL mode where it is new.

    Transactions begin IMMEDIATE, so two writers queue up instead of failing half-way. Raises
    TierwiseError when the file is not a database or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # WAL is a property of the file: DBOS shares it, and is 14 times faster for it.
        with closing(sqlite3.connect(path, timeout=30)) as plain:
            plain.execute("PRAGMA journal_mode=WAL")
    except (OSError, sqlite3.Error) as error:
        msg = f"the database {path} cannot be opened: {error}; check the path, its rights and free space"
        raise TierwiseError(msg) from None
    engine = sa.create_engine(f"sqlite:///{path}")
    sa.event.listen(engine, "connect", _on_connect)
    return engine


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
    """Bring the schema to the newest revision."""
    command.upgrade(alembic_config(engine), "head")


def revision(engine: sa.Engine) -> tuple[str | None, str | None]:
    """(the database's schema revision, the newest one that this version of tierwise knows)."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(alembic_config(engine)).get_current_head()

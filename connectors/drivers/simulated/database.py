"""Where a simulated estate is kept: a SQLite file, or a named database in this process."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = "memory:"

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS vm (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT, name TEXT NOT NULL, provider TEXT NOT NULL,
        host TEXT NOT NULL, power TEXT NOT NULL, vcpu INTEGER NOT NULL, memory_mib INTEGER NOT NULL,
        disk_gib INTEGER NOT NULL, annotations TEXT NOT NULL, half INTEGER NOT NULL,
        cpu_ms INTEGER NOT NULL, metered_at_ms INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS vm_identity ON vm (identity)",
    "CREATE INDEX IF NOT EXISTS vm_provider ON vm (provider, host)",
    "CREATE INDEX IF NOT EXISTS vm_name ON vm (name)",
    """CREATE TABLE IF NOT EXISTS snapshot (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, vm INTEGER NOT NULL, name TEXT NOT NULL, power TEXT NOT NULL,
        vcpu INTEGER NOT NULL, memory_mib INTEGER NOT NULL, disk_gib INTEGER NOT NULL, UNIQUE (vm, name))""",
    "CREATE TABLE IF NOT EXISTS taken (snapshot INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, parent INTEGER)",
    "CREATE TABLE IF NOT EXISTS origin (vm INTEGER PRIMARY KEY, snapshot INTEGER)",
    """CREATE TRIGGER IF NOT EXISTS merged AFTER DELETE ON snapshot BEGIN
        UPDATE taken SET parent = (SELECT parent FROM taken WHERE snapshot = old.seq) WHERE parent = old.seq;
        UPDATE origin SET snapshot = (SELECT parent FROM taken WHERE snapshot = old.seq)
            WHERE snapshot = old.seq;
        DELETE FROM taken WHERE snapshot = old.seq; END""",
    """CREATE TABLE IF NOT EXISTS block (
        vm INTEGER NOT NULL, place INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (vm, place))""",
    """CREATE TABLE IF NOT EXISTS disk (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, vm INTEGER NOT NULL, name TEXT NOT NULL, gib INTEGER NOT NULL,
        UNIQUE (vm, name))""",
    "CREATE TABLE IF NOT EXISTS firmware (vm INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS change (seq INTEGER PRIMARY KEY AUTOINCREMENT, vm INTEGER NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS made AFTER INSERT ON vm BEGIN INSERT INTO change (vm) VALUES (new.seq); END",
    """CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE ON vm BEGIN
        INSERT INTO change (vm) VALUES (new.seq); END""",
    """CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON vm BEGIN
        INSERT INTO change (vm) VALUES (old.seq); DELETE FROM block WHERE vm = old.seq;
        DELETE FROM firmware WHERE vm = old.seq; END""",
    """CREATE TRIGGER IF NOT EXISTS removed_origin AFTER DELETE ON vm BEGIN
        DELETE FROM origin WHERE vm = old.seq; END""",
    """CREATE TRIGGER IF NOT EXISTS removed_disks AFTER DELETE ON vm BEGIN
        DELETE FROM block WHERE vm IN (SELECT -seq FROM disk WHERE vm = old.seq);
        DELETE FROM disk WHERE vm = old.seq; END""",
    "INSERT OR IGNORE INTO meta (key, value) VALUES ('feed', lower(hex(randomblob(8))))",
    "CREATE TABLE IF NOT EXISTS call (seq INTEGER PRIMARY KEY, operation TEXT NOT NULL, identity TEXT)",
    "CREATE TABLE IF NOT EXISTS fault (seq INTEGER PRIMARY KEY, plan TEXT NOT NULL, seen INTEGER NOT NULL)",
)


class Busy(Exception):
    """Somebody else held the estate for longer than the time allowed."""


class Database:
    """One estate's tables. A transaction is the unit in which the simulated hypervisor acts."""

    def __init__(self, connection: sqlite3.Connection, when_closed: Callable[[], None]) -> None:
        self._connection = connection
        self._when_closed = when_closed
        # A connection in memory is shared by threads; a file's own connection is never contended.
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self, within_s: float) -> Iterator[sqlite3.Connection]:
        """All of the body, or nothing of it. Raises Busy when it cannot begin `within_s`."""
        if not self._lock.acquire(timeout=max(within_s, 0.0)):
            raise Busy
        try:
            self._begin(within_s)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        finally:
            self._lock.release()

    def _begin(self, within_s: float) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {int(max(within_s, 0.0) * 1000)}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise Busy from error
            raise

    def close(self) -> None:
        """Give the connection up; the estate stays."""
        self._when_closed()


_in_memory: dict[str, Database] = {}
_in_memory_lock = threading.Lock()


def opened(address: str, within_s: float) -> Database:
    """The estate at an address, made if it is not there.

    Raises FileNotFoundError for a missing folder, sqlite3.Error, or Busy.
    """
    if address.startswith(MEMORY):
        return _opened_in_memory(address)
    folder = Path(address).parent
    if not folder.is_dir():
        msg = f"there is no folder '{folder}'"
        raise FileNotFoundError(msg)
    connection = _connection(address)
    try:
        _prepare(connection, time.monotonic() + within_s)
    except BaseException:
        connection.close()
        raise
    return Database(connection, connection.close)


def forget(address: str) -> None:
    """Drop an estate in memory with all its machines; nothing if it is not there."""
    with _in_memory_lock:
        database = _in_memory.pop(address, None)
    if database is not None:
        with database.transaction(60.0):
            pass  # waits for a transaction under way
        database._connection.close()  # noqa: SLF001 -- the same module; its users only see close()


def _opened_in_memory(address: str) -> Database:
    with _in_memory_lock:
        if address not in _in_memory:
            connection = _connection(":memory:")
            _create(connection)
            _in_memory[address] = Database(connection, lambda: None)
        return _in_memory[address]


def _connection(path: str) -> sqlite3.Connection:
    # Connectors are lent from thread to thread; each is used by one at a time.
    return sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, until: float) -> None:
    """Make the tables. SQLite's own waiting does not cover the switch to WAL, so this repeats it."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _create(connection)
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
            if time.monotonic() >= until:
                raise Busy from error
            time.sleep(0.005)
        else:
            return


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _SCHEMA:
            connection.execute(statement)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

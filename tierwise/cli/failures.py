"""How errors end a command: a line for the person at the terminal, and a documented exit code."""

import os
import sqlite3
import tempfile
import time
import traceback
from pathlib import Path

from tierwise.cli.output import note
from tierwise.errors import EndpointDown, NotSupported, StoreBusy, TierwiseError

DEBUG = "TIERWISE_DEBUG"
"""Set to 1, it lets the traceback of a bug through to the terminal."""


def explain(error: TierwiseError) -> int:
    """Print the error and its details; gives the exit code."""
    note(f"error: {error}", style="bold red")
    for detail in error.details:
        note(detail, "  ")
    return int(error.exit_code)


def unexpected(error: Exception, data_dir: Path | None) -> int:
    """An error that no command expected: the world's are told in words, ours are bugs."""
    known = _known(error, data_dir)
    if known is not None:
        return explain(known)
    if os.environ.get(DEBUG) == "1":
        raise error
    what = (str(error).splitlines() or [""])[0][:200]
    msg = f"this is a bug in tierwise: {type(error).__name__}: {what}"
    return explain(TierwiseError(msg, details=[_kept(error, data_dir)]))


def _known(error: Exception, data_dir: Path | None) -> TierwiseError | None:
    """What the disk, the database or an endpoint did, as an error with its exit code."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.OperationalError) and "locked" in str(original):
        return StoreBusy("another process has kept the database locked; wait until it ends, and repeat")
    if isinstance(original, sqlite3.OperationalError) and "disk is full" in str(original):
        where = f"of the data directory {data_dir}" if data_dir is not None else "of the database"
        return TierwiseError(
            f"the disk {where} is full and nothing is half-written: free space there, and repeat"
        )
    if isinstance(original, sqlite3.OperationalError) or type(original) is sqlite3.DatabaseError:
        return TierwiseError(f"the database: {original}; `tierwise doctor` looks at it")
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return TierwiseError(f"{where}{error.strerror}; check rights and free space, and repeat")
    if isinstance(error, MemoryError):
        return TierwiseError("there is not enough memory for this; give the process more, and repeat")
    return endpoint_failure(error)


def endpoint_failure(error: Exception) -> TierwiseError | None:
    """An error of a connector with its exit code; None for any other."""
    from connectors.errors import ConnectorError, DeadlineExceeded, Unreachable, Unsupported

    if not isinstance(error, ConnectorError):
        return None
    if isinstance(error, Unsupported):
        return NotSupported(str(error))
    return (
        EndpointDown(str(error))
        if isinstance(error, Unreachable | DeadlineExceeded)
        else TierwiseError(str(error))
    )


def _kept(error: Exception, data_dir: Path | None) -> str:
    """Write the traceback where a person can send it from; says where."""
    text = "".join(traceback.format_exception(error))
    name = f"tierwise-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    here = [data_dir / "logs"] if data_dir is not None and data_dir.is_dir() else []
    for folder in (*here, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"its traceback is in {folder / name}; please report it, or set {DEBUG}=1 to see it here"
    return f"its traceback could not be written; set {DEBUG}=1 to see it here"

"""One process at a time in a folder of the data directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tierwise.errors import StoreBusy, TierwiseError


@contextmanager
def alone(path: Path, busy: str, *, patience_s: float) -> Iterator[None]:
    """Hold the lock file at `path`, whose folder is made where it is missing.

    Raises StoreBusy with the words of `busy` when another process has not let go within `patience_s`, and
    TierwiseError where the folder cannot be written.
    """
    lock = FileLock(str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=patience_s)
    except Timeout:
        raise StoreBusy(busy) from None
    except OSError as error:
        msg = f"{path.parent} cannot be written: {error}; check its rights and free space"
        raise TierwiseError(msg) from None
    try:
        yield
    finally:
        lock.release()

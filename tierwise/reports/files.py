"""A file appears whole or not at all."""

import os
import tempfile
from pathlib import Path

from tierwise.errors import TierwiseError


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, and the old one stays where it cannot be written.

    Into a device or a pipe it is written as it comes. Raises TierwiseError with the reason of the system, and leaves
    nothing behind.
    """
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        msg = (
            f"{target} was not written: {error.strerror or error}; check its folder, rights and free space"
        )
        raise TierwiseError(msg) from None


def _mode(target: Path) -> int:
    """That of the file which is replaced, else what the user's umask leaves of 0666."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

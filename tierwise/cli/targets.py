"""Files that a command writes in the end: what cannot be written is told before anything is computed."""

import errno
import os
from pathlib import Path

from tierwise.errors import InvalidInput


def check_writable(*paths: Path | None) -> None:
    """Raises InvalidInput for the first that has no folder, is one, or may not be written."""
    for path in paths:
        if path is None:
            continue
        reason = _why_not(path)
        if reason:
            msg = f"{path}: cannot be written: {os.strerror(reason)}; check its folder and rights (nothing was computed)"
            raise InvalidInput(msg)


def _why_not(path: Path) -> int:
    """The system's number of the reason; 0 where writing may go well. A disk may be full all the same."""
    folder = path.parent
    if path.is_dir():
        return errno.EISDIR
    if not folder.is_dir():
        return errno.ENOTDIR if folder.exists() else errno.ENOENT
    # A file that is there may be a device, whose folder nobody may write to.
    return 0 if os.access(path if path.exists() else folder, os.W_OK) else errno.EACCES

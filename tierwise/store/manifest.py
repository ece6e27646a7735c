"""Which files make up a history of usage: one small file, replaced at once, makes a change visible.

What is not listed does not count: a file that a killed process left, or one that was merged into
another. What is listed and not there is missed by name, so a lost file is never charged as nothing.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tierwise.errors import TierwiseError

NAME = "manifest.json"
_VERSION = 1


@dataclass(frozen=True)
class UsageFile:
    """One file: where it is below the folder, and what its rows span, so that readers may pass it by.

    `path` is `2026-10/00000007.parquet`, or without a month for a file of an older version. `t_to` is
    the first second after all its rows; `newest` when its newest row was recorded, -1 where rows do
    not say.
    """

    path: str
    rows: int
    t_from: int
    t_to: int
    newest: int

    @property
    def month(self) -> str:
        """The month of its rows' beginnings; empty for a file of an older version."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Manifest:
    """All files that count. `number` is the last change's; `retired` are files that were merged into others."""

    number: int = 0
    files: tuple[UsageFile, ...] = ()
    retired: tuple[str, ...] = ()
    state: str = ""
    """The file with the writer's own notes about the rows, empty where there is none."""

    def plus(self, files: Iterable[UsageFile], state: str) -> "Manifest":
        """With more files."""
        return replace(self, number=self.number + 1, files=(*self.files, *files), state=state)

    def merged(self, old: Iterable[UsageFile], new: Iterable[UsageFile]) -> "Manifest":
        """With some files in the place of others that have the same rows."""
        gone = {file.path for file in old}
        kept = [file for file in self.files if file.path not in gone]
        return replace(
            self, number=self.number + 1, files=(*kept, *new), retired=(*self.retired, *sorted(gone))
        )


def load(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where none was written. Raises TierwiseError for a damaged one."""
    file = folder / NAME
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(file, str(error)) from None
    try:
        return _parsed(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(file, str(error)) from None


def _parsed(document: Any) -> Manifest:
    if document["version"] != _VERSION:
        msg = f"it is of version {document['version']}, this program reads version {_VERSION}"
        raise ValueError(msg)
    return Manifest(
        number=document["number"],
        files=tuple(UsageFile(**file) for file in document["files"]),
        retired=tuple(document["retired"]),
        state=document["state"],
    )


def _damaged(file: Path, why: str) -> TierwiseError:
    msg = f"{file}, which lists the usage files, cannot be read: {why}; restore it from a backup"
    return TierwiseError(msg)


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest: from here on its files count, and only they. Raises OSError."""
    part = folder / (NAME + ".part")
    text = json.dumps({"version": _VERSION, **asdict(manifest)}, indent=0)
    part.write_text(text + "\n", encoding="utf-8")
    flush(part)
    part.replace(folder / NAME)
    flush(folder)


def flush(path: Path) -> None:
    """Have a file or folder on the disk, not only in memory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

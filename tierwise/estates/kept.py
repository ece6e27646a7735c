"""Estates that were read before, kept between runs: reading a workbook takes most of a second run's time.

An entry is found by all that its estate depends on: the content of the files and their names, the code that reads
them, and the libraries below it. So what is kept is what reading again would give. Exports tell a lot about an
estate: the folder and its files are their owner's alone, and what belongs to anybody else is left alone.
"""

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from catalog.estates import Estate
from tierwise.code_sum import sum_of
from tierwise.estates.importers import importers
from tierwise.estates.reading import read

_LIBRARIES = ("python-calamine", "pydantic", "pydantic-core")
_LEFT_BEHIND_S = 3600
"""What is half written for so long, nobody writes any more."""


@dataclass(frozen=True)
class KeptEstates:
    """A folder of estates. `tell` hears, in words, why nothing can be kept there; then files are read all the same."""

    folder: Path
    most_bytes: int
    """Of all entries; those that were not asked for the longest go first. 0: nothing is kept."""
    tell: Callable[[str], None]

    def read(self, path: Path) -> Estate:
        """The estate at `path`, as `tierwise.estates.read` gives it. Raises what that raises."""
        key = _key(path) if self.most_bytes else ""
        if not key or not self._usable():
            return read(path)
        entry = self.folder / f"{key}.estate"
        found = _entry(entry, key)
        if found is not None:
            return found
        estate = read(path)
        if _key(path) == key:  # Else somebody wrote to it meanwhile.
            self._write(entry, key, estate)
        return estate

    def _usable(self) -> bool:
        """Whether the folder is there, or can be made, and is ours alone; where not, why is told."""
        if not self.folder.is_absolute():
            return self._cannot("this user has no home")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            found = self.folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                return self._cannot("it is another user's, or no folder")
            if stat.S_IMODE(found.st_mode) & 0o077:
                self.folder.chmod(0o700)
        except OSError as error:
            return self._cannot(error.strerror)
        return True

    def _write(self, entry: Path, key: str, estate: Estate) -> None:
        """Whole or not at all; a disk that is full costs the next run some time, and this one nothing."""
        try:
            content = estate.model_dump_json(exclude_defaults=True).encode()
        except (PydanticSerializationError, UnicodeEncodeError):
            return  # A name with half a character in it: JSON has no word for that.
        if len(content) > self.most_bytes:
            return
        part = None
        try:
            handle, name = tempfile.mkstemp(prefix=f"{key[:16]}-", suffix=".part", dir=self.folder)
            part = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(_sum(key, content) + b"\n" + content)
            part.replace(entry)
            self._make_room(entry)
        except OSError as error:
            if part is not None:
                with suppress(OSError):
                    part.unlink()
            self._cannot(error.strerror)

    def _make_room(self, newest: Path) -> None:
        entries = []
        for one in self.folder.iterdir():
            with suppress(FileNotFoundError):  # Another process makes room as well.
                found = one.stat()
                if one.suffix == ".part" and time.time() - found.st_mtime > _LEFT_BEHIND_S:
                    one.unlink()
                if one.suffix == ".estate":
                    entries.append((one != newest, found.st_mtime_ns, found.st_size, one))
        total = sum(size for _, _, size, _ in entries)
        for other, _, size, one in sorted(entries, key=lambda entry: entry[1]):
            if total > self.most_bytes and other:
                one.unlink(missing_ok=True)
                total -= size

    def _cannot(self, why: str | None) -> bool:
        self.tell(
            f"what was read of estates cannot be kept in {self.folder} ({why}), so the next run reads the file again; "
            "put that right, or set TIERWISE_KEPT_ESTATES_MIB=0 to keep nothing"
        )
        return False


def _entry(entry: Path, key: str) -> Estate | None:
    """The estate of an entry; None where there is none, or it is damaged or could be another user's work."""
    try:
        with os.fdopen(os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            ours = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022
            if not ours or not stat.S_ISREG(found.st_mode):
                return None
            said, _, content = file.read().partition(b"\n")
            if said != _sum(key, content):
                return None
            estate = Estate.model_validate_json(content)
            os.utime(file.fileno())  # What is asked for stays.
    except (OSError, ValidationError):
        return None
    return estate


def _sum(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).hexdigest().encode()


def _key(path: Path) -> str:
    """Everything that the estate at a path depends on; empty for what cannot be looked at twice, such as a pipe."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        if path.is_dir():
            files = [one for one in files if one.suffix.lower() == ".csv" and one.is_file()]
        # Estates are called after their files, and after what a link means.
        parts = [str(path), str(path.resolve()), str(path.is_dir()), _code()]
        for one in files:
            if not one.is_file():
                return ""
            with one.open("rb") as file:
                parts += [one.name, hashlib.file_digest(file, "sha256").hexdigest()]
    except OSError:
        return ""  # Reading it says what is wrong.
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


@cache
def _code() -> str:
    """The same for the same code: ours, that of importers from elsewhere, and the libraries'."""
    packages = {type(one).__module__.partition(".")[0] for one in importers().values()}
    return sum_of({"catalog", "tierwise", *packages}, _LIBRARIES)

"""Usage in Parquet: files that are written whole, never changed, and read together.

A file is written beside its place, flushed to the disk and renamed, so a full disk or a kill leaves
either the whole file or none. One writer at a time, guarded by a lock file.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from tierwise.errors import StoreBusy, TierwiseError

_SUFFIX = ".parquet"
_NAME = re.compile(r"[0-9]{8,}\.parquet")


class UsageStore:
    """The files of one kind of usage, e.g. intervals or samples."""

    def __init__(
        self,
        folder: Path,
        schema: Any,
        *,
        defaults: Mapping[str, str] = MappingProxyType({}),
        patience_s: float = 10,
    ) -> None:
        """`defaults` is what columns that older files lack are filled with."""
        self.folder = folder
        self.schema = schema
        self._defaults = defaults
        self._patience_s = patience_s

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer. Raises StoreBusy when another has not ended within `patience_s`."""
        self._make_folder()
        lock = FileLock(str(self.folder / "writer.lock"))
        try:
            lock.acquire(timeout=self._patience_s)
        except Timeout:
            msg = f"another tierwise process writes usage in {self.folder}; try again when it has ended"
            raise StoreBusy(msg) from None
        except OSError as error:
            msg = f"{self.folder} cannot be written: {error}; check its rights and free space"
            raise TierwiseError(msg) from None
        try:
            yield
        finally:
            lock.release()

    def read(self) -> Any:
        """All rows as one `pyarrow.Table` in the order they were appended.

        Raises TierwiseError naming the file that cannot be read.
        """
        tables = []
        for file in self.files():
            try:
                tables.append(self._read(file))
            except (OSError, pa.ArrowException) as error:
                msg = (
                    f"the usage file {file} cannot be read: {' '.join(str(error).split())}; "
                    "restore it from a backup, "
                    "nothing was charged from the others"
                )
                raise TierwiseError(msg) from None
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    def _read(self, file: Path) -> Any:
        lacking = set(self.schema.names) - set(pq.read_schema(file).names)
        missing = lacking - self._defaults.keys()
        if missing:
            msg = f"it has no column {', '.join(sorted(missing))}"
            raise pa.ArrowInvalid(msg)
        known = pa.schema([field for field in self.schema if field.name not in lacking])
        table = pq.read_table(file, schema=known, page_checksum_verification=True)
        for name in lacking:
            table = table.append_column(name, pa.repeat(self._defaults[name], table.num_rows))
        return table.select(self.schema.names).cast(self.schema)

    def files(self) -> list[Path]:
        """The files in the order they were appended.

        Raises TierwiseError for a file of another name: a copy would be charged twice.
        """
        found = sorted(self.folder.glob(f"*{_SUFFIX}"))
        for file in found:
            if not _NAME.fullmatch(file.name):
                msg = f"{file} is no usage file of ours; move it out of the folder"
                raise TierwiseError(msg)
        return found

    def append(self, table: Any) -> Path | None:
        """Write the rows as a new file, inside `writing`; nothing for an empty table."""
        if not table.num_rows:
            return None
        files = self.files()
        number = int(files[-1].stem) + 1 if files else 1
        target = self.folder / f"{number:08d}{_SUFFIX}"
        part = target.with_suffix(".part")
        try:
            pq.write_table(table.cast(self.schema), part, compression="zstd", write_page_checksum=True)
            _flush(part)
            part.rename(target)
            _flush(self.folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            msg = f"usage could not be written to {self.folder}: {error}; nothing was added, free some space and repeat"
            raise TierwiseError(msg) from None
        return target

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the folder {self.folder} cannot be made: {error}"
            raise TierwiseError(msg) from None


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

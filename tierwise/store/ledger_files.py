"""The booked lines of closed periods: one Parquet file a period, named after its content, never changed.

The database knows the content's hash, so a file counts when its period is closed and not before, and a
file that was changed or lost is told by name. 40,000 lines are 0.7 MB and 0.4 s to write; as rows of the
database they would be 20 MB and 0.9 s (tests/bench/bench_chargeback_close.py measures the whole close).
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chargeback.ledger import SCHEMA
from tierwise.errors import TierwiseError
from tierwise.store.locks import alone

_SHOWN = 16


class LedgerFiles:
    """The files of one data directory."""

    def __init__(self, folder: Path, *, patience_s: float = 10) -> None:
        self.folder = folder
        self._patience_s = patience_s

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Be the only one who closes a period. Raises StoreBusy when another has not ended in `patience_s`.

        The database alone decides who closed a period; this spares two from doing the same work.
        """
        busy = f"another tierwise process closes a period in {self.folder}; look at `tierwise charge periods` when it has ended"
        with alone(self.folder / "closing.lock", busy, patience_s=self._patience_s):
            yield

    def write(self, period: str, table: Any) -> str:
        """Keep the lines of a period, inside `closing`, on the disk when this returns; gives their hash.

        The same lines have the same hash, so writing them twice changes nothing. Raises TierwiseError.
        """
        buffer = io.BytesIO()
        pq.write_table(table.cast(SCHEMA), buffer, compression="zstd", write_page_checksum=True)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        target = self._file(period, digest)
        part = target.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(target)
            _flush(self.folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            msg = f"the ledger could not be written to {self.folder}: {error}; nothing was closed, free some space and repeat"
            raise TierwiseError(msg) from None
        return digest

    def read(self, period: str, digest: str, columns: list[str] | None = None) -> Any:
        """The booked lines of a period, as they were written. Raises TierwiseError naming the file."""
        file = self._file(period, digest)
        try:
            content = file.read_bytes()
        except OSError as error:
            msg = f"the ledger file {file} cannot be read: {error.strerror}; restore it from a backup"
            raise TierwiseError(msg) from None
        if hashlib.sha256(content).hexdigest() != digest:
            msg = f"the ledger file {file} is not what was written when {period} was closed; restore it from a backup"
            raise TierwiseError(msg)
        # Not pq.read_table, which imports pyarrow.dataset and, through it, pandas (0.9 s).
        return pq.ParquetFile(pa.BufferReader(content)).read(columns=columns)

    def forget_others(self, period: str, digest: str) -> None:
        """Remove, inside `closing`, what closers of a period left that did not come to their end."""
        for file in sorted(self.folder.glob(f"{period}.*")):
            if file != self._file(period, digest):
                file.unlink(missing_ok=True)

    def _file(self, period: str, digest: str) -> Path:
        return self.folder / f"{period}.{digest[:_SHOWN]}.parquet"


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""What stands on a simulated disk: blocks in the estate's own tables; those of zeros are not kept."""

import os
import sqlite3
from collections.abc import Iterator
from typing import BinaryIO

from connectors.contract import Tell

BLOCK = 1 << 16
DISK = "disk-0"
"""The key of the one disk that a simulated machine has."""

_ZEROS = bytes(BLOCK)


def size_of(source: BinaryIO) -> int:
    """The length of an open file in bytes; it is at its beginning afterwards."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    return size


def write(db: sqlite3.Connection, vm: int, source: BinaryIO, tell: Tell) -> None:
    """Replace what stands on the machine's disk by the file."""
    erase(db, vm)
    for place in _written(source):
        source.seek(place)
        block = source.read(BLOCK)
        if block != _ZEROS[: len(block)]:
            db.execute("INSERT INTO block (vm, place, data) VALUES (?, ?, ?)", (vm, place, block))
        tell(place + len(block))
    tell(size_of(source))


def read(db: sqlite3.Connection, vm: int, size: int, to: BinaryIO, tell: Tell) -> None:
    """Write the machine's disk into an empty file, with holes where nothing stands."""
    to.seek(0)
    to.truncate(size)
    for place, data in db.execute("SELECT place, data FROM block WHERE vm = ? ORDER BY place", (vm,)):
        to.seek(place)
        to.write(data[: max(0, size - place)])
        tell(min(place + len(data), size))
    to.flush()
    tell(size)


def erase(db: sqlite3.Connection, vm: int) -> None:
    """Forget what stands on the machine's disk."""
    db.execute("DELETE FROM block WHERE vm = ?", (vm,))


def _written(source: BinaryIO) -> Iterator[int]:
    """The places of the blocks in which the file may have something; holes of a sparse file are left out."""
    size, place = size_of(source), 0
    while place < size:
        try:
            at = os.lseek(source.fileno(), place, os.SEEK_DATA)
        except OSError:  # Nothing follows (ENXIO), or it is no file that has holes.
            at = place if not _has_holes(source) else size
        place = max(place, at // BLOCK * BLOCK)
        if place < size:
            yield place
        place += BLOCK


def _has_holes(source: BinaryIO) -> bool:
    try:
        os.lseek(source.fileno(), 0, os.SEEK_HOLE)
    except OSError:
        return False
    return True

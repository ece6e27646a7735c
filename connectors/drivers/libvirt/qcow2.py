"""QEMU's disk format: a header read before it is trusted, and a disk written as it streams by.

The layout is that of QEMU's ``docs/interop/qcow2.txt``, version 3.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Self

MAGIC = b"QFI\xfb"
HEADER_BYTES = 104

_CLUSTER_BITS = 16
CLUSTER = 1 << _CLUSTER_BITS
_ZEROS = bytes(CLUSTER)
_PER_TABLE = CLUSTER // 8
"""Entries of a table of one cluster."""
_PER_BLOCK = CLUSTER // 2
"""Reference counts, of 16 bits each, of a block of one cluster."""
_COPIED = 1 << 63
"""What an entry says of a cluster that nothing else refers to."""

_FIELDS = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_CORRUPT, _OUTSIDE = 1 << 1, 1 << 2


@dataclass(frozen=True)
class Header:
    """What a qcow2 file says of itself. `size_bytes` is the disk's, as a guest sees it."""

    size_bytes: int
    backing: bool
    encrypted: bool
    snapshots: int
    incompatible: int

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The header in the first bytes of a file. Raises ValueError for what is not qcow2."""
        if data[:4] != MAGIC or len(data) < 72:
            msg = "it does not begin as a qcow2 file does"
            raise ValueError(msg)
        fields = _FIELDS.unpack(data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"))
        version, backing, size, encrypted, snapshots = (fields[i] for i in (1, 2, 5, 6, 11))
        if version not in {2, 3}:
            msg = f"it is qcow2 of version {version}; 2 and 3 are known"
            raise ValueError(msg)
        return cls(size, backing != 0, encrypted != 0, snapshots, fields[13] if version > 2 else 0)

    @property
    def alone(self) -> bool:
        """Whether the file is its disk and nothing more: no other file below it, no snapshots in it."""
        return not (self.backing or self.snapshots or self.incompatible & _OUTSIDE)

    def problem(self) -> str | None:
        """Why the file must not become a machine's disk: one that names others could show the host's own."""
        if self.backing or self.incompatible & _OUTSIDE:
            return "it refers to another file for its content"
        if self.encrypted:
            return "it is encrypted"
        if self.snapshots:
            return f"it holds {self.snapshots} snapshots"
        return "it is marked as corrupt" if self.incompatible & _CORRUPT else None


class Encoder:
    """Writes a disk as qcow2 in one pass: first the `body`, from offset `start` on, then the `head` at 0.

    Clusters of zeros are left out. Tables follow the data they list, so nothing has to be known ahead
    but the size, in bytes.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        clusters = -(-size_bytes // CLUSTER)
        self._l1 = array("Q", bytes(8 * max(1, -(-clusters // _PER_TABLE))))
        self._l1_clusters = _clusters_of(8 * len(self._l1))
        most = 2 + self._l1_clusters + clusters + len(self._l1)
        most_blocks = -(-most // (_PER_BLOCK - 2)) + 1  # room for the blocks and their table themselves
        self._table_clusters = _clusters_of(8 * most_blocks)
        self._blocks: list[int] = []
        self._next = 1 + self._l1_clusters + self._table_clusters
        self.start = self._next * CLUSTER

    def body(self, source: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """What to write from `start` on, each with how many bytes of the source are read by then.

        Raises EOFError for a source shorter than the disk.
        """
        read = 0
        for index in range(len(self._l1)):
            table = array("Q", bytes(CLUSTER))
            for entry in range(_PER_TABLE):
                if read >= self.size_bytes:
                    break
                data = _exactly(source, min(CLUSTER, self.size_bytes - read))
                read += len(data)
                if data == _ZEROS[: len(data)]:
                    yield read, b""
                    continue
                table[entry] = self._take() | _COPIED
                yield read, data.ljust(CLUSTER, b"\0")
            if any(table):
                self._l1[index] = self._take() | _COPIED
                yield read, _big_endian(table)
        for block in self._counts():
            yield read, block

    def head(self) -> bytes:
        """What stands before `start`; known only after the body."""
        header = _FIELDS.pack(
            MAGIC,
            3,
            0,
            0,
            _CLUSTER_BITS,
            self.size_bytes,
            0,
            len(self._l1),
            CLUSTER,
            CLUSTER * (1 + self._l1_clusters),
            self._table_clusters,
            0,
            0,
            0,
            0,
            0,
            4,
            HEADER_BYTES,
        )
        parts = (header, _big_endian(self._l1), _big_endian(array("Q", self._blocks)))
        room = (1, self._l1_clusters, self._table_clusters)
        return b"".join(
            part.ljust(clusters * CLUSTER, b"\0") for part, clusters in zip(parts, room, strict=True)
        )

    def _take(self) -> int:
        self._next += 1
        return (self._next - 1) * CLUSTER

    def _counts(self) -> Iterator[bytes]:
        """The blocks of reference counts: each cluster so far, and the blocks themselves, has one user."""
        count = 0
        while count * _PER_BLOCK < self._next + count:
            count += 1
        self._blocks = [self._take() for _ in range(count)]
        one = (1).to_bytes(2, "big")
        for number in range(count):
            used = min(_PER_BLOCK, self._next - number * _PER_BLOCK)
            yield (one * used).ljust(CLUSTER, b"\0")


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            msg = f"it ended {size - len(data)} bytes early"
            raise EOFError(msg)
        data += more
    return data


def _clusters_of(size: int) -> int:
    return -(-size // CLUSTER)


def _big_endian(numbers: "array[int]") -> bytes:
    return struct.pack(f">{len(numbers)}Q", *numbers)

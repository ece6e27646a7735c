"""Stream-optimised VMDK, as far as a driver must look at it: VMware's "Virtual Disk Format 5.0", sparse extents.

It is the one format in which vSphere gives and takes disks by lease: compressed grains, written from
beginning to end. Knows no vendor library.
"""

import struct
from typing import NamedTuple

SECTOR = 512
HEADER_BYTES = 512

_MAGIC = b"KDMV"
_STREAM_FLAGS = 0x30000
"""Compressed grains, and markers before them."""
_HEAD = struct.Struct("<4sIIQ")


class NotStreamOptimised(ValueError):
    """The bytes are not the beginning of a stream-optimised VMDK."""


class Header(NamedTuple):
    """What a header says. `capacity_bytes` is the size that a guest sees."""

    capacity_bytes: int

    @classmethod
    def read(cls, first: bytes) -> "Header":
        """Read the first `HEADER_BYTES` of a file. Raises NotStreamOptimised."""
        if len(first) < HEADER_BYTES or not first.startswith(_MAGIC):
            msg = "it does not begin as a VMDK"
            raise NotStreamOptimised(msg)
        _, _, flags, sectors = _HEAD.unpack_from(first)
        if flags & _STREAM_FLAGS != _STREAM_FLAGS:
            msg = "it is a VMDK, but not a stream-optimised one"
            raise NotStreamOptimised(msg)
        return cls(sectors * SECTOR)


def is_end(last: bytes) -> bool:
    """Whether the last bytes of a file are its end marker: a sector of zeros. VMware always writes it."""
    return len(last) >= SECTOR and not any(last[-SECTOR:])

"""What stands in a VHD file: its virtual size, and its content with the holes as zeros.

By Microsoft's "Virtual Hard Disk Image Format Specification" 1.0. Numbers are big-endian.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SECTOR = 512
FIXED, DYNAMIC = 2, 3
PART = 1 << 18
MOST_BLOCKS = 1 << 22
"""Of two mebibytes each: more than any VHD may have."""

COOKIE = b"conectix"  # codespell:ignore conectix
_HEADER_COOKIE = b"cxsparse"
_NO_BLOCK = 0xFFFFFFFF


class NotVhd(ValueError):
    """The file is no VHD, or one that depends on another; the text says so."""


class Vhd(NamedTuple):
    """A file that is a VHD; `table` is empty for one of fixed size, which has no holes."""

    size_bytes: int
    fixed: bool
    block_bytes: int = 0
    table: tuple[int, ...] = ()


def opened(source: BinaryIO) -> Vhd:
    """Read what the file says of itself. Raises NotVhd."""
    end = source.seek(0, os.SEEK_END)
    first = _at(source, 0, SECTOR)
    last = _at(source, max(0, end - SECTOR), SECTOR)
    footer = first if first[:8] == COOKIE else last
    if len(footer) < SECTOR or footer[:8] != COOKIE:
        msg = "the file is no VHD"
        raise NotVhd(msg)
    (header_at,) = struct.unpack_from(">Q", footer, 16)
    (size,) = struct.unpack_from(">Q", footer, 48)
    (kind,) = struct.unpack_from(">I", footer, 60)
    if kind == FIXED and end == size + SECTOR:
        return Vhd(size, fixed=True)
    if kind != DYNAMIC or footer is not first:
        msg = f"the file is a VHD of type {kind}, or is cut off; only whole fixed and dynamic ones can be read"
        raise NotVhd(msg)
    return _dynamic(source, header_at, size, end)


def _dynamic(source: BinaryIO, header_at: int, size: int, end: int) -> Vhd:
    header = _at(source, header_at, 2 * SECTOR)
    if header[:8] != _HEADER_COOKIE:
        msg = "the VHD's header is missing"
        raise NotVhd(msg)
    table_at, _, blocks, block_bytes = struct.unpack_from(">QIII", header, 16)
    if not (0 < blocks <= MOST_BLOCKS and block_bytes >= SECTOR and blocks * block_bytes >= size):
        msg = f"the VHD's table has {blocks} blocks of {block_bytes} bytes for {size} bytes"
        raise NotVhd(msg)
    raw = _at(source, table_at, 4 * blocks)
    if len(raw) < 4 * blocks:
        msg = "the VHD's table is cut off"
        raise NotVhd(msg)
    table = struct.unpack(f">{blocks}I", raw)
    last = max((sector for sector in table if sector != _NO_BLOCK), default=0)
    if last * SECTOR >= end:
        msg = f"the VHD ends at byte {end}, before its last block"
        raise NotVhd(msg)
    return Vhd(size, fixed=False, block_bytes=block_bytes, table=table)


def expanded(source: BinaryIO, vhd: Vhd) -> Iterator[bytes]:
    """The disk's whole content, in parts; a sector that the VHD does not hold is zeros."""
    if vhd.fixed:
        yield from parts(source, vhd.size_bytes)
        return
    done = 0
    for sector in vhd.table:
        length = min(vhd.block_bytes, vhd.size_bytes - done)
        if length <= 0:
            break
        for offset in range(0, length, PART):
            yield _piece(source, vhd, sector, offset, min(PART, length - offset))
        done += length


def _piece(source: BinaryIO, vhd: Vhd, sector: int, offset: int, length: int) -> bytes:
    if sector == _NO_BLOCK:
        return bytes(length)
    bitmap_bytes = -(-vhd.block_bytes // SECTOR // 8 // SECTOR) * SECTOR
    data = _at(source, sector * SECTOR + bitmap_bytes + offset, length)
    if len(data) < length:
        msg = "the VHD is cut off in a block"
        raise NotVhd(msg)
    first = offset // SECTOR
    bitmap = _at(source, sector * SECTOR + first // 8, -(-length // SECTOR // 8))
    if bitmap.count(0xFF) == len(bitmap):
        return data
    kept = bytearray(data)
    for number in range(length // SECTOR):
        if not bitmap[number // 8] & (0x80 >> number % 8):
            kept[number * SECTOR : (number + 1) * SECTOR] = bytes(SECTOR)
    return bytes(kept)


def parts(source: BinaryIO, length: int) -> Iterator[bytes]:
    """A file from its beginning, so many bytes of it, in parts."""
    source.seek(0)
    while length > 0:
        part = source.read(min(PART, length))
        if not part:
            msg = f"the file ends {length} bytes too early"
            raise NotVhd(msg)
        length -= len(part)
        yield part


def _at(source: BinaryIO, offset: int, length: int) -> bytes:
    source.seek(offset)
    return source.read(length)

"""Disk images as xapi sends and takes them: raw, and VHD with holes.

VHD is Microsoft's "Virtual Hard Disk Image Format Specification" 1.0: a footer (copied at the beginning), a
header, a table of blocks, and the blocks, each with a bitmap of its sectors. Numbers are big-endian.
"""

import struct
import uuid
from collections.abc import Callable, Iterator

from connectors.simulators.xen.content import Content

SECTOR = 512
BLOCK = 2 << 20
FORMATS = ("raw", "vhd")

_FOOTER = struct.Struct(">8sIIQI4sIIQQHBBI")
_HEADER = struct.Struct(">8sQQIII")
_COOKIE = b"conectix"  # codespell:ignore conectix
_DYNAMIC = 3
_NO_BLOCK = 0xFFFFFFFF
_TABLE_AT = 3 * SECTOR
_BITMAP = SECTOR
_PART = 1 << 20

Read = Callable[[int], bytes]
"""Gives so many bytes of a stream. Raises ValueError where it ends before."""


def written(form: str, content: Content, size: int) -> Iterator[bytes]:
    """The disk in a format, piece by piece."""
    return _raw(content, size) if form == "raw" else _vhd(content, size)


def take(form: str, read: Read, length: int, content: Content, size: int) -> None:
    """Write an image of so many bytes to a disk. Raises ValueError where it does not fit, or is none.

    As with xapi, the holes of a VHD leave what stood on the disk before.
    """
    if form == "raw":
        _take_raw(read, length, content, size)
    else:
        _take_vhd(read, length, content, size)


def _raw(content: Content, size: int) -> Iterator[bytes]:
    for offset in range(0, size, _PART):
        yield content.read(offset, min(_PART, size - offset))


def _take_raw(read: Read, length: int, content: Content, size: int) -> None:
    if length > size:
        msg = f"{length} bytes do not fit on a disk of {size}"
        raise ValueError(msg)
    for offset in range(0, length, _PART):
        content.write(offset, read(min(_PART, length - offset)))


def _vhd(content: Content, size: int) -> Iterator[bytes]:
    blocks = -(-size // BLOCK)
    used = [number for number in range(blocks) if content.has(number * BLOCK, BLOCK)]
    table_bytes = -(-blocks * 4 // SECTOR) * SECTOR
    first = (_TABLE_AT + table_bytes) // SECTOR
    step = (_BITMAP + BLOCK) // SECTOR
    places = {number: first + place * step for place, number in enumerate(used)}
    footer = _footer(size)
    table = b"".join(struct.pack(">I", places.get(number, _NO_BLOCK)) for number in range(blocks))
    yield footer + _header(blocks) + table.ljust(table_bytes, b"\xff")
    for number in used:
        yield b"\xff" * _BITMAP + content.read(number * BLOCK, BLOCK)
    yield footer


def _footer(size: int) -> bytes:
    cylinders, heads, sectors = _geometry(size)
    fields = (_COOKIE, 2, 0x10000, SECTOR, 0, b"tap\0", 0x10003, 0, size, size)
    packed = _FOOTER.pack(*fields, cylinders, heads, sectors, _DYNAMIC)
    rest = uuid.uuid4().bytes
    summed = packed + struct.pack(">I", _checksum(packed + rest)) + rest
    return summed.ljust(SECTOR, b"\0")


def _header(blocks: int) -> bytes:
    packed = _HEADER.pack(b"cxsparse", 2**64 - 1, _TABLE_AT, 0x10000, blocks, BLOCK)
    return (packed + struct.pack(">I", _checksum(packed))).ljust(2 * SECTOR, b"\0")


def _checksum(data: bytes) -> int:
    return ~sum(data) & 0xFFFFFFFF


def _geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors, by the specification's appendix, for disks of a gibibyte or so and more."""
    total = min(size // SECTOR, 65535 * 16 * 255)
    sectors, heads = (255, 16) if total >= 65535 * 16 * 63 else (63, 16)
    return total // sectors // heads, heads, sectors


def _take_vhd(read: Read, length: int, content: Content, size: int) -> None:
    stream = _Counted(read)
    footer, header = stream.read(SECTOR), stream.read(2 * SECTOR)
    if footer[:8] != _COOKIE or header[:8] != b"cxsparse":
        msg = "this is no VHD with a table of blocks"
        raise ValueError(msg)
    virtual = _FOOTER.unpack_from(footer)[9]
    if virtual > size:
        msg = f"a VHD of {virtual} bytes does not fit on a disk of {size}"
        raise ValueError(msg)
    _, _, table_at, _, blocks, block_bytes = _HEADER.unpack_from(header)
    stream.skip_to(table_at)
    table = struct.unpack(f">{blocks}I", stream.read(4 * blocks))
    bitmap_bytes = -(-block_bytes // SECTOR // 8 // SECTOR) * SECTOR
    for sector, number in sorted((s, n) for n, s in enumerate(table) if s != _NO_BLOCK):
        stream.skip_to(sector * SECTOR)
        bitmap, data = stream.read(bitmap_bytes), stream.read(block_bytes)
        _write_sectors(content, number * block_bytes, bitmap, data[: max(0, size - number * block_bytes)])
    stream.skip_to(length)


def _write_sectors(content: Content, offset: int, bitmap: bytes, data: bytes) -> None:
    if bitmap.count(0xFF) * 8 * SECTOR >= len(data):
        content.write(offset, data)
        return
    for sector in range(len(data) // SECTOR):
        if bitmap[sector // 8] & (0x80 >> sector % 8):
            content.write(offset + sector * SECTOR, data[sector * SECTOR : (sector + 1) * SECTOR])


class _Counted:
    """A stream that knows where it is, and goes forward only."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._at = 0

    def read(self, length: int) -> bytes:
        self._at += length
        return self._read(length)

    def skip_to(self, offset: int) -> None:
        if offset < self._at:
            msg = f"the VHD's parts are out of order at byte {offset}"
            raise ValueError(msg)
        while self._at < offset:
            self.read(min(_PART, offset - self._at))

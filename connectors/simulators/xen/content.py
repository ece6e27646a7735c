"""What stands on simulated disks. Only what is not zero is kept, so a large empty disk takes no memory."""

from collections.abc import Iterator, Mapping

CHUNK = 1 << 16
_ZERO = bytes(CHUNK)


class Content:
    """The bytes of one disk, in chunks; a chunk that is not there reads as zeros."""

    def __init__(self, chunks: Mapping[int, bytes] | None = None) -> None:
        self._chunks = dict(chunks or {})

    def copy(self) -> "Content":
        """The same content on another disk; chunks are never changed in place, so they are shared."""
        return Content(self._chunks)

    @property
    def taken_bytes(self) -> int:
        """What the content takes where only written chunks take room."""
        return len(self._chunks) * CHUNK

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at a place."""
        for number, begin, end, at in _pieces(offset, len(data)):
            part = data[at : at + end - begin]
            if len(part) < CHUNK:
                old = self._chunks.get(number, _ZERO)
                part = old[:begin] + part + old[end:]
            if part == _ZERO:
                self._chunks.pop(number, None)
            else:
                self._chunks[number] = bytes(part)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at a place."""
        pieces = _pieces(offset, length)
        return b"".join(self._chunks.get(number, _ZERO)[begin:end] for number, begin, end, _ in pieces)

    def has(self, offset: int, length: int) -> bool:
        """Whether anything but zeros stands there."""
        return any(number in self._chunks for number, *_ in _pieces(offset, length))


def _pieces(offset: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """Each chunk of a range: its number, where the range begins and ends in it, and where in the range it is."""
    done = 0
    while done < length:
        number, begin = divmod(offset + done, CHUNK)
        end = min(CHUNK, begin + length - done)
        yield number, begin, end, done
        done += end - begin

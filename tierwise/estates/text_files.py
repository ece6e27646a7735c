"""Small files that people and spreadsheets write: read whole, in the encodings that these use, and replaced at once."""

import os
from pathlib import Path

from tierwise.errors import InvalidInput, TierwiseError

MAX_BYTES = 256 * 2**20


def content(file: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file. Raises InvalidInput where there is none, or it is larger than may be."""
    try:
        size = file.stat().st_size
        if size > max_bytes:
            msg = f"{file} has {size:,} bytes, more than the {max_bytes:,} that are read; cut it in parts"
            raise InvalidInput(msg)
        return file.read_bytes()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}; check its name and rights"
        raise InvalidInput(msg) from None


def text(file: Path) -> str:
    """The text of a file. Raises InvalidInput as `content`, and where it is not text in UTF-8 or UTF-16."""
    try:
        return decoded(content(file))
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8 text (byte {error.start}); in a spreadsheet save it as CSV UTF-8"
        raise InvalidInput(msg) from None


def decoded(inside: bytes, errors: str = "strict") -> str:
    """UTF-8 with or without a mark, or UTF-16 as spreadsheets save "Unicode text". Raises UnicodeDecodeError."""
    utf16 = inside.startswith((b"\xff\xfe", b"\xfe\xff"))
    return inside.decode("utf-16" if utf16 else "utf-8-sig", errors)


def replace(file: Path, written: str) -> None:
    """Write a text so that the file holds all of it or, after an error, what it held before; with the mark for Excel.

    Raises TierwiseError.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_text(written, encoding="utf-8-sig", newline="")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        msg = (
            f"{file} cannot be written: {error.strerror or error}; check the folder's rights and free space"
        )
        raise TierwiseError(msg) from None

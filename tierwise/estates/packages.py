"""Zip packages of strangers: what is inside is measured before anyone unpacks it into memory."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tierwise.errors import InvalidInput

MIB = 1024**2
CHUNK = MIB
_SMALL_PART = 16 * MIB
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d+)"')
_CELLS = (b"<c ", b"<c>", b"<c/", b"<c\n", b"<c\t", b"<c\r", b":c ", b":c>", b":c/")
_DENSE_BYTES = 32
_CELL_BYTES = 72
"""What python-calamine 0.9 takes for each place of the rectangle, and more for each cell, blank or not: measured."""
_SMALL_SHEET = 1_000_000
_NO_VALUE = (b"</f></c>", b"</f><v></v>", b"</f><v/>", b"</f><v />")
_ERROR = re.compile(rb'<(?:\w+:)?c\b[^>]*\bt="e"')
_REFERENCE = re.compile(rb'\br="([A-Z]+\d+)"')
_ROW_END = b"</row>"
_LONGEST_ROW = 16 * MIB


@dataclass
class Budget:
    """How much may be unpacked in all. `spent` counts what really came out, whatever the package declares."""

    limit_mib: int = 2048
    spent: int = 0

    def spend(self, amount: int, what: str) -> None:
        """Raises InvalidInput once more was unpacked than the limit allows."""
        self.spent += amount
        if self.spent > self.limit_mib * MIB:
            msg = (
                f"{what}: unpacks to more than {self.limit_mib:,} MiB, which is what a zip bomb does; remove blank rows and "
                "columns, or allow more with --max-unpacked-mib"
            )
            raise InvalidInput(msg)


@dataclass(frozen=True)
class Extent:
    """How large a sheet is: the rectangle up to the last value, and how many cells are written, blank ones too."""

    rows: int
    columns: int
    cells: int
    values: int
    odd: bool
    """Whether it is written in a way that this count does not understand, or that the fast reader would hold whole."""
    unsaved: int = 0
    """Formulas of which the file keeps no value, as of programs that write workbooks and do not calculate."""
    errors: int = 0
    """Cells that have an error in place of a value, such as ``#REF!``."""
    first_error: str = ""
    """Where the first of them stands, such as ``F2``; empty where the file does not say."""

    @property
    def memory_mib(self) -> int:
        """What the fast reader would need for it."""
        return (self.rows * self.columns * _DENSE_BYTES + self.cells * _CELL_BYTES) // MIB

    @property
    def sparse(self) -> bool:
        """Whether most of a large rectangle is empty, so that going through it would be most of the work."""
        return max(self.rows * self.columns, self.cells) > max(_SMALL_SHEET, 4 * self.values)


@dataclass
class Package:
    """A zip file that is read part by part."""

    path: Path
    budget: Budget
    names: frozenset[str] = frozenset()
    _zip: zipfile.ZipFile | None = field(default=None, repr=False)
    _counted: dict[str, int] = field(default_factory=dict, repr=False)
    """Part -> how much of it was unpacked so far."""

    def __post_init__(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            msg = f"{self.path}: is cut off or damaged ({error}); export or copy it again"
            raise InvalidInput(msg) from None
        infos = self._zip.infolist()
        if any(info.flag_bits & 1 for info in infos):
            self.close()
            msg = f"{self.path}: is a zip file with a password; unpack it, and import the folder"
            raise InvalidInput(msg)
        self.names = frozenset(info.filename for info in infos)

    def close(self) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()

    def chunks(self, name: str) -> Iterator[bytes]:
        """A part's content, piece by piece; what is read again is not counted again.

        Raises InvalidInput where it is damaged, or too much.
        """
        assert self._zip is not None
        read = 0
        try:
            with self._zip.open(name) as part:
                while piece := part.read(CHUNK):
                    read += len(piece)
                    new = max(0, read - self._counted.get(name, 0))
                    self._counted[name] = self._counted.get(name, 0) + new
                    self.budget.spend(new, f"{self.path}: {name}")
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError) as error:
            msg = f"{self.path}: {name} is cut off or damaged ({error}); export or copy it again"
            raise InvalidInput(msg) from None

    def small(self, name: str) -> bytes:
        """A part that is small in any honest package. Raises InvalidInput where it is not."""
        found = bytearray()
        for piece in self.chunks(name):
            found += piece
            if len(found) > _SMALL_PART:
                msg = f"{self.path}: {name} has more than {_SMALL_PART // MIB} MiB; this is no workbook that a program saved"
                raise InvalidInput(msg)
        return bytes(found)

    def elements(self, name: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The elements of a small XML part in their order: name without prefix, and attributes."""
        found: list[tuple[str, dict[str, str]]] = []
        parser = expat.ParserCreate()

        def start(tag: str, attributes: dict[str, str]) -> None:
            found.append((tag.rpartition(":")[2], attributes))

        parser.StartElementHandler = start
        parser.StartDoctypeDeclHandler = refuse_doctype
        try:
            parser.Parse(self.small(name), True)
        except expat.ExpatError as error:
            msg = f"{self.path}: {name} is damaged ({error}); export or copy it again"
            raise InvalidInput(msg) from None
        yield from found

    def extent(self, name: str) -> Extent:
        """Measure a sheet in one pass, without holding it."""
        count = _Count()
        for piece, blanks in without_blank_rows(self.chunks(name)):
            count.add(piece, blanks)
        return count.extent()


def without_blank_rows(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """A sheet's XML without the rows that have no value, and how many cells these had.

    Padded sheets are mostly such rows, and searching for the letter of a value is all that they then cost.
    """
    tail, started = b"", False
    for piece in pieces:
        *rows, tail = (tail + piece).split(_ROW_END)
        kept = [row for number, row in enumerate(rows) if (number == 0 and not started) or _may_matter(row)]
        blanks = sum(row.count(b"<c ") for row in rows) - sum(row.count(b"<c ") for row in kept)
        started = started or bool(rows)
        if len(tail) > _LONGEST_ROW:
            # Not the XML of any program that we know: all of it is looked at.
            yield b"".join(row + _ROW_END for row in kept) + tail, blanks
            yield from _all_of(pieces)
            return
        yield b"".join(row + _ROW_END for row in kept), blanks
    yield tail, 0


def _all_of(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    for piece in pieces:
        yield piece, 0


def _may_matter(row: bytes) -> bool:
    """Whether a row has a value; or no number, so that leaving it out would shift those below."""
    return b"<v" in row or b"<is" in row or b' r="' not in row[:200]


def refuse_doctype(*_args: Any) -> None:
    """No program writes a document type into a workbook; those who attack XML readers do."""
    msg = "a document type declaration stands in it"
    raise expat.ExpatError(msg)


@dataclass
class _Count:
    tail: bytes = b""
    last_row: int = 0
    cells: int = 0
    blanks: int = 0
    usual: int = 0
    """Cells that begin as nearly all programs begin them."""
    values: int = 0
    unsaved: int = 0
    errors: int = 0
    first_error: bytes = b""
    widest: bytes = b""
    long_text: bool = False
    """Whether a text, or space between rows, is longer than a piece: the fast reader would hold it whole."""
    wider: re.Pattern[bytes] = re.compile(rb'<c r="([A-Z]{1,3})\d')

    def add(self, piece: bytes, blanks: int) -> None:
        self.blanks += blanks
        piece = self.tail + piece
        cut = piece.rfind(b"<")
        if cut <= 0 or len(piece) - cut >= CHUNK:
            self.long_text = self.long_text or len(piece) >= CHUNK
            cut = len(piece)
        piece, self.tail = piece[:cut], piece[cut:]
        self._see(piece)

    def _see(self, piece: bytes) -> None:
        """Counting texts and looking for columns further right is much faster than looking at each cell.

        What is written in another way than nearly all programs do makes the sheet odd, and is not looked at here.
        """
        usual = piece.count(b'<c r="')
        self.usual += usual
        if piece.count(b"<c") == usual and b":c" not in piece:
            self.cells += usual
        else:
            self.cells += sum(map(piece.count, _CELLS))
        self.values += piece.count(b"<v>") + piece.count(b"<is>")
        if b"</f>" in piece:
            self.unsaved += sum(map(piece.count, _NO_VALUE))
        if b'"e"' in piece and (wrong := _ERROR.findall(piece)):
            reference = _REFERENCE.search(wrong[0])
            if not self.errors and reference is not None:
                self.first_error = reference[1]
            self.errors += len(wrong)
        rows = _ROW.findall(piece)
        self.last_row = int(rows[-1]) if rows else self.last_row
        at = 0
        while (found := self.wider.search(piece, at)) is not None:
            self.widest, at = found[1], found.end()
            self.wider = _wider_than(self.widest)

    def extent(self) -> Extent:
        self._see(self.tail)
        cells = self.cells + self.blanks
        return Extent(
            self.last_row,
            column_number(self.widest),
            cells,
            self.values,
            odd=self.usual < self.cells or self.long_text,
            unsaved=self.unsaved,
            errors=self.errors,
            first_error=self.first_error.decode(),
        )


def _wider_than(column: bytes) -> re.Pattern[bytes]:
    """Finds references to columns further right than ``column``."""
    ways = [b"[A-Z]{%d,3}" % (len(column) + 1)] if len(column) < 3 else []
    for place in range(len(column)):
        if column[place] < ord("Z"):
            rest = b"[A-Z]{%d}" % (len(column) - place - 1)
            ways.append(column[:place] + b"[%c-Z]" % (column[place] + 1) + rest)
    # Of XFD, the last there can be, nothing is further right but what no spreadsheet has.
    return re.compile(rb'<c r="(' + b"|".join(ways or [b"[A-Z]{4}"]) + rb")\d")


def column_number(letters: bytes) -> int:
    """``A`` is 1, ``AB`` 28."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number

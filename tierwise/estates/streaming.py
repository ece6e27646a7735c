"""Rows of a sheet one after the other, for sheets that would not fit into memory as a rectangle.

Slower than calamine by half an order of magnitude, but what it holds does not grow with the sheet. Dates come as the
serial numbers that the file has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from tierwise.errors import InvalidInput
from tierwise.estates.cells import Cell
from tierwise.estates.packages import MIB, Package, column_number, refuse_doctype, without_blank_rows

MAX_COLUMNS = 1024
"""What stands further right is not read: no export has so many columns."""
SHARED_STRINGS = "xl/sharedStrings.xml"
_MAX_TEXT = 32_767
"""Longer texts cannot stand in a cell."""


@dataclass
class _Rows:
    """What expat calls; rows that are whole gather in `done`."""

    shared: Sequence[str]
    done: list[tuple[int, list[Cell]]] = field(default_factory=list)
    number: int = 0
    column: int = 0
    kind: str = ""
    cells: list[Cell] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    listening: bool = False
    has_value: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "c":
            self._cell(attributes)
        elif name in {"v", "t"}:
            self.listening = self.has_value = True
        elif name == "rPh":
            self.kind = "phonetic"
        elif name == "row":
            self.number = _number(attributes.get("r"), self.number + 1)
            self.cells, self.column = [], 0

    def _cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r", "").rstrip("0123456789")
        self.column = (
            column_number(reference.encode()) if reference.isascii() and reference else self.column + 1
        )
        self.kind = attributes.get("t", "n")
        self.said, self.has_value = [], False

    def text(self, data: str) -> None:
        if self.listening and self.kind != "phonetic":
            self.said.append(data)

    def end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in {"v", "t"}:
            self.listening = False
        elif name == "rPh":
            self.kind = "inlineStr"
        elif name == "c" and self.has_value and 0 < self.column <= MAX_COLUMNS:
            self.cells += [""] * (self.column - len(self.cells))
            self.cells[self.column - 1] = self._value()
        elif name == "row" and self.cells:
            self.done.append((self.number, self.cells))

    def _value(self) -> Cell:
        said = "".join(self.said)[:_MAX_TEXT]
        if self.kind == "s":
            place = _number(said, -1)
            return self.shared[place] if 0 <= place < len(self.shared) else ""
        if self.kind == "b":
            return said == "1"
        if self.kind == "e":
            return ""
        if self.kind == "n":
            try:
                return float(said)
            except ValueError:
                return said
        return said


def rows(package: Package, part: str, shared: Sequence[str]) -> Iterator[tuple[int, list[Cell]]]:
    """The row numbers and cells of all rows that have a value. Raises InvalidInput where the part is damaged."""
    taker = _Rows(shared)
    parser = _parser(taker.start, taker.end, taker.text)
    for piece, _ in without_blank_rows(package.chunks(part)):
        _feed(parser, piece, package, part)
        yield from taker.done
        taker.done = []
    _feed(parser, b"", package, part, last=True)
    yield from taker.done


@dataclass
class _Strings:
    found: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    phonetic: bool = False
    listening: bool = False

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self.phonetic = self.phonetic or name == "rPh"
        self.listening = name == "t" and not self.phonetic

    def text(self, data: str) -> None:
        if self.listening:
            self.said.append(data)

    def end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        self.listening = False
        if name == "rPh":
            self.phonetic = False
        elif name == "si":
            self.found.append("".join(self.said)[:_MAX_TEXT])
            self.said = []


def shared_strings(package: Package) -> list[str]:
    """The texts that cells point at."""
    if SHARED_STRINGS not in package.names:
        return []
    taker = _Strings()
    parser = _parser(taker.start, taker.end, taker.text)
    for piece in package.chunks(SHARED_STRINGS):
        _feed(parser, piece, package, SHARED_STRINGS)
    _feed(parser, b"", package, SHARED_STRINGS, last=True)
    return taker.found


def check_shared_strings(package: Package) -> None:
    """Every reader holds these texts in memory: they may be an eighth of what may be unpacked in all.

    Raises InvalidInput where they are more.
    """
    if SHARED_STRINGS not in package.names:
        return
    most = package.budget.limit_mib * MIB // 8
    size = 0
    for piece in package.chunks(SHARED_STRINGS):
        size += len(piece)
        if size > most:
            msg = (
                f"{package.path}: its texts unpack to more than {most // MIB} MiB; remove columns of long texts, or allow "
                "more with --max-unpacked-mib"
            )
            raise InvalidInput(msg)


def _parser(start: Any, end: Any, text: Any) -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


def _feed(parser: Any, piece: bytes, package: Package, part: str, *, last: bool = False) -> None:
    try:
        parser.Parse(piece, last)
    except expat.ExpatError as error:
        msg = f"{package.path}: {part} is damaged ({error}); export or copy it again"
        raise InvalidInput(msg) from None


def _number(said: str | None, otherwise: int) -> int:
    return int(said) if said and said.isascii() and said.isdecimal() and len(said) < 10 else otherwise

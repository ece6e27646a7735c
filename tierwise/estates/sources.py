"""What lies at a path, told by its content and not by its name: a workbook, a bundle of CSV files, a JSON document."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from python_calamine import CalamineError, CalamineWorkbook

from tierwise.errors import InvalidInput
from tierwise.estates.cells import Cell
from tierwise.estates.csv_files import CsvSheet
from tierwise.estates.findings import Findings
from tierwise.estates.packages import MIB, Budget, Extent, Package
from tierwise.estates.streaming import check_shared_strings, rows, shared_strings

FAST_READER_MIB = 768
"""A sheet that would take more memory than this in calamine is read row by row instead."""
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
_ZIP = b"PK"
_LARGEST_JSON = 512 * MIB
_DRAFT_SEARCH = 64 * MIB


class Sheet(Protocol):
    """A table of a source, with rows as a person counts them."""

    name: str

    def rows(self) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Row numbers from 1, and cells; every time from the start. Raises InvalidInput for damage."""


@dataclass
class XlsxSheet:
    """A sheet of a workbook."""

    name: str
    part: str
    package: Package
    book: Any
    opened: dict[str, Any]
    """The one sheet that calamine holds, shared by all sheets of the workbook: a second would double the memory."""
    findings: Findings
    _extent: Extent | None = None

    def rows(self) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Through calamine where that is safe: one value in the last corner would have it take 500 GB."""
        if self._extent is None:
            self._extent = self.package.extent(self.part)
            self._note_formulas(self._extent.unsaved)
            self._note_errors(self._extent)
        if self._extent.odd or self._extent.sparse or self._extent.memory_mib > FAST_READER_MIB:
            yield from rows(self.package, self.part, shared_strings(self.package))
            return
        yield from enumerate(self._fast().iter_rows(), start=1)

    def _note_formulas(self, unsaved: int) -> None:
        if unsaved:
            self.findings.note(
                f"sheet '{self.name}': formulas of which the file keeps no value, and which count as empty: {unsaved:,}; "
                "open it in a spreadsheet, save it, and import it again"
            )

    def _note_errors(self, extent: Extent) -> None:
        if extent.errors:
            example = f", such as {extent.first_error}" if extent.first_error else ""
            self.findings.note(
                f"sheet '{self.name}': cells with an error in place of a value (#REF!, #N/A), which count as empty: "
                f"{extent.errors:,}{example}; mend them, and import the file again"
            )

    def _fast(self) -> Any:
        if self.name in self.opened:
            return self.opened[self.name]
        self.opened.clear()
        try:
            return self.opened.setdefault(self.name, self.book.get_sheet_by_name(self.name))
        except (CalamineError, ValueError, OSError) as error:
            msg = f"{self.package.path}: sheet '{self.name}' cannot be read ({error}); export or copy it again"
            raise InvalidInput(msg) from None


@dataclass
class Source:
    """An opened source. `form` is ``workbook``, ``csv`` or ``json``."""

    path: Path
    form: str
    sheets: tuple[Sheet, ...] = ()
    content: bytes = b""
    findings: Findings = field(default_factory=Findings)
    package: Package | None = None

    def close(self) -> None:
        """Close what is open."""
        if self.package is not None:
            self.package.close()

    @cached_property
    def name(self) -> str:
        """The file's name without its ending: what an estate is called by default."""
        return self.path.resolve().stem or str(self.path)


def open_source(path: Path, *, max_unpacked_mib: int = 2048) -> Source:
    """Look at what lies there. Raises InvalidInput for what no importer could read, and says what to do about it."""
    try:
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}; check the path and its rights"
        raise InvalidInput(msg) from None
    if not head.strip():
        msg = f"{path}: is empty; export it again"
        raise InvalidInput(msg)
    if head.startswith(_OLE):
        raise InvalidInput(_why_not_ole(path))
    if head.startswith(_ZIP):
        return _zip(Package(path, Budget(max_unpacked_mib)))
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return _json(path)
    return _text(path)


def _why_not_ole(path: Path) -> str:
    with path.open("rb") as file:
        locked = "EncryptedPackage".encode("utf-16-le") in file.read(_DRAFT_SEARCH)
    if locked:
        return f"{path}: is protected with a password; open it in a spreadsheet, save it without password, and import that"
    return f"{path}: is a workbook of the old format (.xls); open it in a spreadsheet, save it as .xlsx, and import that"


def _zip(package: Package) -> Source:
    if "xl/workbook.xml" in package.names:
        return _workbook(package)
    if "xl/workbook.bin" in package.names:
        what = "a binary workbook (.xlsb); save it as .xlsx"
    elif "mimetype" in package.names and "content.xml" in package.names:
        what = "an OpenDocument file (.ods); save it as .xlsx"
    else:
        return _bundle(package)
    package.close()
    msg = f"{package.path}: is {what}, and import that"
    raise InvalidInput(msg)


def _workbook(package: Package) -> Source:
    parts = _parts(package)
    check_shared_strings(package)
    try:
        book = _calamine(package.path)
    except (CalamineError, OSError, ValueError) as error:
        msg = f"{package.path}: is no workbook that can be read ({error}); open it in a spreadsheet, and save it again"
        raise InvalidInput(msg) from None
    opened: dict[str, Any] = {}
    findings = Findings()
    sheets = [
        XlsxSheet(name, parts[name], package, book, opened, findings)
        for name in book.sheet_names
        if name in parts
    ]
    return Source(package.path, "workbook", tuple(sheets), findings=findings, package=package)


def _calamine(path: Path) -> Any:
    """By its content: a workbook that is named ``.xls`` would be taken for one of the old format."""
    if path.suffix.lower() in {".xlsx", ".xlsm"}:
        return CalamineWorkbook.from_path(path)
    return CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))


def _parts(package: Package) -> dict[str, str]:
    """Sheet name -> part of the package, by the workbook's relationships."""
    relations = "xl/_rels/workbook.xml.rels"
    targets = {
        one.get("Id", ""): one.get("Target", "")
        for tag, one in package.elements(relations)
        if tag == "Relationship"
    }
    found: dict[str, str] = {}
    for tag, one in package.elements("xl/workbook.xml"):
        target = next(
            (targets.get(value, "") for key, value in one.items() if key.rpartition(":")[2] == "id"), ""
        )
        part = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        if tag == "sheet" and part in package.names:
            found[one.get("name", "")] = part
    return found


def _folder(path: Path) -> Source:
    files = sorted(one for one in path.iterdir() if one.suffix.lower() == ".csv" and one.is_file())
    if not files:
        msg = f"{path}: has no .csv files; name the folder that a tool exported its CSV files to, or a file"
        raise InvalidInput(msg)
    findings = Findings()
    sheets = tuple(CsvSheet(one.stem, _opener(one), findings) for one in files)
    return Source(path, "csv", sheets, findings=findings)


def _opener(path: Path) -> Any:
    return lambda: path.open("rb")


def _bundle(package: Package) -> Source:
    names = sorted(
        name for name in package.names if name.lower().endswith(".csv") and "__MACOSX" not in name
    )
    if not names:
        package.close()
        msg = f"{package.path}: is a zip file without a workbook or .csv files in it; import an export of a known kind"
        raise InvalidInput(msg)
    findings = Findings()
    sheets = tuple(CsvSheet(Path(name).stem, _member(package, name), findings) for name in names)
    return Source(package.path, "csv", sheets, findings=findings, package=package)


def _member(package: Package, name: str) -> Any:
    return lambda: io.BufferedReader(_Chunks(package.chunks(name)), MIB)


class _Chunks(io.RawIOBase):
    """A zip member as a file; what comes out of it is counted."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _json(path: Path) -> Source:
    if path.stat().st_size > _LARGEST_JSON:
        msg = f"{path}: has more than {_LARGEST_JSON // MIB} MiB, which no estate takes; check what it is"
        raise InvalidInput(msg)
    return Source(path, "json", content=path.read_bytes())


def _text(path: Path) -> Source:
    findings = Findings()
    if path.suffix.lower() in {".xlsx", ".xlsm", ".xls"}:
        findings.note(f"'{path.name}' is named like a workbook, but is text: it was read as CSV")
    return Source(path, "csv", (CsvSheet(path.stem, _opener(path), findings),), findings=findings)

"""CSV files of any origin: UTF-8, UTF-16 or Windows-1252; commas, semicolons, tabs or bars between the cells."""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from tierwise.errors import InvalidInput
from tierwise.estates.cells import Cell
from tierwise.estates.findings import Findings

_DELIMITERS = ",;\t|"
_SAMPLE = 65_536
_LONGEST_CELL = 1_000_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class CsvSheet:
    """A CSV file as a sheet. `open_bytes` opens it anew each time."""

    name: str
    open_bytes: Callable[[], IO[bytes]]
    findings: Findings
    _form: tuple[str, str] = field(default=("", ""), repr=False)

    def rows(self) -> Iterator[tuple[int, Sequence[Cell]]]:
        """The number of the line that a row ends in, and its cells. Raises InvalidInput for what is no text."""
        encoding, delimiter = self._form = self._form if self._form[0] else self._look()
        usual = csv.field_size_limit(_LONGEST_CELL)  # The process's: it is put back for other readers.
        with self.open_bytes() as raw, io.TextIOWrapper(raw, encoding, newline="") as lines:
            spanned: list[str] = []
            reader = csv.reader(_watched(lines, spanned), delimiter=delimiter)
            try:
                for row in reader:
                    self._check_closed(spanned, delimiter, reader.line_num)
                    spanned.clear()
                    yield reader.line_num, row
            except (csv.Error, UnicodeError) as error:
                msg = f"{self.name}: line {reader.line_num + 1} is no CSV ({error}); export it again"
                raise InvalidInput(msg) from None
            finally:
                csv.field_size_limit(usual)

    def _check_closed(self, spanned: list[str], delimiter: str, end: int) -> None:
        """A quote that nobody closes makes one cell of all rows below it: the reader by itself would say nothing."""
        if len(spanned) < 2:  # Nothing is lost with a quote in the last line.
            return
        try:
            list(csv.reader(spanned, delimiter=delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end of data" not in str(error):
                return
            start = end - len(spanned) + 1
            msg = (
                f"{self.name}: a quote that opens in line {start} is never closed, so that {_lines(len(spanned) - 1)} below "
                "it would be lost; close it, or export the file again"
            )
            raise InvalidInput(msg) from None

    def _look(self) -> tuple[str, str]:
        with self.open_bytes() as raw:
            head = raw.read(_SAMPLE)
            if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in head:
                msg = f"{self.name}: is neither text nor a workbook; import an export of a known kind"
                raise InvalidInput(msg)
            encoding = _encoding(head, raw)
        if encoding == "cp1252":
            self.findings.note(
                f"{self.name}: is not UTF-8, and was read as Windows-1252; check names with accents"
            )
        sample = head.decode(encoding, errors="replace")
        return encoding, _delimiter(sample)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"


def _watched(lines: Iterable[str], seen: list[str]) -> Iterator[str]:
    """The lines, of which those since `seen` was cleared are in it."""
    for line in lines:
        seen.append(line)
        yield line


def _encoding(head: bytes, rest: IO[bytes]) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
        while piece := rest.read(1 << 20):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _delimiter(sample: str) -> str:
    """The one that splits the first line, which names the columns, into most cells; ``sep=;`` says it outright."""
    lines = [line for line in sample.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[4]
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))

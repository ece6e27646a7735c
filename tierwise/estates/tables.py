"""Sheets of strangers as tables: which sheet it is, where its headings stand, and which column is meant.

Names are compared by their letters and digits in lower case: ``# Cores``, ``vHostNumCpuCores`` and ``Num CPU cores``
can all mean one column. A unit at the end of a heading is taken off and kept.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from tierwise.errors import InvalidInput
from tierwise.estates.cells import MAX_TEXT, MIB_OF_UNIT, Cell, Numbers, is_blank, rounded, text, truth
from tierwise.estates.findings import Findings
from tierwise.estates.sources import Sheet

_HEADING_ROWS = 50
"""Headings stand in one of the first rows that are not blank; titles may stand above them."""
_UNIT_AT_END = re.compile(r"(?<=[^\W\d_])(?:in)?(kib|kb|mib|mb|gib|gb|tib|tb|bytes)$")
_DECIMAL_UNITS = frozenset({"kb", "mb", "gb", "tb"})


T = TypeVar("T")


def token(name: Cell) -> str:
    """Letters and digits in lower case."""
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


@dataclass(frozen=True)
class Form:
    """How a sheet of some kind looks: field -> what its heading may be, as tokens without unit."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needs: frozenset[str]
    """Fields by which a sheet of another name is recognised."""
    must: frozenset[str] = frozenset()
    """Fields without which nothing can be read from it."""
    names: tuple[str, ...] = ()
    """Tokens that the sheet's own name may be; other names are recognised by their columns."""

    def names_sheet(self, sheet: str) -> bool:
        """``vInfo``, ``RVTools_tabvInfo`` and ``tabvInfo`` are one sheet."""
        said = token(sheet)
        return any(
            said == name or re.fullmatch(rf".*tab{name}", said)
            for name in self.names or (token(self.name),)
        )


@dataclass(frozen=True)
class Column:
    """A column that was found."""

    index: int
    heading: str
    mib: Decimal | None = None
    """What its heading's unit is in MiB; None where it says none."""


@dataclass
class Table:
    """A sheet whose headings are understood."""

    form: Form
    sheet: Sheet
    heading_row: int
    columns: Mapping[str, Column]
    headings: Mapping[str, int]
    """Every heading as it is written, and its place."""
    findings: Findings
    numbers: Numbers = field(default_factory=Numbers)
    row: int = 0

    @property
    def name(self) -> str:
        """The sheet's own name."""
        return self.sheet.name

    @property
    def where(self) -> str:
        """The row that is being read, for people."""
        return f"{self.name} row {self.row}"

    def rows(self) -> Iterator[Sequence[Cell]]:
        """The rows below the headings that are not blank."""
        for number, cells in self.sheet.rows():
            if number > self.heading_row and not all(map(is_blank, cells)):
                self.row = number
                yield cells

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.columns

    def text(self, cells: Sequence[Cell], name: str) -> str:
        """The text of a field; empty where the column is missing."""
        column = self.columns.get(name)
        return text(cells[column.index]) if column is not None and column.index < len(cells) else ""

    def name_of(self, cells: Sequence[Cell], name: str) -> str:
        """A name; unlike other texts it may be ``none`` or ``-``."""
        column = self.columns.get(name)
        if column is None or column.index >= len(cells):
            return ""
        cell = cells[column.index]
        return cell.strip()[:MAX_TEXT] if isinstance(cell, str) else text(cell)

    def texts(self, cells: Sequence[Cell], name: str) -> list[str]:
        """The parts of a list in one cell, without those that are empty."""
        column = self.columns.get(name)
        if column is None or column.index >= len(cells):
            return []
        parts = (part.strip()[:MAX_TEXT] for part in re.split(r"[,;\n]", str(cells[column.index])))
        return list(dict.fromkeys(part for part in parts if part))

    def truth(self, cells: Sequence[Cell], name: str) -> bool | None:
        """Whether a field says yes; None where it says nothing."""
        column = self.columns.get(name)
        return truth(cells[column.index]) if column is not None and column.index < len(cells) else None

    def whole(self, cells: Sequence[Cell], name: str) -> int:
        """A count, or an amount in MiB where the heading or the cell has a unit. 0, with a note, for what is none."""
        value = self.number(cells, name, whole=True)
        return rounded(value) if value is not None else 0

    def number(self, cells: Sequence[Cell], name: str, *, whole: bool = False) -> Decimal | None:
        """A number that is not negative; None, with a note, for what is none, and without one for what is empty."""
        column = self.columns.get(name)
        if column is None or column.index >= len(cells):
            return None
        cell = cells[column.index]
        if cell == "":
            return None
        whole = whole and column.mib in {None, MIB_OF_UNIT["mib"]}
        try:
            value = self.numbers.read(cell, whole=whole, units=True)
        except ValueError:
            self._count(
                column,
                "cells that are no number, and were left out",
                f"'{text(cell)[:40]}' in row {self.row}",
            )
            return None
        if value is not None and value < 0:
            self._count(
                column, "negative numbers, which were left out", f"'{text(cell)[:40]}' in row {self.row}"
            )
            return None
        return _scaled(value, column, cell)

    def _count(self, column: Column, what: str, example: str) -> None:
        self.findings.count(f"{self.name}, column '{column.heading}'", what, example)


def _scaled(value: Decimal | None, column: Column, cell: Cell) -> Decimal | None:
    """By the heading's unit, unless the cell has one of its own."""
    if value is None or column.mib is None or (isinstance(cell, str) and cell.strip()[-1:].isalpha()):
        return value
    return value * column.mib


def find(
    sheets: Iterable[Sheet],
    form: Form,
    findings: Findings,
    *,
    by_columns: bool = True,
    taken: frozenset[str] = frozenset(),
) -> Table | None:
    """The table of this form: by the sheet's name, else by columns. A note says when it was by columns."""
    candidates = [sheet for sheet in sheets if sheet.name not in taken]
    named = next((sheet for sheet in candidates if form.names_sheet(sheet.name)), None)
    if named is not None:
        return table(named, form, findings)
    if not by_columns:
        return None
    for sheet in candidates:
        found = table(sheet, form, findings)
        if found is not None and form.needs <= found.columns.keys():
            findings.note(f"sheet '{sheet.name}' was read as {form.name}, by its columns")
            findings.by_columns.add(sheet.name)
            return found
    return None


def table(sheet: Sheet, form: Form, findings: Findings) -> Table | None:
    """The sheet with its headings found: the row that names most of the form's columns; None where no row names any."""
    best: tuple[int, dict[str, Column], dict[str, int]] = (0, {}, {})
    rows = ((number, cells) for number, cells in sheet.rows() if not all(map(is_blank, cells)))
    for number, cells in islice(rows, _HEADING_ROWS):
        columns = _columns(cells, form)
        if len(columns) > len(best[1]):
            headings = {text(cell): place for place, cell in enumerate(cells) if text(cell)}
            best = (number, columns, headings)
        if form.needs <= columns.keys():
            break
    if not best[1]:
        return None
    return Table(form, sheet, best[0], best[1], best[2], findings)


def _columns(cells: Sequence[Cell], form: Form) -> dict[str, Column]:
    """The form's fields that a row of headings names. The first alias counts most, then what stands further left."""
    places: dict[str, tuple[int, str]] = {}
    # `# Hosts` counts what `Hosts` lists: of two that read alike, the one without the mark is meant.
    for place, cell in sorted(enumerate(cells), key=lambda one: text(one[1]).startswith("#")):
        for name in _readings(token(cell), form):
            places.setdefault(name, (place, text(cell)))
    found = {}
    for name, aliases in form.columns.items():
        alias = next((alias for alias in aliases if alias in places), None)
        if alias is not None:
            place, heading = places[alias]
            unit = _UNIT_AT_END.search(token(heading))
            mib = MIB_OF_UNIT[unit[1]] if unit and alias != token(heading) else None
            found[name] = Column(place, heading, mib)
    return found


def _readings(said: str, form: Form) -> Iterator[str]:
    """A heading as it is, without the sheet's name before it, and without the unit after it."""
    yield said
    short = said.removeprefix(token(form.name))
    yield short
    yield _UNIT_AT_END.sub("", said)
    yield _UNIT_AT_END.sub("", short)


def decimal_units(found: Table) -> list[str]:
    """The headings that say KB, MB, GB or TB, and were read as KiB, MiB, GiB and TiB."""
    units = (
        (one.heading, _UNIT_AT_END.search(token(one.heading))) for one in found.columns.values() if one.mib
    )
    return [heading for heading, unit in units if unit and unit[1] in _DECIMAL_UNITS]


def must_have(found: Table, path: object) -> None:
    """Raises InvalidInput that names the columns which are missing, and those that are there."""
    missing = [name for name in found.form.columns if name in found.form.must and name not in found.columns]
    if missing:
        names = ", ".join(f"'{found.form.columns[name][0]}'" for name in missing)
        there = ", ".join(list(found.headings)[:30]) or "none"
        msg = f"{path}: sheet '{found.name}' has no column {names}; it has {there}; name the column so, or export all columns"
        raise InvalidInput(msg)


def settled(found: Table, read: Callable[[Table], T]) -> T:
    """Read the table; and again where texts further down settle what texts further up could have meant.

    A note names a text that could have been read in two ways to the end.
    """
    main = found.findings
    found.findings, found.numbers = Findings(), Numbers()
    result = read(found)
    if found.numbers.ambiguous and len(found.numbers.seen) == 1:
        (decimal,) = found.numbers.seen
        found.findings, found.numbers = Findings(), Numbers(decimal)
        result = read(found)
    main.add(found.findings)
    if found.numbers.ambiguous and not found.numbers.decimal:
        main.note(
            f"{found.name}: numbers such as '{found.numbers.ambiguous}' could be read in two ways; in columns of whole "
            "numbers the mark was taken to group thousands, in others a point as decimal point"
        )
    found.findings = main
    return result


def lacking(found: Table | None, titles: Mapping[str, str]) -> str:
    """Those of the columns with these titles that a table does not have, where it has two of them or more."""
    missing = [title for name, title in titles.items() if found is None or name not in found.columns]
    if not missing or len(titles) - len(missing) < 2:
        return ""
    columns = "the column" if len(missing) == 1 else "the columns"
    return f"{columns} {', '.join(repr(title) for title in missing)}"


def usable(found: Table | None, findings: Findings) -> Table | None:
    """The table, where it has the columns that it must have; a note names those that are missing."""
    if found is None or found.form.must <= found.columns.keys():
        return found
    missing = ", ".join(
        f"'{found.form.columns[name][0]}'" for name in sorted(found.form.must - found.columns.keys())
    )
    findings.note(f"{found.name} has no column {missing}: the sheet was not read")
    return None

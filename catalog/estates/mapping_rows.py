"""Rows of a CSV that a spreadsheet may have saved: which separator, which columns, which row is which."""

import csv
import io
from collections.abc import Collection, Sequence
from typing import NamedTuple

from catalog.problems import Problem
from catalog.wording import known_names

_SEPARATORS = ",;\t"
_MAX_CELL = 32_767
"""What a cell of a spreadsheet holds at most."""


class Rows(NamedTuple):
    """The rows behind the header, each with its number as a spreadsheet counts, by column; or problems."""

    header: tuple[str, ...]
    cells: tuple[tuple[int, dict[str, str]], ...]
    problems: tuple[Problem, ...] = ()


def read_rows(text: str, file: str, known: Sequence[str], needed: Collection[str]) -> Rows:
    """Rows without anything in them are left out, but count. Columns in any order and any capitals."""
    text = text.removeprefix("\ufeff")
    first, _, rest = text.partition("\n")
    is_hint = first.strip().lower().startswith("sep=")  # a first line by which Excel is told the separator
    separator = first.strip()[4:5] if is_hint else ""
    body = rest if is_hint else text
    head = body.partition("\n")[0]
    separator = separator or max(_SEPARATORS, key=head.count)
    lines = list(enumerate(_parsed(body, separator, file, problems := []), start=1))
    header = tuple(name.strip().lower().replace(" ", "_") for name in (lines[0][1] if lines else ()))
    problems += _of_header(header, file, known, needed)
    rows: list[tuple[int, dict[str, str]]] = []
    for number, cells in lines[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            message = f"has {len(cells)} cells, the header {len(header)}; put cells with a {separator!r} in quotes"
            problems.append(Problem(file, number, 1, f"row {number}", "", message))
            continue
        padded = [*cells, *[""] * (len(header) - len(cells))]
        rows.append((number, dict(zip(header, padded, strict=False))))
    return Rows(header, () if problems else tuple(rows), tuple(problems))


def _parsed(text: str, separator: str, file: str, problems: list[Problem]) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            found.append(cells)
            long = next((cell for cell in cells if len(cell) > _MAX_CELL), None)
            if long is not None:
                message = f"a cell has {len(long):,} characters; is a quotation mark missing before it?"
                problems.append(Problem(file, len(found), 1, f"row {len(found)}", "", message))
    except csv.Error as error:
        row = len(found) + 1
        problems.append(
            Problem(file, row, 1, f"row {row}", "", f"not readable as CSV: {error}; save it again")
        )
    return found


def _of_header(
    header: tuple[str, ...], file: str, known: Sequence[str], needed: Collection[str]
) -> list[Problem]:
    if not any(header):
        return [Problem(file, 1, 1, "", "", f"the file is empty; its first row must be {', '.join(known)}")]
    missing = [name for name in needed if name not in header]
    if missing:
        found = ", ".join(filter(None, header))[:200]
        message = f"the first row must name the columns; {', '.join(missing)} is missing"
        return [Problem(file, 1, 1, "row 1", repr(found), message)]
    problems = []
    for i, name in enumerate(header):
        if name and name in header[:i]:
            problems.append(
                Problem(file, 1, i + 1, "row 1", repr(name), "this column stands twice; keep one")
            )
        elif name and name not in known:
            message = f"there is no such column; {known_names(name, known)}; remove it, or put it into note"
            problems.append(Problem(file, 1, i + 1, "row 1", repr(name), message))
    return problems

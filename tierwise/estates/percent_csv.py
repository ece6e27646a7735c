"""A CSV of use in percent: one row a machine that is a percentile already, or many rows with their time.

Columns ``machine``, ``cpu_percent``, ``memory_percent``, and either ``at`` (then rows are samples) or any of
``percentile``, ``samples``, ``hours`` (then each row is what another tool has computed).
"""

import math
import re
from datetime import UTC, datetime
from typing import NamedTuple

from catalog.estates.mapping_rows import Rows, read_rows
from catalog.estates.model import Utilization
from catalog.problems import Problem
from tierwise.estates.text_files import decoded

_SAMPLES = ("machine", "at", "cpu_percent", "memory_percent")
_STATED = ("percentile", "samples", "hours")
_HEAD = 4096
_MILLISECONDS_FROM = 10**11
"""As seconds this would be the year 5138; as milliseconds it is 1973."""


class PercentRows(NamedTuple):
    """The rows by column, or problems. Not-a-number: an empty cell."""

    machines: tuple[str, ...] = ()
    at: tuple[int, ...] = ()
    cpu_percent: tuple[float, ...] = ()
    memory_percent: tuple[float, ...] = ()
    stated: tuple[Utilization, ...] | None = None
    """Where the file holds percentiles, not samples."""
    problems: tuple[Problem, ...] = ()


class _Refused(ValueError):
    """A cell cannot be taken; the text says what it must be."""


def is_percent_csv(content: bytes) -> bool:
    """By the names of its first row."""
    head = decoded(content[:_HEAD], "ignore").lower()
    names = set(re.findall(r"\w+", head.splitlines()[0] if head.splitlines() else ""))
    if names == {"sep"}:
        names = set(re.findall(r"\w+", head.splitlines()[1] if len(head.splitlines()) > 1 else ""))
    return "machine" in names and bool({"cpu_percent", "memory_percent"} & names)


def read_percent_csv(content: bytes, file: str) -> PercentRows:
    """Every row, or every problem with its row and column."""
    try:
        text = decoded(content)
    except UnicodeDecodeError as error:
        what = f"not UTF-8 text (byte {error.start}); save it as CSV UTF-8"
        return PercentRows(problems=(Problem(file, 1, 1, "", "", what),))
    rows = read_rows(text, file, (*_SAMPLES, *_STATED), ("machine",))
    if rows.problems:
        return PercentRows(problems=rows.problems)
    return _samples(rows, file) if "at" in rows.header else _summaries(rows, file)


def _samples(rows: Rows, file: str) -> PercentRows:
    reader = _Cells(rows, file)
    machines, at, cpu, memory = [], [], [], []
    for number, row in rows.cells:
        machines.append(reader.machine(number, row))
        at.append(reader.moment(number, row["at"]))
        cpu.append(reader.percent(number, row, "cpu_percent"))
        memory.append(reader.percent(number, row, "memory_percent"))
    if reader.problems:
        return PercentRows(problems=tuple(reader.problems))
    return PercentRows(tuple(machines), tuple(at), tuple(cpu), tuple(memory))


def _summaries(rows: Rows, file: str) -> PercentRows:
    reader = _Cells(rows, file)
    first: dict[str, int] = {}
    stated: list[Utilization] = []
    for number, row in rows.cells:
        machine = reader.machine(number, row)
        earlier = first.setdefault(machine, number)
        if earlier != number:
            message = (
                f"this machine stands already in row {earlier}; for samples add their time in a column at"
            )
            reader.add(number, "machine", message, machine)
        stated.append(
            Utilization(
                cpu_percent=_or_none(reader.percent(number, row, "cpu_percent")),
                memory_percent=_or_none(reader.percent(number, row, "memory_percent")),
                percentile=reader.percentile(number, row),
                samples=reader.whole(number, row, "samples"),
                hours=reader.whole(number, row, "hours"),
            )
        )
    if reader.problems:
        return PercentRows(problems=tuple(reader.problems))
    return PercentRows(tuple(row["machine"].strip() for _, row in rows.cells), stated=tuple(stated))


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


class _Cells:
    def __init__(self, rows: Rows, file: str) -> None:
        self.problems: list[Problem] = []
        self._header = rows.header
        self._file = file

    def add(self, number: int, column: str, message: str, value: str) -> None:
        at = self._header.index(column) + 1
        shown = repr(value[:80]) if value else ""
        self.problems.append(Problem(self._file, number, at, f"row {number}, {column}", shown, message))

    def machine(self, number: int, row: dict[str, str]) -> str:
        name = row["machine"].strip()
        if not name:
            self.add(number, "machine", "is empty; write the machine's id or name", "")
        return name

    def percent(self, number: int, row: dict[str, str], column: str) -> float:
        """Not-a-number for an empty cell, for a column that is not there, and beside a problem."""
        cell = row.get(column, "").strip()
        if not cell:
            return math.nan
        try:
            return _percent(cell)
        except _Refused as error:
            self.add(number, column, str(error), cell)
            return math.nan

    def percentile(self, number: int, row: dict[str, str]) -> float | None:
        found = self.percent(number, row, "percentile")
        if math.isnan(found):
            return None
        if not 0 < found <= 100:
            self.add(number, "percentile", "must be above 0 and at most 100", row["percentile"])
            return None
        return found

    def whole(self, number: int, row: dict[str, str], column: str) -> int:
        cell = row.get(column, "").strip()
        if cell and not re.fullmatch(r"\d{1,15}", cell, re.ASCII):
            self.add(number, column, "must be a whole number without separators", cell)
            return 0
        return int(cell or 0)

    def moment(self, number: int, cell: str) -> int:
        cell = cell.strip()
        try:
            return _moment(cell)
        except _Refused as error:
            self.add(number, "at", str(error), cell)
            return 0


def _percent(cell: str) -> float:
    text = cell.removesuffix("%").strip()
    if not re.fullmatch(r"\d{1,9}([.,]\d{1,17})?", text, re.ASCII):
        what = "must be a number of percent, 0 or more, such as 37.5"
        raise _Refused(what)
    return float(text.replace(",", "."))


def _moment(cell: str) -> int:
    """Epoch seconds of an ISO 8601 time, or of seconds or milliseconds since 1970; a time without a zone is UTC."""
    if re.fullmatch(r"\d{9,14}", cell, re.ASCII):
        return int(cell) // 1000 if int(cell) >= _MILLISECONDS_FROM else int(cell)
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        what = "must be a time such as 2026-10-01T00:05:00Z, or seconds since 1970"
        raise _Refused(what) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())

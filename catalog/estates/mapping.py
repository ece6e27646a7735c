"""The classification as a spreadsheet that people edit: what is written, and what is read back.

A row is a person's decision where its class or size is not what stands under ``suggested``, where
``confirmed`` says yes, or where there is no column ``suggested``. All other rows say nothing new and may be
left out. The columns that describe the machine are for the reader's eyes; nothing is taken from them.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from catalog.estates.classified import AS_IS, LABEL, Classified, Decision, Target, written
from catalog.estates.mapping_rows import Rows, read_rows
from catalog.estates.model import Estate, EstateMachine
from catalog.problems import DocumentError, Problem
from catalog.wording import known_names
from catalog.workload_classes import WorkloadClass

COLUMNS = (
    "id", "name", "guest_os", "vcpus", "memory_mib", "disk_gib",
    "class", "size", "confidence", "reason", "suggested", "confirmed", "note",
)  # fmt: skip
_NEEDED = ("id", "class")
_DESCRIBING = ("vcpus", "memory_mib", "disk_gib")
_YES, _NO = (
    {"yes", "y", "x", "true", "1", "ok", "ja", "oui", "si", "sí"},
    {"", "no", "n", "false", "0", "nein", "non"},
)
_FORMULA = "=+-@\t\r'"
_EXCEL_ERROR = re.compile(r"#(N/A|NAME\?|REF!|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|#+)", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"\d([.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|mrz|mär|okt|dez"
_DATE = re.compile(
    rf"(\d{{1,2}}[-. ]+({_MONTHS})[a-z]*[-. ]*\d*|({_MONTHS})[a-z]*[-. ]+\d{{1,4}})", re.IGNORECASE
)
_MAX_PROBLEMS = 500
_GUESSES = 20
"""For so many unknown ids the closest known one is looked for, which takes long where there are many machines."""


class Decisions(NamedTuple):
    """What people have decided, by machine, and what they should know about their file."""

    by_machine: Mapping[str, Decision]
    unedited: int
    """Rows that say nothing new."""
    notes: tuple[str, ...]


def write_mapping(estate: Estate, found: Iterable[Classified]) -> str:
    """The classification of an estate as CSV, those that need an eye first, each part by its machines' order.

    Decided rows keep their note and stay decisions when they are read again.
    """
    machines = {one.id: one for one in estate.machines}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sorted(found, key=lambda one: not one.needs_eye):
        writer.writerow([_safe(cell) for cell in _cells(machines[one.machine], one)])
    return text.getvalue()


def _cells(machine: EstateMachine, one: Classified) -> tuple[str, ...]:
    size = machine.resources()
    confirmed = "yes" if one.by_hand else ""
    return (
        machine.id, machine.name, machine.guest_os, str(size.vcpu), str(size.memory_mib), str(size.disk_gib),
        str(one.target), one.size, f"{one.confidence:.2f}", one.reason, one.suggested, confirmed, one.note,
    )  # fmt: skip


def _safe(cell: str) -> str:
    """An apostrophe in front of what a spreadsheet would run as a formula; no blanks around it, as none are read."""
    cell = cell.strip()
    return "'" + cell if cell[:1] and cell[0] in _FORMULA else cell


def _plain(cell: str) -> str:
    """The cell without that apostrophe, and without blanks around it."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _FORMULA else cell


def read_mapping(text: str, file: str, estate: Estate, classes: Mapping[str, WorkloadClass]) -> Decisions:
    """The decisions of a CSV text, separated by commas, semicolons or tabs, with or without a byte order mark.

    Raises DocumentError with every problem, each at its row as a spreadsheet counts: unknown machines,
    classes and sizes, machines that stand twice, and cells that a spreadsheet has changed.
    """
    rows = read_rows(text, file, COLUMNS, _NEEDED)
    problems = list(rows.problems)
    if not problems:
        reader = _Reader(file, rows, estate, classes)
        found = reader.read()
        problems = reader.problems
    if problems:
        raise DocumentError(_first(problems))
    return found


def _first(problems: list[Problem]) -> list[Problem]:
    shown = problems[:_MAX_PROBLEMS]
    if len(problems) > len(shown):
        last = shown[-1]
        more = f"{len(problems) - len(shown):,} more problems from this row on"
        shown.append(Problem(last.file, last.line + 1, 1, "", "", more))
    return shown


class _Reader:
    def __init__(self, file: str, rows: Rows, estate: Estate, classes: Mapping[str, WorkloadClass]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._rows = rows
        self._classes = classes
        # Blanks around an id do not survive a spreadsheet; where two ids differ in them alone, the plain one is meant.
        stripped = {one.id.strip(): one for one in estate.machines}
        self._machines = {**stripped, **{one.id: one for one in estate.machines}}
        self._by_name: dict[str, list[str]] = {}
        for one in estate.machines:
            self._by_name.setdefault(one.name, []).append(one.id)
        self._first_row: dict[str, int] = {}
        self._guesses = 0

    def read(self) -> Decisions:
        decisions: dict[str, Decision] = {}
        unedited, redescribed = 0, []
        for number, raw in self._rows.cells:
            row = {name: _plain(cell) for name, cell in raw.items()}
            machine = self._machine(number, row)
            decision = self._decision(number, row, machine)
            if machine is None:
                continue
            if self._redescribed(row, machine):
                redescribed.append(number)
            if decision is None:
                unedited += 1
            else:
                decisions[machine.id] = decision
        return Decisions(decisions, unedited, tuple(self._notes(redescribed)))

    def _add(self, number: int, column: str, message: str, value: str = "") -> None:
        at = self._rows.header.index(column) + 1 if column in self._rows.header else 1
        shown = repr(value[:80]) if value else ""
        self.problems.append(Problem(self._file, number, at, f"row {number}, {column}", shown, message))

    def _machine(self, number: int, row: Mapping[str, str]) -> EstateMachine | None:
        key = row["id"]
        if not key:
            self._add(number, "id", "is empty; write the machine's id, or remove the row")
            return None
        first = self._first_row.setdefault(key, number)
        if first != number:
            self._add(number, "id", f"this machine stands already in row {first}; keep one of the two", key)
            return None
        machine = self._machines.get(key)
        if machine is None:
            self._add(number, "id", self._unknown(key, row.get("name", "")), key)
        return machine

    def _unknown(self, key: str, name: str) -> str:
        ids = self._by_name.get(name, [])
        if mangled := _mangled(key):
            hint = f"{mangled}; format the column as text, and write the id again"
        elif len(ids) == 1:
            hint = f"'{name}' has the id {ids[0]}"
        elif self._guesses < _GUESSES:
            self._guesses += 1
            hint = known_names(key, self._machines)
        else:
            hint = "remove the row, or read the mapping of this estate"
        return f"the estate has no machine of this id; {hint}"

    def _decision(
        self, number: int, row: Mapping[str, str], machine: EstateMachine | None
    ) -> Decision | None:
        """What the row decides; None where it decides nothing, or has problems, which are added."""
        before = len(self.problems)
        confirmed = self._is_confirmed(number, row.get("confirmed", ""))
        target = self._target(number, row["class"])
        size = self._size(number, row.get("size", ""), target)
        suggested = row.get("suggested")
        is_new = suggested is None or written(target, size) != suggested
        if is_new and suggested and not target and len(self.problems) == before:
            message = f"is empty; write a class, {LABEL}TEXT for what is none, or {suggested} as it was"
            self._add(number, "class", message)
        elif confirmed and not target and len(self.problems) == before:
            self._add(number, "confirmed", "there is no class to confirm; write one, or clear this cell")
        if machine is None or len(self.problems) > before or not target or not (confirmed or is_new):
            return None
        return Decision(machine=machine.id, target=target, size=size, note=row.get("note", ""))

    def _is_confirmed(self, number: int, cell: str) -> bool:
        if cell.lower() not in _YES | _NO:
            self._add(number, "confirmed", "must be yes, or nothing", cell)
        return cell.lower() in _YES

    def _target(self, number: int, cell: str) -> Target:
        if cell.lower().startswith(LABEL):
            label = cell[len(LABEL) :].strip()
            if not label:
                self._add(number, "class", f"needs a text after {LABEL}", cell)
            return Target(label=label[:100])
        if cell and cell not in self._classes:
            self._add(
                number,
                "class",
                f"there is no workload class of that name; {self._known(cell, self._classes)}",
                cell,
            )
            return Target()
        return Target(workload_class=cell)

    def _size(self, number: int, cell: str, target: Target) -> str:
        its_class = self._classes.get(target.workload_class)
        if not cell or cell == AS_IS:
            size = cell if its_class else ""
        elif its_class is None:
            if target.label:
                self._add(number, "size", "a label has no sizes; clear this cell", cell)
            size = ""
        else:
            if cell not in its_class.sizes:
                known = self._known(cell, [*its_class.sizes, AS_IS])
                self._add(
                    number, "size", f"class '{its_class.name}' has no size of that name; {known}", cell
                )
            size = cell
        return size

    @staticmethod
    def _known(cell: str, names: Iterable[str]) -> str:
        return f"{mangled}; write it again" if (mangled := _mangled(cell)) else known_names(cell, names)

    @staticmethod
    def _redescribed(row: Mapping[str, str], machine: EstateMachine) -> bool:
        size = machine.resources()
        today = {"vcpus": size.vcpu, "memory_mib": size.memory_mib, "disk_gib": size.disk_gib}
        return any(
            cell != str(amount) and _digits(cell) != str(amount)
            for cell, amount in ((row.get(name, ""), today[name]) for name in _DESCRIBING)
            if cell
        )

    def _notes(self, redescribed: list[int]) -> Iterator[str]:
        if redescribed:
            shown = ", ".join(map(str, redescribed[:5])) + (", ..." if len(redescribed) > 5 else "")
            columns = ", ".join(_DESCRIBING)
            yield (
                f"{self._file}: in {len(redescribed):,} of the rows ({shown}) {columns} are not those of the estate; "
                "they are not read: to change what a machine gets, write another size"
            )


def _digits(cell: str) -> str:
    """A whole number without what separates its thousands: ``16.384`` and ``16,384`` are 16384."""
    return re.sub(r"(?<=\d)[., '\u00a0\u202f](?=\d{3}(\D|$))", "", cell)


def _mangled(cell: str) -> str:
    """What a spreadsheet has made of a cell, in words; empty where it looks as written."""
    if _EXCEL_ERROR.fullmatch(cell):
        return "a spreadsheet has put an error in its place"
    if _SCIENTIFIC.fullmatch(cell):
        return "a spreadsheet has made a rounded number of it"
    if _DATE.fullmatch(cell):
        return "a spreadsheet has made a date of it"
    return ""

"""Waves as a workbook: what when, every move, every way back, what becomes empty, and what was assumed."""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]  # ships no type information

from tierwise.planner.waves import Planned, Row
from tierwise.planner.waves_handover import command_rows
from tierwise.reports.words import is_formula

_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
"""The workbook's date; the real one would make every copy of a plan another file."""
_TOP = 3
"""The row of the column headings, counted from 0."""
_OPTIONS = {
    "in_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}


def workbook(planned: Planned) -> bytes:
    """The sheets Waves, Moves, Roll-back, Freed hosts, Not moved and Assumptions."""
    buffer = io.BytesIO()
    commands = {(row["wave"], row["move"]): row for row in command_rows(planned)}
    moves = [
        {**row, "command": commands[row["wave"], row["move"]]["command"]} for row in planned.move_rows()
    ]
    size = {n: len(wave.moves) for n, wave in enumerate(planned.plan.waves, 1)}
    undo = [
        {**row, "command": commands[row["wave"], size[row["wave"]] + 1 - row["step"]]["undo"]}
        for row in planned.undo_rows()
    ]
    with xlsxwriter.Workbook(buffer, _OPTIONS) as book:
        book.set_properties({"title": planned.asked.form.title, "created": _CREATED})
        writer = _Writer(book, planned)
        writer.sheet(
            "Waves",
            "One row a wave; at its end is a point to confirm, or to roll back from.",
            planned.wave_rows(),
        )
        writer.sheet(
            "Moves", "In the order in which they begin; one after another they are feasible too.", moves
        )
        writer.sheet("Roll-back", "What leads back to before a wave, in a feasible order.", undo)
        writer.sheet("Freed hosts", "What becomes empty, and from when on.", planned.freed_rows())
        left = planned.left_rows() + [
            {"machine": f"application {row['application']}", "why": f"in waves {', '.join(map(str, row['waves']))}: {row['why']}", "needs": ""}
            for row in planned.torn_rows()
        ]  # fmt: skip
        writer.sheet("Not moved", "What is in no wave, what is divided over several, and why.", left)
        writer.sheet("Assumptions", "What was asked, and what was assumed.", list(assumptions(planned)))
    return buffer.getvalue()


def assumptions(planned: Planned) -> Iterator[Row]:
    """Every number that the plan rests on and that is not a machine's own."""
    form = planned.asked.form
    facts = [
        *((name.replace("_", " "), value) for name, value in planned.totals().items()),
        ("most moves in a wave", form.most_moves),
        ("most that one move copies, MiB/s", form.stream_mib_s),
        ("times that each disk is gone through", form.passes),
        ("seconds beside copying, unless a machine says otherwise", form.switch_s),
        ("duration", "GiB x 1024 x passes / MiB/s, rounded up to the second, and the seconds beside it"),
        ("rate", "the least of the stream, the link and both ends; each move keeps its own throughout"),
        ("while a machine moves", "it takes its room at both ends"),
        ("kept copies", "take room at the old place until the wave is confirmed"),
        (
            "losses",
            "of each resource, a pool holds no more than its hosts offer without the largest that may fail",
        ),
        ("dual running", "of each host that becomes empty, the time from the first move until it is"),
        ("times", f"by the clocks of {planned.zone.key}"),
    ]
    links = [(f"link {' - '.join(link.between)}, MiB/s", link.mib_s) for link in form.links]
    losses = [(f"pool {name}: hosts that may fail at once", number) for name, number in form.losses.items()]
    spans = [
        (f"window {n}", f"{planned.at(begin).isoformat()} to {planned.at(end).isoformat()}")
        for n, (begin, end) in enumerate(planned.calendar.windows, 1)
    ]
    for what, value in (*facts, *links, *losses, *spans):
        yield {"what": what, "value": value}


class _Writer:
    """One workbook and its formats."""

    def __init__(self, book: Any, planned: Planned) -> None:
        self.book, self.planned = book, planned
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.faint = book.add_format({"font_color": "#5b6875"})
        self.head = book.add_format(
            {"bold": True, "bottom": 2, "bottom_color": "#1f4e79", "valign": "bottom"}
        )
        self.number = book.add_format({"num_format": "#,##0"})
        self.instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"})
        self.text = book.add_format({"valign": "top"})
        self.marked = book.add_format({"quote_prefix": True})

    def sheet(self, name: str, what: str, rows: Sequence[Row]) -> None:
        """Title, headings that stay in sight, rows with a filter."""
        page = self.book.add_worksheet(name)
        self._write(page, 0, 0, self.planned.asked.form.title, self.title)
        page.write_string(
            1, 0, f"{name}. {what} Times by the clocks of {self.planned.zone.key}.", self.faint
        )
        if not rows:
            page.write_string(_TOP, 0, "none")
            return
        for j, column in enumerate(rows[0]):
            page.write_string(_TOP, j, column.replace("_", " "), self.head)
            longest = max(len(str(row[column])) for row in rows[:2000])
            page.set_column(j, j, min(max(longest + 2, len(column) + 4, 9), 60))
        for i, row in enumerate(rows, _TOP + 1):
            for j, value in enumerate(row.values()):
                self._write(page, i, j, value)
        page.freeze_panes(_TOP + 1, 1)
        page.autofilter(_TOP, 0, _TOP + len(rows), len(rows[0]) - 1)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        page.repeat_rows(_TOP)

    def _write(self, page: Any, i: int, j: int, value: Any, form: Any = None) -> None:
        if isinstance(value, datetime):
            page.write_datetime(i, j, value.replace(tzinfo=None), self.instant)
        elif isinstance(value, int) and not isinstance(value, bool):
            page.write_number(i, j, Decimal(value), self.number)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            if not text:
                return
            page.write_string(i, j, text, form or (self.marked if is_formula(text) else self.text))

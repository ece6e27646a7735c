"""Rows to people (table) or programs (json, yaml, csv): data on stdout, everything else on stderr."""

import csv
import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TextIO

import typer
from rich.console import Console
from rich.table import Table

from tierwise.cli.fields import EVERYTHING, Fields, View


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print: table, json, yaml or csv.")]

Row = Mapping[str, Any]

_PIPE_WIDTH = 10_000
"""Nothing is folded on its way to another program: one row stays one line."""

_NUMBER = re.compile(r"([A-Z]{3} )?-?[\d,]+(\.\d+)?( \d+/\d+)?")
"""A number as people see it: ``EUR -1,234.50``, or ``19104 14/15`` where no decimal is exact."""

_BEYOND_ASCII = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[\x00-\x1f{_BEYOND_ASCII}]")
_UNSEEN_IN_JSON = re.compile(f"[{_BEYOND_ASCII}]")
"""What moves the cursor, colours, or turns the direction of writing: anybody may put it into a machine's name."""

_SPELLING = {"vcpu": "vCPU", "mib": "MiB", "gib": "GiB"}


READER_GONE = 141
"""What shells give a command whose reader closed the pipe: ``tierwise vm list | head -1``."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        self.quiet = True
        _end_silently(sys.stderr if self.stderr else sys.stdout)


def _end_silently(stream: TextIO) -> NoReturn:
    """Nobody reads any more: say nothing."""
    discard(stream)
    raise SystemExit(READER_GONE)


def discard(stream: TextIO) -> None:
    """Keep Python from trying again, when it ends, to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def stdout() -> Console:
    """Where data goes. A pipe has no width of its own: lines are then cut by nobody."""
    return _Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=True)


def write(text: str) -> None:
    """Data to stdout, at once: a full disk or a closed pipe is met here, not when Python ends."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _end_silently(sys.stdout)


def stderr() -> Console:
    """Where notes, progress and errors go."""
    return _Console(stderr=True, highlight=False, soft_wrap=True)


def visible(text: str) -> str:
    """The text with what a terminal would obey rather than show written as Python would write it."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def note(text: str, indent: str = "", style: str | None = None) -> None:
    """A line to stderr: broken at words where a person reads, one line where a program does."""
    console = stderr()
    text = "\n".join(map(visible, text.split("\n")))
    if console.is_terminal:
        lines = [
            textwrap.fill(
                line, max(40, console.width), initial_indent=indent, subsequent_indent=indent + "  ",
                break_on_hyphens=False, break_long_words=False,
            )
            for line in text.splitlines()
        ]  # fmt: skip
        text = "\n".join(lines)
    else:
        text = indent + text
    console.print(text, markup=False, style=style)


def emit(
    rows: Sequence[Row],
    form: Format,
    *,
    columns: Sequence[str] | None = None,
    title: str = "",
    fields: Fields | None = None,
    view: View = EVERYTHING,
) -> None:
    """Print rows. `columns` orders and limits what a table shows; programs get every field.

    `fields` says which there are, for rows that may be none; `view` is what the caller asked for.
    """
    view.check(fields)
    rows = _sorted(rows, view.sort)
    if view.columns:
        columns = view.columns
        rows = [{name: row[name] for name in columns} for row in rows]
    if form is Format.TABLE:
        _table(rows, columns or (fields.table if fields else None), title)
    elif form is Format.CSV:
        _csv(rows, view.columns or (tuple(fields.meanings) if fields else ()))
    else:
        document(list(rows), form)


def document(value: object, form: Format) -> None:
    """Print one structured value: as JSON or YAML, or field by field as a table or CSV."""
    if form is Format.YAML:
        import yaml

        write(yaml.safe_dump(json.loads(_json(value)), sort_keys=False, allow_unicode=True))
    elif form is Format.JSON:
        write(_json(value) + "\n")
    else:
        emit([{"field": path, "value": leaf} for path, leaf in _leaves(json.loads(_json(value)))], form)


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every single value of a document with its path: ``resources.vcpu``, ``events.0.kind``."""
    if isinstance(value, dict | list) and value:
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, f"{path}.{name}" if path else str(name))
    else:
        yield path, "" if value in ([], {}) else value


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return _UNSEEN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _sorted(rows: Sequence[Row], sort: str) -> list[Row]:
    """By one field, where ``-`` in front turns it round; rows without a value come last."""
    name = sort.removeprefix("-")
    if not name:
        return list(rows)
    there = [row for row in rows if row[name] not in {None, ""}]
    missing = [row for row in rows if row[name] in {None, ""}]
    return sorted(there, key=lambda row: _rank(row[name]), reverse=sort.startswith("-")) + missing


def _rank(value: object) -> tuple[bool, Decimal, str]:
    """Numbers by their size, also where money or a thousands separator dresses them; then texts."""
    text = str(value)
    plain = re.fullmatch(r"(?:[A-Z]{3} )?(-?[\d,]+(?:\.\d+)?)", text)
    return (False, Decimal(plain[1].replace(",", "")), "") if plain else (True, Decimal(0), text)


def _table(rows: Sequence[Row], columns: Sequence[str] | None, title: str) -> None:
    if not rows:
        note("nothing to show")
        return
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns or rows[0]:
        numeric = all(_NUMBER.fullmatch(str(row[name])) for row in rows if row.get(name) not in {None, ""})
        table.add_column(_heading(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(name) is None else _text(row[name]) for name in columns or rows[0]))
    console = stdout()
    with console.capture() as drawn:
        console.print(table)
    # The last column is as wide as its widest cell: no trailing blanks for those who select or diff.
    write("".join(line.rstrip(" ") + "\n" for line in drawn.get().splitlines()))


def _heading(name: str) -> str:
    return " ".join(_SPELLING.get(word, word) for word in name.split("_"))


def _text(value: object) -> str:
    """As it is: brackets in a cell are no markup, and a name is one line."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return visible(text).replace("[", r"\[")


def _csv(rows: Sequence[Row], names: Sequence[str]) -> None:
    names = list(rows[0]) if rows else list(names)
    if not names:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write(text.getvalue())


def _cell(value: object) -> object:
    """A number below zero begins like a formula too, and stays a number."""
    from tierwise.reports.words import harmless

    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else harmless(value)
    if isinstance(value, list | dict | tuple):
        return _json(value)
    return value

"""Rows to people (table) or programs (json, yaml, csv): data on stdout, everything else on stderr."""

import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print: table, json, yaml or csv.")]

Row = Mapping[str, Any]

_PIPE_WIDTH = 160

_NUMBER = re.compile(r"-?[\d,]+(\.\d+)?( \d+/\d+)?")
"""A number as people see it: ``-1,234.50``, or ``19104 14/15`` where no decimal is exact."""


def stdout() -> Console:
    """Where data goes. A pipe has no width of its own: lines are then cut by nobody."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Where notes, progress and errors go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def emit(
    rows: Sequence[Row], form: Format, *, columns: Sequence[str] | None = None, title: str = ""
) -> None:
    """Print rows. `columns` orders and limits what a table shows; programs get every field."""
    if form is Format.TABLE:
        _table(rows, columns, title)
    elif form is Format.CSV:
        _csv(rows)
    else:
        document(list(rows), form)


def document(value: object, form: Format) -> None:
    """Print one structured value as JSON or YAML (a table of it makes no sense: JSON then)."""
    if form is Format.YAML:
        import yaml  # noqa: PLC0415 - only for this format

        sys.stdout.write(yaml.safe_dump(json.loads(_json(value)), sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(_json(value) + "\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _table(rows: Sequence[Row], columns: Sequence[str] | None, title: str) -> None:
    names = list(columns or (rows[0] if rows else ()))
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        numeric = all(_NUMBER.fullmatch(str(row[name])) for row in rows if row.get(name) not in {None, ""})
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    console = stdout()
    if rows:
        console.print(table)
    else:
        stderr().print("nothing to show")


def _csv(rows: Sequence[Row]) -> None:
    if not rows:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    """A leading =, +, - or @ would be run as a formula by a spreadsheet: quote text that has one."""
    if isinstance(value, str) and value[:1] in {"=", "+", "@", "\t", "\r"}:
        return "'" + value
    if isinstance(value, list | dict | tuple):
        return _json(value)
    return value

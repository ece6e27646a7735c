"""``tierwise focus``: bills for FinOps tools, in FOCUS."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import note

if TYPE_CHECKING:
    from tierwise.usecases.focus import FileFormat

app = typer.Typer(help="Bills in FOCUS: export and check.", no_args_is_help=True)


class ExportVersion(StrEnum):
    """The releases that are written; the same as in chargeback, which a command imports late."""

    V1_2 = "1.2"
    V1_4 = "1.4"


@app.command()
def export(
    ctx: typer.Context,
    month: Annotated[str, typer.Argument(help="YYYY-MM in the rate card's time zone.")],
    to: Annotated[Path, typer.Option(help="Folder in which the month's own folder is made.")],
    version: Annotated[ExportVersion, typer.Option(help="Release of FOCUS.")] = ExportVersion.V1_4,
    formats: Annotated[
        str, typer.Option("--format", help="parquet, csv, or both with a comma.")
    ] = "parquet,csv",
    issuer: Annotated[
        str | None, typer.Option(help="Who provides and invoices; `Private cloud` without it.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the month's folder if it is there.")
    ] = False,
) -> None:
    """Write a month's statements as FOCUS files with manifest and checksums."""
    from chargeback.focus.columns import Version
    from tierwise.cli.charges import _check_month
    from tierwise.cli.words import counted
    from tierwise.usecases.focus import ISSUER, export

    _check_month(month)
    context: Context = ctx.obj
    wanted = _formats(formats)
    with context.app() as app_:
        done = export(
            app_, month, to, version=Version(version.value), formats=wanted, issuer=issuer or ISSUER,
            replace=replace,
        )  # fmt: skip
    typer.echo(done.folder)
    note(f"{counted(done.rows, 'row')}, {done.total}, in {', '.join(done.files)}")
    note(done.note)


def _formats(text: str) -> "list[FileFormat]":
    from tierwise.errors import InvalidInput
    from tierwise.usecases.focus import FileFormat

    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in set(FileFormat)]
    if unknown:
        msg = f"there is no format {', '.join(map(repr, unknown))}; known are {', '.join(FileFormat)}"
        raise InvalidInput(msg)
    return [FileFormat(name) for name in names]

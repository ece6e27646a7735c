"""``tierwise usage``: measured use from files."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import note

app = typer.Typer(help="Import measured use.", no_args_is_help=True)


@app.command(name="import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with machine, metric, at, value and unit.")],
) -> None:
    """Import usage samples; all of the file or nothing of it."""
    from tierwise.cli.words import counted
    from tierwise.usecases.metering import import_samples

    context: Context = ctx.obj
    with context.app() as app_:
        report = import_samples(app_, file)
    for line in report.notes:
        note(line)
    added = counted(report.added, "sample")
    note(f"{file}: {added} added, {report.known:,} known already")

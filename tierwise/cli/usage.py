"""``tierwise usage``: measured use from files."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import stderr

app = typer.Typer(help="Import measured use.", no_args_is_help=True)


@app.command(name="import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with machine, metric, at, value and unit.")],
) -> None:
    """Import usage samples; all of the file or nothing of it."""
    from tierwise.usecases.metering import import_samples  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.app() as app_:
        report = import_samples(app_, file)
    for line in report.notes:
        stderr().print(line, markup=False)
    stderr().print(f"{file}: {report.added} samples added, {report.known} were known already", markup=False)

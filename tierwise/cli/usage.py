"""``tierwise usage``: measured use, from files and from the hypervisors."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import note

app = typer.Typer(help="Import and collect measured use.", no_args_is_help=True)


@app.command(name="import")
def import_(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="A file, or a folder of files: our CSV or Parquet, Bitbrains, Materna.")
    ],
    zone: Annotated[
        str, typer.Option(help="Where the clock hung, for files with local times: Europe/Berlin.")
    ] = "",
    interval_s: Annotated[
        int,
        typer.Option(
            min=1,
            help="How far apart samples are: each counts for so long at most, and longer gaps are reported.",
        ),
    ] = 3600,
) -> None:
    """Import usage samples; all of the file or folder or nothing of it."""
    from catalog.wording import counted
    from chargeback.importers import ImportOptions
    from tierwise.usecases.samples import import_samples

    context: Context = ctx.obj
    with context.app() as app_:
        options = ImportOptions(time_zone=zone, expected_interval_s=interval_s)
        report = import_samples(app_, path, options=options)
    for line in report.notes:
        note(line)
    added = counted(report.added, "sample")
    note(f"{path}: {added} added, {report.known:,} known already")


@app.command()
def collect(ctx: typer.Context) -> None:
    """Read the meters of every endpoint that has some; the others are named with the reason.

    Ends with an error if an endpoint with meters could not be read; what the others gave is stored.
    """
    from catalog.wording import counted
    from tierwise.cli.failures import endpoint_failure
    from tierwise.errors import ExitCode, InvalidInput
    from tierwise.usecases.collect import collect as collect_all

    context: Context = ctx.obj
    with context.app() as app_:
        reports = collect_all(app_)
    codes: set[ExitCode] = set()
    for report in reports:
        for line in report.notes:
            note(f"{report.endpoint}: {line}")
        if report.why_not is not None:
            note(f"{report.endpoint}: not collected: {report.why_not}")
            codes.add((endpoint_failure(report.why_not) or InvalidInput).exit_code)
        else:
            note(
                f"{report.endpoint}: {counted(report.added, 'sample')} added of {counted(report.machines, 'machine')}"
            )
    codes.discard(ExitCode.UNSUPPORTED)
    if codes:
        raise typer.Exit(codes.pop() if len(codes) == 1 else ExitCode.ERROR)

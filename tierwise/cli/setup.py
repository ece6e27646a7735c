"""``tierwise init``, ``doctor`` and ``demo``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import FINDINGS
from tierwise.cli.output import Format, Output, emit, note


def register(root: typer.Typer) -> None:
    """Add the top-level commands."""
    root.command()(init)
    root.command()(doctor)
    root.command()(demo)


def init(
    ctx: typer.Context,
    example: Annotated[str, typer.Option("--example", help="The worked example to start from.")] = "acme",
) -> None:
    """Make a data directory with an example catalog to edit."""
    from tierwise.usecases.init import init as make

    context: Context = ctx.obj
    settings = context.settings()
    target = make(settings, example)
    # A folder from the environment holds for the next commands too; one from the option has to be said again.
    said = context.data_dir is not None and "TIERWISE_DATA_DIR" not in os.environ
    again = "tierwise" if not said else f"tierwise --data-dir {context.data_dir}"
    note(
        f"{settings.data_dir} is ready. Next:\n"
        f"  edit the documents in {target}\n"
        f"  tierwise catalog validate {target}\n"
        f"  {again} doctor"
    )


def doctor(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Look at the installation, the documents, the database and every endpoint."""
    from tierwise.errors import ExitCode
    from tierwise.usecases.doctor import Verdict, examine

    context: Context = ctx.obj
    found = list(examine(context.settings()))
    rows = [{"verdict": f.verdict.value, "subject": f.subject, "finding": f.text} for f in found]
    emit(rows, output, fields=FINDINGS)
    if any(f.verdict is Verdict.BAD for f in found):
        raise typer.Exit(ExitCode.ERROR)


def demo(
    output: Annotated[Path, typer.Option("--output", help="Folder for the results.")] = Path("demo-output"),
    orders: Annotated[int, typer.Option(min=10, max=500, help="How many machines are ordered.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another month.")] = 7,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Use no counterpart of the machine, only the embedded one.")
    ] = False,
) -> None:
    """Run the main job end to end: order, place, create, meter, price and bill a month."""
    from tierwise.demo.story import tell

    tell(output, orders=orders, seed=seed, simulated=simulated)

"""``tierwise init``, ``doctor`` and ``demo``."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, emit, stderr


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
    from tierwise.usecases.init import init as make  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    settings = context.settings()
    target = make(settings, example)
    stderr().print(
        f"{settings.data_dir} is ready.\nEdit the documents in {target}, check them with "
        f"`tierwise catalog validate {target}`, and look at the endpoints with `tierwise doctor`.",
        markup=False,
    )


def doctor(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Look at the installation, the documents, the database and every endpoint."""
    from tierwise.errors import ExitCode  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.doctor import Verdict, examine  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    found = list(examine(context.settings()))
    emit([{"verdict": f.verdict.value, "subject": f.subject, "finding": f.text} for f in found], output)
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
    from tierwise.demo.story import tell  # noqa: PLC0415 - keeps --help quick

    tell(output, orders=orders, seed=seed, simulated=simulated)

"""``tierwise``: the entry point, its global options, and how errors end a command."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tierwise.cli import catalog, charges, machines, orders, place, pools, setup, usage, whatif
from tierwise.cli.context import Context
from tierwise.cli.output import stderr
from tierwise.errors import ExitCode, TierwiseError

app = typer.Typer(
    name="tierwise",
    help="Tiered placement and chargeback over vSphere, Hyper-V, Xen and KVM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(catalog.app, name="catalog")
app.add_typer(pools.app, name="pool")
app.add_typer(orders.app, name="order")
app.add_typer(machines.app, name="vm")
app.add_typer(place.app, name="place")
app.add_typer(usage.app, name="usage")
app.add_typer(charges.app, name="charge")
setup.register(app)
orders.register(app)
whatif.register(app)


@app.callback()
def _options(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the database, the catalog and the usage files.", envvar="TIERWISE_DATA_DIR"
        ),
    ] = None,
) -> None:
    ctx.obj = Context(data_dir)


def run() -> NoReturn:
    """Run the command line and end the process with a documented exit code."""
    try:
        app(standalone_mode=True)
    except TierwiseError as error:
        _explain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr().print("stopped; whatever was accepted goes on with the next `tierwise order resume`")
        sys.exit(130)
    sys.exit(ExitCode.OK)


def _explain(error: TierwiseError) -> None:
    console = stderr()
    console.print(f"error: {error}", markup=False, style="bold red")
    for detail in error.details:
        console.print(f"  {detail}", markup=False)

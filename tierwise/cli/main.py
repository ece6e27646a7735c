"""``tierwise``: the entry point, its global options, and how errors end a command."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tierwise.cli import (
    catalog,
    charges,
    economics,
    estate_classes,
    estates,
    examples,
    failures,
    focus,
    machines,
    orders,
    place,
    pools,
    quotes,
    reports,
    setup,
    sim,
    usage,
    whatif,
)
from tierwise.cli.context import INTERRUPTED, Context
from tierwise.cli.output import discard, note
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
estate_classes.register(estates.app)
app.add_typer(estates.app, name="estate")
app.add_typer(economics.app, name="economics")
app.add_typer(usage.app, name="usage")
app.add_typer(charges.app, name="charge")
app.add_typer(focus.app, name="focus")
app.add_typer(reports.app, name="report")
setup.register(app)
quotes.register(app)
whatif.register(app)
sim.register(app)
examples.tell(app)

_started: list[Context] = []
"""What this process works on, for the place where a bug's traceback is kept."""


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"tierwise {importlib.metadata.version('tierwise')}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the database, the catalog and the usage files.", envvar="TIERWISE_DATA_DIR"
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - the callback has acted on it
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    ctx.obj = Context(data_dir)
    _started.append(ctx.obj)


def run() -> NoReturn:
    """Run the command line and end the process with a documented exit code."""
    code = _code()
    try:
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        code = code or failures.unexpected(error, None)
    sys.exit(code)


def _code() -> int:
    try:
        app(prog_name="tierwise")
    except SystemExit as ended:
        # How Typer ends everything that it understands, Ctrl-C among them.
        if ended.code == INTERRUPTED:
            note("stopped")
        return int(ended.code or 0)
    except KeyboardInterrupt:
        note("stopped")
        return INTERRUPTED
    except TierwiseError as error:
        return failures.explain(error)
    except Exception as error:  # noqa: BLE001 - nothing but a documented exit code leaves a command
        return failures.unexpected(error, _started[-1].folder() if _started else None)
    return ExitCode.OK

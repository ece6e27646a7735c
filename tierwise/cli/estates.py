"""``tierwise estate``: estates from other tools' exports, looked at, written, and made up."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, document, emit, note, write

if TYPE_CHECKING:
    from catalog.estates import Estate

app = typer.Typer(help="Import, export, show and generate estates.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(help="A workbook, a folder or zip of CSV files, a CSV file, or our JSON.")
]
Kind = Annotated[
    str | None, typer.Option("--kind", help="Read it as this kind of export, whatever it looks like.")
]
Unpacked = Annotated[
    int,
    typer.Option("--max-unpacked-mib", min=1, help="Refuse files whose sheets unpack to more than this."),
]
_SHOWN_NOTES = 20


@app.command(name="import")
def import_(
    file: File,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the estate to this file: .json, or .xlsx.")
    ] = None,
    kind: Kind = None,
    max_unpacked_mib: Unpacked = 2048,
    output: Output = Format.TABLE,
) -> None:
    """Read an export of any known kind, and say what was understood and what was left out."""
    from tierwise.estates import read
    from tierwise.estates import write as write_estate
    from tierwise.estates.telling import in_a_line, totals
    from tierwise.estates.writing import check_suffix

    if to is not None:
        check_suffix(to)
    estate = read(file, kind=kind, max_unpacked_mib=max_unpacked_mib)
    left_out = write_estate(estate, to) if to is not None else ()
    if output is Format.TABLE:
        write(in_a_line(estate) + "\n")
        _tell([*estate.notes, *left_out])
    elif output is Format.CSV:
        emit([totals(estate)], output)
    else:
        said = {
            "dropped": [one.model_dump() for one in estate.dropped],
            "notes": [*estate.notes, *left_out],
        }
        document({**totals(estate), **said}, output)
    if to is not None:
        note(f"written to {to}")


def _tell(notes: list[str]) -> None:
    for one in notes[:_SHOWN_NOTES]:
        note(one)
    if len(notes) > _SHOWN_NOTES:
        note(f"{len(notes) - _SHOWN_NOTES} more notes are not shown; -o json has all of them")


@app.command()
def export(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(help="The file to write: .xlsx as RVTools has it, or .json.")],
    from_: Annotated[
        str, typer.Option("--from", help="A file that `estate import` reads, or: live.", metavar="FILE")
    ] = "live",
    refresh: Annotated[
        bool, typer.Option("--refresh/--no-refresh", help="Ask the endpoints first, where it is live.")
    ] = True,
    kind: Kind = None,
    max_unpacked_mib: Unpacked = 2048,
) -> None:
    """Write the live inventory, or an imported estate, as an RVTools workbook or as JSON."""
    from tierwise.estates import read
    from tierwise.estates import write as write_estate
    from tierwise.estates.telling import in_a_line
    from tierwise.estates.writing import check_suffix

    check_suffix(to)
    live = from_ == "live"
    estate = (
        _live(ctx.obj, refresh=refresh)
        if live
        else read(Path(from_), kind=kind, max_unpacked_mib=max_unpacked_mib)
    )
    left_out = write_estate(estate, to)
    _tell([*(estate.notes if live else ()), *left_out])
    note(f"{in_a_line(estate)}; written to {to}")


def _live(context: Context, *, refresh: bool) -> "Estate":
    from tierwise.estates.inventory import live
    from tierwise.usecases.observe import observe

    with context.app() as app_:
        return live(app_, observe(app_) if refresh else None)


@app.command()
def show(
    file: File,
    largest: Annotated[
        int, typer.Option("--largest", min=0, help="How many of the largest machines.")
    ] = 10,
    kind: Kind = None,
    max_unpacked_mib: Unpacked = 2048,
    output: Output = Format.TABLE,
) -> None:
    """Show an estate's pools, hosts and largest machines."""
    from tierwise.estates import read, telling

    estate = read(file, kind=kind, max_unpacked_mib=max_unpacked_mib)
    parts = {
        "pools": telling.pools(estate),
        "hosts": telling.hosts(estate),
        "largest": telling.largest(estate, largest),
    }
    if output is Format.CSV:
        emit(parts["pools"], output)
        return
    if output is not Format.TABLE:
        document({"name": estate.name, "source": estate.source, **telling.totals(estate), **parts}, output)
        return
    write(f"{estate.source}\n{telling.in_a_line(estate)}\n")
    for title, rows in parts.items():
        if rows:
            write("\n")
            shown = rows[: max(largest, _SHOWN_NOTES)]
            emit([{name: row[name] for name in _TABLES[title]} for row in shown], output, title=title)
            if len(rows) > len(shown):
                note(f"{len(rows) - len(shown)} more {title} are not shown; -o json has all of them")


_TABLES = {
    "pools": ("pool", "site", "hosts", "cores", "host_memory_mib", "machines", "vcpus", "memory_mib"),
    "hosts": ("host", "pool", "cores", "memory_mib", "machines", "vcpus"),
    "largest": ("machine", "power", "vcpus", "memory_mib", "pool", "guest"),
}
"""What a table shows of the rows; programs get every field."""


@app.command()
def generate(
    to: Annotated[Path, typer.Argument(help="The file to write: .json, or .xlsx as RVTools has it.")],
    machines: Annotated[int, typer.Option("--machines", min=1, max=200_000, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")] = 0,
    sites: Annotated[int, typer.Option("--sites", min=1, max=6, help="Over how many sites.")] = 2,
) -> None:
    """Make up a realistic estate; the same seed makes the same."""
    from catalog.estates.generator import generate as make
    from tierwise.estates import write as write_estate
    from tierwise.estates.telling import in_a_line
    from tierwise.estates.writing import check_suffix

    check_suffix(to)
    estate = make(machines, seed, sites=sites)
    _tell(list(write_estate(estate, to)))
    note(f"{in_a_line(estate)}; written to {to}")

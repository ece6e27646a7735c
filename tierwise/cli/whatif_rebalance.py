"""``tierwise whatif rebalance``: which machines of a running estate should move to another host of their pool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.fields import Fields
from tierwise.cli.output import Format, Output, document, emit, note
from tierwise.cli.whatif_documents import Cluster, Jobs

if TYPE_CHECKING:
    from catalog.estates.model import Estate
    from placement.rebalance.solve import Effort, Run
    from tierwise.planner.rebalancing.run import EffortOf, Whole

HOST_MOVES = Fields(
    {
        "pool": "the pool",
        "machine": "its name",
        "id": "its id in the estate",
        "from": "the host that it leaves",
        "to": "the host that it goes to",
        "copied_gib": "what is copied",
        "live": "whether it runs",
        "gain": "by how much the cost falls, once the moves before are made",
        "why": "the reason",
    },
    ("machine", "from", "to", "copied_gib", "why"),
)

_SHOWN = 20
"""Rows that a table of hosts or moves has; programs get all."""


def register(app: typer.Typer) -> None:
    """Add the command to ``tierwise whatif``."""
    app.command()(rebalance)


def rebalance(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="An estate of any kind that is imported, or `live`.")
    ],
    pool: Annotated[
        list[str] | None, typer.Option("--pool", help="Only this pool; repeatable. All, if left out.")
    ] = None,
    moves: Annotated[
        int | None,
        typer.Option("--moves", min=0, help="At most so many machines move: those that help most."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the moves as a document for `whatif waves`.")
    ] = None,
    free: Annotated[
        int, typer.Option("--free", min=0, max=90, help="Percent of each host that shall stay free.")
    ] = 10,
    losses: Annotated[
        int | None,
        typer.Option("--losses", min=0, max=64, help="Hosts of each pool that may fail; else the estate's word."),
    ] = None,
    within: Annotated[
        int | None,
        typer.Option("--within", min=0, max=100, help="No host more than so many points fuller than its pool."),
    ] = None,
    apart: Annotated[
        list[str] | None,
        typer.Option("--apart", help="Machines of an application on hosts of their own: PATTERN or PATTERN/LABEL."),
    ] = None,
    vcpu_per_core: Annotated[
        float, typer.Option("--vcpu-per-core", min=0.1, max=100, help="vCPU promised for each core.")
    ] = 4.0,
    copy_weight: Annotated[
        int,
        typer.Option("--copy-weight", min=0, max=1000, help="Percent of a MiB too much that a copied MiB costs."),
    ] = 1,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", min=0.1, max=10_000_000, help="Seconds to search for, instead.")
    ] = None,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1000, help="Moves that are tried; the same answer anywhere.")
    ] = 2_000_000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Where chance starts.")] = 0,
    jobs: Jobs = 1,
    cluster: Cluster = "",
    output: Output = Format.TABLE,
) -> None:  # fmt: skip
    """Find moves between hosts of a pool that keep room for failures, and say why each.

    Nothing is moved. Machines stay in their pool, reach their disks, and keep apart what shall not share a host.
    """
    from concurrent.futures import ThreadPoolExecutor
    from fractions import Fraction

    from tierwise.planner.apart import Apart, groups
    from tierwise.planner.rebalancing.run import rebalanced
    from tierwise.planner.rebalancing.wishes import Wishes

    estate = _estate(ctx, file)
    kept = groups(estate, [Apart.of(text) for text in apart or ()])
    ratio = Fraction(str(vcpu_per_core))
    wishes = Wishes(ratio, free, losses, within, copy_weight, kept)
    with ThreadPoolExecutor(2) as threads, progress("rebalancing pools") as tell:
        run = map if jobs > 1 or cluster else threads.map  # Threads stay in this process.
        effort = _effort(seed, None if time_limit else iterations, time_limit, run)
        whole = rebalanced(
            estate, wishes, effort, pools=pool or (), most=moves, jobs=jobs, cluster=cluster, tell=tell
        )
    _checked(whole)
    if to is not None:
        _write(whole, to)
    _show(whole, output)


def _estate(ctx: typer.Context, file: Path) -> "Estate":
    context: Context = ctx.obj
    if str(file) == "live":
        from tierwise.estates.inventory import live

        with context.app() as app:
            return live(app)
    return context.read_estate(file)


def _effort(seed: int, iterations: int | None, time_limit: float | None, run: "Run") -> "EffortOf":
    """Each pool has its part of it, small ones a little more."""
    import time

    from placement.rebalance.solve import Effort

    def of(part: float) -> "Effort":
        return Effort(
            seed,
            None if iterations is None else max(20_000, int(iterations * part)),
            None if time_limit is None else max(0.1, time_limit * part),
            time.monotonic,
            run,
        )

    return of


def _checked(whole: "Whole") -> None:
    """A result that breaks a rule is a bug, and is not shown."""
    from itertools import islice

    from tierwise.planner.rebalancing.check import Moved, breaches
    from tierwise.planner.rebalancing.telling import move_rows

    moves = [Moved(row["id"], row["from"], row["to"]) for row in move_rows(whole)]
    wrong = list(islice(breaches(whole.estate, moves, whole.wishes.vcpu_per_core, whole.wishes.apart), 5))
    assert not wrong, wrong


def _write(whole: "Whole", to: Path) -> None:
    import json

    from tierwise.planner.rebalancing.moves import moves_document
    from tierwise.reports.files import write_whole

    made, notes = moves_document(whole)
    if not made["providers"]:
        note(f"nothing moves; {to} is not written")
        return
    write_whole(to, (json.dumps(made, indent=1) + "\n").encode())
    for text in notes:
        note(f"note: {text}")
    note(f"written: {to}; next: tierwise whatif waves {to} --windows FROM/TO -o waves.xlsx")


def _show(whole: "Whole", output: Format) -> None:
    from tierwise.planner.rebalancing.telling import host_rows, left_rows, move_rows, pool_rows, short_rows

    moves = move_rows(whole)
    if output is Format.CSV:
        emit(moves, output, fields=HOST_MOVES)
        return
    if output is not Format.TABLE:
        document(
            {
                "pools": pool_rows(whole),
                "hosts": host_rows(whole),
                "moves": moves,
                "left": left_rows(whole),
                "notes": list(whole.notes),
            },
            output,
        )
        return
    for text in whole.notes:
        note(f"note: {text}")
    pools, hosts, shown, remains = short_rows(whole)
    emit(pools, output)
    _some(hosts, "hosts that hold more than they should: before -> after, of what they should")
    _some(shown, "moves, those that help most first; why: of the host that is left")
    _some(remains, "what stays as it is")


def _some(rows: list[dict[str, Any]], title: str) -> None:
    if rows:
        emit(rows[:_SHOWN], Format.TABLE, title=title)
    if len(rows) > _SHOWN:
        note(f"{len(rows) - _SHOWN} more are not shown; -o json has all of them")

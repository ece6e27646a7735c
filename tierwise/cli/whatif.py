"""``tierwise whatif``: scenarios of whole estates from documents, and quick changes of the running one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli import forecast, waves, whatif_analysis, whatif_documents, whatif_growth, whatif_rebalance
from tierwise.cli.context import Context
from tierwise.cli.fields import MOVES
from tierwise.cli.output import Format, Output, document, emit, stdout

if TYPE_CHECKING:
    from tierwise.usecases.whatif import Answer, Money


Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--change",
        help="What changes: price:TIER=+50%, pool:NAME=lost, capacity:POOL=-20%, tier:TIER=closed, "
        "grow=+30%; repeatable.",
    ),
]
Refresh = Annotated[bool, typer.Option("--refresh/--no-refresh", help="Ask the endpoints first.")]

app = typer.Typer(help="What if? Scenarios of an estate: cost, moves, risk.", invoke_without_command=True)


def register(root: typer.Typer) -> None:
    """Add the top-level command ``whatif``."""
    whatif_documents.register(app)
    whatif_analysis.register(app)
    whatif_growth.register(app)
    whatif_rebalance.register(app)
    waves.register(app)
    forecast.register(app)
    root.add_typer(app, name="whatif")


@app.callback()
def whatif(
    ctx: typer.Context, change: Changes = None, refresh: Refresh = True, output: Output = Format.TABLE
) -> None:
    """What if? Scenarios of an estate as documents, or quick changes of the running one."""
    if ctx.invoked_subcommand is None:
        now(ctx, change, refresh=refresh, output=output)
    elif change:
        msg = f"goes with `tierwise whatif now`; `{ctx.invoked_subcommand}` reads changes from its document"
        raise typer.BadParameter(msg, param_hint="'--change'")


@app.command()
def now(
    ctx: typer.Context, change: Changes = None, refresh: Refresh = True, output: Output = Format.TABLE
) -> None:
    """Re-solve the running estate under changes, and show what differs; changes nothing."""
    from tierwise.cli.words import micros
    from tierwise.usecases.observe import observe
    from tierwise.usecases.whatif import run

    if not change:
        msg = "say what changes, such as price:tier-1=+50%; for scenarios of a document see `tierwise whatif run --help`"
        raise typer.BadParameter(msg, param_hint="'--change'")
    context: Context = ctx.obj
    with context.app() as app_:
        if refresh:
            observe(app_)
        found = run(app_, change)
        card = app_.documents.rate_card

    def money(value: int) -> str:
        return micros(value, card)

    if output is Format.TABLE:
        _print(found, money)
    elif output is Format.CSV:
        emit(_csv_rows(found, money), output, fields=MOVES)
    else:
        document(_document(found), output)


def _print(found: "Answer", money: "Money") -> None:
    from catalog.wording import counted
    from tierwise.cli.words import bullets

    console = stdout()
    emit(found.cost_rows(money), Format.TABLE, title="cost of a 30-day month")
    plan = found.result.changed
    better = found.result.rearranged.cost_micros - found.result.base.cost_micros
    console.print(f"\nproven within {plan.gap:.4%} of the best possible ({plan.solver})", markup=False)
    if better:
        console.print(f"moving machines without any of the changes would make {money(better)} of it")
    for text in found.result.already_broken:
        console.print(f"already so today: {text}", markup=False)
    moves = found.move_rows(money)
    console.print()
    if moves:
        emit(moves, Format.TABLE, title=f"{counted(len(moves), 'machine')} would move")
    else:
        console.print("no machine would move")
    for name, reasons in found.lost().items():
        console.print(f"\n{name} would have no place", markup=False)
        for text in bullets(reasons):
            console.print(f"  {text}", markup=False)
    if found.diff.newly_placed:
        console.print(
            f"{counted(len(found.diff.newly_placed), 'machine')} of the growth would find a place"
        )
    if found.diff.still_unplaced:
        names = ", ".join(found.names[key] for key in found.diff.still_unplaced)
        console.print(
            f"\n{counted(len(found.diff.still_unplaced), 'more machine')} would find no place: {names}"
        )


def _csv_rows(found: "Answer", money: "Money") -> list[dict[str, Any]]:
    """Every machine that would move, then every one that would have no place."""
    lost = [
        {
            "machine": found.names[gone.request_id],
            "from": gone.from_pool,
            "to": "",
            "cost_before": money(gone.before_micros),
            "cost_after": "",
        }
        for gone in found.diff.newly_unplaced
    ]
    return [*found.move_rows(money), *lost]


def _document(found: "Answer") -> dict[str, Any]:
    """The answer for programs: amounts in millionths of the currency, over `horizon_hours`."""
    result, diff = found.result, found.diff.model_dump(mode="json")
    for part in ("moves", "newly_placed", "newly_unplaced"):
        diff[part] = [{"machine": found.names[item["request_id"]], **item} for item in diff[part]]
    diff["still_unplaced"] = [found.names[key] for key in diff["still_unplaced"]]
    return {
        **diff,
        "rearranged_micros": result.rearranged.cost_micros,
        "solver": result.changed.solver,
        "status": result.changed.status.value,
        "bound_micros": result.changed.bound_micros,
        "gap": result.changed.gap,
        "already_broken": list(result.already_broken),
    }

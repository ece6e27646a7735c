"""``tierwise whatif``: the running estate on changed prices and pools."""

from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, document, emit, stdout


def register(root: typer.Typer) -> None:
    """Add the top-level command ``whatif``."""
    root.command()(whatif)


def whatif(
    ctx: typer.Context,
    change: Annotated[
        list[str],
        typer.Option(
            "--change",
            help="What changes: price:TIER=+50%, pool:NAME=lost, capacity:POOL=-20%, tier:TIER=closed; repeatable.",
        ),
    ],
    refresh: Annotated[
        bool, typer.Option("--refresh/--no-refresh", help="Ask the endpoints first.")
    ] = True,
    output: Output = Format.TABLE,
) -> None:
    """Re-solve the running estate under changes, and show what differs; changes nothing."""
    from tierwise.cli.words import bullets, micros  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as above
    from tierwise.usecases.whatif import run  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        if refresh:
            observe(app_)
        found = run(app_, change)
        card = app_.documents.rate_card
    if output is not Format.TABLE:
        document(found.result.model_dump(mode="json"), output)
        return

    def money(value: int) -> str:
        return micros(value, card)

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
    if moves:
        console.print()
        emit(moves, Format.TABLE, title=f"{len(moves)} machines would move")
    for name, reasons in found.lost().items():
        console.print(f"\n{name} would have no place", markup=False)
        for text in bullets(reasons):
            console.print(f"  {text}", markup=False)

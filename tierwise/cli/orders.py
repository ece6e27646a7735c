"""``tierwise order``: machines, ordered and followed until they run."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.fields import ORDERS, Columns, Sort, view
from tierwise.cli.output import Format, Output, emit, note, stderr
from tierwise.cli.quotes import Offering, Seed, Set, Tenant, Tier, check_wishes, code_of, parameters
from tierwise.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from policies.decisions import Rejection
    from tierwise.app import App
    from tierwise.store.tables import OrderRow

app = typer.Typer(help="Order machines and follow the orders.", no_args_is_help=True)


@app.command()
def create(
    ctx: typer.Context,
    offering: Offering,
    tenant: Tenant,
    name: Annotated[str, typer.Option("--name", help="The machine's name, unique in the whole estate.")],
    set_: Set = None,
    tier: Tier = None,
    seed: Seed = None,
    output: Output = Format.TABLE,
) -> None:
    """Order one machine and wait until it runs."""
    from uuid import uuid4

    from tierwise.cli.words import requester
    from tierwise.usecases import order as usecase

    context: Context = ctx.obj
    _check_name(name)
    with context.working() as app_:
        check_wishes(app_, offering, tenant, tier)
        order = usecase.new_order(
            app_,
            order_id=uuid4(),
            offering=offering,
            tenant=tenant,
            machine_name=name,
            parameters=parameters(app_, offering, set_ or []),
            tier=tier,
            seed=seed,
            ordered_by=requester(),
        )
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), [order], report)
        _finish(app_, rows, output)


def _check_name(name: str) -> None:
    """Raises InvalidInput for what cannot be a machine's name."""
    from pydantic import TypeAdapter, ValidationError

    from catalog.base import Name
    from catalog.wording import expectation
    from tierwise.errors import InvalidInput

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        msg = f"--name '{name}' {expectation(dict(error.errors()[0]), ())}"
        raise InvalidInput(msg) from None


@app.command()
def batch(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="YAML: a list under 'orders' of offering, tenant, name, set, tier, seed.")
    ],
    output: Output = Format.TABLE,
) -> None:
    """Order many machines at once; the solver places them together."""
    from uuid import uuid4

    from tierwise.cli.batches import read_batch
    from tierwise.cli.words import requester
    from tierwise.usecases import order as usecase

    context: Context = ctx.obj
    with context.working() as app_:
        orders = read_batch(app_, file, requester())
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), orders, report)
        _finish(app_, rows, output)


def _finish(app_: "App", rows: "Sequence[OrderRow]", output: Format) -> None:
    from tierwise.store.tables import OrderStatus

    emit([_row(app_, row) for row in rows], output, fields=ORDERS)
    missing = [row for row in rows if row.status != OrderStatus.DELIVERED]
    for row in missing:
        print_why(row, stderr())
    if len(rows) == 1 and not missing:
        name = rows[0].machine_name
        note(f"{name} runs; `tierwise vm show {name}` shows what can be done with it")
    codes = {_exit_code(row) for row in missing}
    if codes:
        raise typer.Exit(codes.pop() if len(codes) == 1 else ExitCode.ERROR)


def _exit_code(row: "OrderRow") -> ExitCode:
    """What a command ends with whose order has no machine."""
    from tierwise.store.orders import rejections_of
    from tierwise.store.tables import OrderStatus

    rejections = rejections_of(row)
    if row.status == OrderStatus.REFUSED:
        return code_of(rejections)
    failures = {"Unreachable": ExitCode.UNREACHABLE, "DeadlineExceeded": ExitCode.UNREACHABLE}
    failures["Unsupported"] = ExitCode.UNSUPPORTED
    codes = {failures.get(rejection.dimension, ExitCode.ERROR) for rejection in rejections}
    return codes.pop() if len(codes) == 1 else ExitCode.ERROR


def _row(app_: "App", row: "OrderRow") -> dict[str, Any]:
    from tierwise.cli.words import money

    card = app_.documents.rate_card
    price = None if row.price_minor is None else money(row.price_minor, card)
    return {
        "order": row.id[:8],
        "machine": row.machine_name,
        "tenant": row.tenant,
        "offering": row.offering,
        "status": row.status,
        "tier": row.tier,
        "pool": row.pool,
        "price_per_month": price,
        "price_minor": row.price_minor,
        "currency": card.currency,
        "ordered_at": row.ordered_at.isoformat(),
        "id": row.id,
    }


def print_why(row: "OrderRow", console: "Console", indent: str = "") -> None:
    """Why an order has no machine: the reasons of each pool, once each.

    Where the order insists on a tier, the pools of other tiers say nothing new and are left out.
    """
    from tierwise.cli.words import bullets
    from tierwise.store.orders import rejections_of

    console.print(f"{indent}{row.machine_name}: {row.status}", markup=False)
    per_pool: dict[str, dict[str, Rejection]] = {}
    for rejection in rejections_of(row):
        per_pool.setdefault(rejection.pool, {})[rejection.why] = rejection
    elsewhere = [pool for pool, reasons in per_pool.items() if _of_another_tier(reasons.values())]
    for pool, reasons in per_pool.items():
        if pool in elsewhere and len(elsewhere) < len(per_pool):
            continue
        console.print(f"{indent}  {pool or 'the order'}", markup=False)
        for text in bullets(f"{r.why}; {r.remedy}" for r in reasons.values()):
            console.print(f"{indent}    {text}", markup=False)


def _of_another_tier(reasons: "Iterable[Rejection]") -> bool:
    return any(rejection.rule_id == "order tier" for rejection in reasons)


class Status(StrEnum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    PLACED = "placed"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    REMOVED = "removed"


@app.command(name="list")
def list_(
    ctx: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only orders of this status.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only orders of this tenant.")] = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List orders, newest first."""
    from catalog.wording import counted
    from tierwise.cli.words import must_be_known
    from tierwise.usecases import order as usecase

    context: Context = ctx.obj
    with context.app() as app_:
        found = usecase.list_orders(app_, None if status is None else status.value, tenant)
        must_be_known("tenant", tenant, [*app_.documents.catalog.tenants, *(row.tenant for row in found)])
        emit([_row(app_, row) for row in found], output, fields=ORDERS, view=view(columns, sort))
    note(counted(len(found), "order"))


@app.command()
def show(
    ctx: typer.Context,
    order: Annotated[str, typer.Argument(help="The order's id, its start, or the machine's name.")],
    output: Output = Format.YAML,
) -> None:
    """Show one order: what was asked, where it went, and why not elsewhere."""
    from tierwise.cli.output import document
    from tierwise.usecases.order import explained

    context: Context = ctx.obj
    with context.app() as app_:
        document(explained(app_, order), output)


@app.command()
def retry(
    ctx: typer.Context,
    order: Annotated[str, typer.Argument(help="A failed or refused order: its id, or the machine's name.")],
    output: Output = Format.TABLE,
) -> None:
    """Order again what failed or was refused; a new order with the same wishes."""
    from uuid import uuid4

    from tierwise.usecases import order as usecase

    context: Context = ctx.obj
    with context.working() as app_:
        again = usecase.again(app_, order, uuid4())
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), [again], report)
        _finish(app_, rows, output)


@app.command()
def resume(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Finish what an interrupted process left undone."""
    from tierwise.usecases import order as usecase
    from tierwise.usecases.move import listed

    context: Context = ctx.obj
    with context.app() as app_:
        before = {move["id"]: move["state"] for move in listed(app_, everything=True)}
    with context.working() as app_:
        with progress("finishing") as report:
            rows = usecase.drain(app_, report)
        moves = [one for one in listed(app_, everything=True) if before.get(one["id"]) != one["state"]]
        for move in moves:
            why = f": {move['error']}" if move["error"] else ""
            note(
                f"the move of {move['machine']} from {move['source']} to {move['target']} is {move['state']}{why}"
            )
        if not rows and not moves:
            note("no order was left open")
        if rows or output is not Format.TABLE:
            _finish(app_, rows, output)

"""``tierwise quote`` and ``tierwise order``: what it costs and why, then the machine itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context, progress
from tierwise.cli.output import Format, Output, emit, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from catalog.orders import Order, ParameterValue
    from policies.decisions import Rejection
    from tierwise.app import App
    from tierwise.store.tables import OrderRow
    from tierwise.usecases.order import Quoted

app = typer.Typer(help="Order machines and follow the orders.", no_args_is_help=True)

Offering = Annotated[str, typer.Argument(help="The offering's name; `tierwise catalog list` shows them.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Who will own the machine and pay for it.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the offering, NAME=VALUE; repeatable.")
]
Tier = Annotated[str | None, typer.Option("--tier", help="Insist on this tier.")]


def register(root: typer.Typer) -> None:
    """Add the top-level command ``quote``."""
    root.command()(quote)


def quote(
    ctx: typer.Context,
    offering: Offering,
    tenant: Tenant,
    set_: Set = None,
    tier: Tier = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the price and the reason for each tier, before anything is ordered."""
    from uuid import UUID  # noqa: PLC0415 - keeps --help quick

    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as above
    from tierwise.usecases.place import estate  # noqa: PLC0415 - as above

    context: Context = ctx.obj
    with context.app() as app_:
        observe(app_)
        order = usecase.new_order(
            app_,
            order_id=UUID(int=0),
            offering=offering,
            tenant=tenant,
            machine_name="quote",
            parameters=parameters(app_, offering, set_ or []),
            tier=tier,
            ordered_by="quote",
        )
        on = estate(app_)
        quoted = usecase.quote(app_, on, order)
        if output is Format.TABLE:
            print_quote(app_, quoted, on.unusable, order)
        else:
            emit(_quote_rows(app_, quoted, on.unusable), output)


def _quote_rows(app_: "App", quoted: "Quoted", unusable: "Mapping[str, str]") -> list[dict[str, Any]]:
    from tierwise.cli.words import money  # noqa: PLC0415 - keeps --help quick

    entries = app_.documents.catalog.pools
    card = app_.documents.rate_card
    rows = []
    for candidate in quoted.assignment.candidates:
        price = quoted.prices[candidate.tier].total_minor
        chosen = candidate.pool == quoted.assignment.pool and not quoted.over_quota
        why = [*quoted.over_quota, *candidate.rejections]
        rows.append(
            {
                "tier": candidate.tier,
                "pool": candidate.pool,
                "site": entries[candidate.pool].site,
                "price": money(price, card),
                "verdict": "recommended" if chosen else ("refused" if why else "possible"),
                "why": _why(chosen, why),
                "remedy": "; ".join(dict.fromkeys(r.remedy for r in why)),
            }
        )
    shown = {row["pool"] for row in rows}
    rows += [
        {
            "tier": entry.tier,
            "pool": name,
            "site": entry.site,
            "price": "",
            "verdict": "unreachable",
            "why": unusable[name],
            "remedy": "`tierwise doctor` says what is wrong",
        }
        for name, entry in entries.items()
        if name in unusable and name not in shown
    ]
    return rows


def _why(chosen: bool, why: "Sequence[Rejection]") -> str:
    if chosen:
        return "cheapest pool that fulfils every rule"
    if not why:
        return "fulfils every rule, but costs more or as much"
    return "; ".join(dict.fromkeys(r.why for r in why))


def print_quote(app_: "App", quoted: "Quoted", unusable: "Mapping[str, str]", order: "Order") -> None:
    """The quote for people: each pool's price or refusal, the formula, and how to order."""
    from tierwise.cli.words import amounts, bullets, price_formula  # noqa: PLC0415 - keeps --help quick

    request = quoted.request
    console = stdout()
    console.print(
        f"{request.offering}: {amounts(request.resources)}, data: {request.data_classification.value}"
        "   (price of a 30-day month)"
    )
    reasons = {c.pool: [*quoted.over_quota, *c.rejections] for c in quoted.assignment.candidates}
    for row in _quote_rows(app_, quoted, unusable):
        refused = reasons.get(row["pool"], [])
        why = "" if refused else row["why"]
        line = f"  {row['tier']:<8} {row['pool']:<12} {row['price']:>12}   {row['verdict']:<11} {why}"
        console.print(line.rstrip(), markup=False)
        for text in bullets(f"{r.why}; {r.remedy}" for r in refused):
            console.print(f"{'':<11}{text}", markup=False)
    chosen = quoted.assignment.pool if not quoted.over_quota else None
    if chosen is None:
        console.print("No pool can take it as things stand.")
        return
    tier = next(c.tier for c in quoted.assignment.candidates if c.pool == chosen)
    console.print(
        f"Price of {tier}: {price_formula(quoted.prices[tier], app_.documents.rate_card)}", markup=False
    )
    console.print(f"Order it:  {_again(order)}", markup=False)


def _again(order: "Order") -> str:
    sets = "".join(f" --set {name}={value}" for name, value in order.parameters.items())
    tier = f" --tier {order.tier}" if order.tier else ""
    return f"tierwise order create {order.offering} --tenant {order.tenant} --name NAME{sets}{tier}"


def parameters(app_: "App", offering: str, pairs: "Sequence[str]") -> "dict[str, ParameterValue]":
    """``NAME=VALUE`` texts as typed values, by the kinds that the offering declares."""
    from catalog.offerings import ParameterKind  # noqa: PLC0415 - keeps --help quick
    from tierwise.errors import InvalidInput  # noqa: PLC0415 - as above

    entry = app_.documents.catalog.offerings.get(offering)
    values: dict[str, ParameterValue] = {}
    problems = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        parameter = entry.parameters.get(name) if entry else None
        if not equals:
            problems.append(f"--set {pair}: write NAME=VALUE")
        elif parameter is not None and parameter.kind is ParameterKind.INTEGER:
            if text.lstrip("-").isdecimal():
                values[name] = int(text)
            else:
                problems.append(f"--set {pair}: must be a whole number")
        elif parameter is not None and parameter.kind is ParameterKind.BOOLEAN:
            if text in {"true", "false"}:
                values[name] = text == "true"
            else:
                problems.append(f"--set {pair}: must be true or false")
        else:
            values[name] = text
    if problems:
        msg = "the parameters are not valid"
        raise InvalidInput(msg, details=problems)
    return values


@app.command()
def create(
    ctx: typer.Context,
    offering: Offering,
    tenant: Tenant,
    name: Annotated[str, typer.Option("--name", help="The machine's name, unique in the whole estate.")],
    set_: Set = None,
    tier: Tier = None,
    output: Output = Format.TABLE,
) -> None:
    """Order one machine and wait until it runs."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from tierwise.cli.words import requester  # noqa: PLC0415 - as above
    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.working() as app_:
        order = usecase.new_order(
            app_,
            order_id=uuid4(),
            offering=offering,
            tenant=tenant,
            machine_name=name,
            parameters=parameters(app_, offering, set_ or []),
            tier=tier,
            ordered_by=requester(),
        )
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), [order], report)
        _finish(app_, rows, output)


@app.command()
def batch(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="YAML: a list under 'orders' of offering, tenant, name, set, tier.")
    ],
    output: Output = Format.TABLE,
) -> None:
    """Order many machines at once; the solver places them together."""
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from tierwise.cli.batches import read_batch  # noqa: PLC0415 - as above
    from tierwise.cli.words import requester  # noqa: PLC0415 - as above
    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.working() as app_:
        orders = read_batch(app_, file, requester())
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), orders, report)
        _finish(app_, rows, output)


def _finish(app_: "App", rows: "Sequence[OrderRow]", output: Format) -> None:
    from tierwise.errors import ExitCode  # noqa: PLC0415 - keeps --help quick
    from tierwise.store.tables import OrderStatus  # noqa: PLC0415 - as above

    emit([_row(app_, row) for row in rows], output, columns=_COLUMNS)
    refused = [row for row in rows if row.status != OrderStatus.DELIVERED]
    for row in refused:
        print_why(row, stderr())
    if refused:
        failed = any(row.status == OrderStatus.FAILED for row in refused)
        raise typer.Exit(ExitCode.ERROR if failed else ExitCode.REFUSED)


_COLUMNS = ("order", "machine", "tenant", "offering", "status", "tier", "pool", "price_per_month")


def _row(app_: "App", row: "OrderRow") -> dict[str, Any]:
    from tierwise.cli.words import money  # noqa: PLC0415 - keeps --help quick

    price = None if row.price_minor is None else money(row.price_minor, app_.documents.rate_card)
    return {
        "order": row.id[:8],
        "machine": row.machine_name,
        "tenant": row.tenant,
        "offering": row.offering,
        "status": row.status,
        "tier": row.tier,
        "pool": row.pool,
        "price_per_month": price,
        "ordered_at": row.ordered_at.isoformat(),
        "id": row.id,
    }


def print_why(row: "OrderRow", console: "Console", indent: str = "") -> None:
    """Why an order has no machine: the reasons of each pool, once each.

    Where the order insists on a tier, the pools of other tiers say nothing new and are left out.
    """
    from tierwise.cli.words import bullets  # noqa: PLC0415 - keeps --help quick
    from tierwise.store.orders import rejections_of  # noqa: PLC0415 - as above

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


@app.command(name="list")
def list_(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only orders of this status.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only orders of this tenant.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List orders, newest first."""
    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.app() as app_:
        emit(
            [_row(app_, row) for row in usecase.list_orders(app_, status, tenant)], output, columns=_COLUMNS
        )


@app.command()
def show(
    ctx: typer.Context,
    order: Annotated[str, typer.Argument(help="The order's id, its start, or the machine's name.")],
    output: Output = Format.YAML,
) -> None:
    """Show one order: what was asked, where it went, and why not elsewhere."""
    from tierwise.cli.output import document  # noqa: PLC0415 - keeps --help quick
    from tierwise.usecases.order import explained  # noqa: PLC0415 - as above

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
    from uuid import uuid4  # noqa: PLC0415 - keeps --help quick

    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.working() as app_:
        again = usecase.again(app_, order, uuid4())
        with progress("ordering") as report:
            rows = usecase.submit(app_, uuid4(), [again], report)
        _finish(app_, rows, output)


@app.command()
def resume(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Finish what an interrupted process left undone."""
    from tierwise.usecases import order as usecase  # noqa: PLC0415 - keeps --help quick

    context: Context = ctx.obj
    with context.working() as app_:
        with progress("finishing") as report:
            rows = usecase.drain(app_, report)
        emit([_row(app_, row) for row in rows], output, columns=_COLUMNS)

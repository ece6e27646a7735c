"""``tierwise charge``: what machines cost, per tenant and tier, month by month."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import PERIODS, Columns, Fields, Sort, view
from tierwise.cli.moments import METAVAR, moment
from tierwise.cli.output import Format, Output, document, emit, note, stdout
from tierwise.cli.words import check_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tierwise.app import App
    from tierwise.usecases.billing import Bill, Row

app = typer.Typer(help="Charges and statements.", no_args_is_help=True)

Month = Annotated[str, typer.Argument(help="YYYY-MM in the rate card's time zone.")]

_SHOWN = 20
"""How many differences are listed; the first ones say what is wrong."""

_LINES = ("tier", "machine_name", "metric", "quantity", "unit", "rate", "amount", "note")
_CORRECTED = ("charge_class", "period")
_MARGINS = ("tier", "cost", "held", "idle", "unallocated", "recovered", "idle_charged", "margin")
_PARTS = ("tenant", "cost_centre", "tier", "pool", "machine", "metric", "amount", "note")
_SUMMARY = ("tier", "metric", "machines", "quantity", "unit", "rate", "amount", "rounding")


@app.command()
def statement(
    ctx: typer.Context,
    month: Month,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    lines: Annotated[
        bool,
        typer.Option("--lines", help="Every line; without it a table adds them up per tier and metric."),
    ] = False,
    known_at: Annotated[
        datetime | None,
        typer.Option(help="As it was known at this moment (UTC).", parser=moment, metavar=METAVAR),
    ] = None,
    issue: Annotated[
        bool, typer.Option("--issue", help="Close the month first, as `charge close` does.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show each tenant's statement: quantity, hours, rate and amount of every line."""
    from chargeback.statements import COLUMNS
    from tierwise.cli.words import must_be_known
    from tierwise.usecases.billing import bill

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        found = bill(app_, month, known_at=known_at, issue=issue)
        # A tenant that left the catalog still has the statements that it got.
        must_be_known("tenant", tenant, [*app_.documents.catalog.tenants, *found.tenants])
    if output is Format.TABLE:
        print_bill(found, tenant, lines=lines)
        return
    names = (*COLUMNS, "machine_name")
    rows = [row for row in found.rows if tenant in {None, row["tenant"]}]
    emit(rows, output, fields=Fields(dict.fromkeys(names, ""), names))
    note(found.note)


@app.command()
def close(
    ctx: typer.Context,
    month: Month,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what would be booked; nothing is changed.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Close a month: number its statements and book their lines; later facts become corrections."""
    from tierwise.cli.closing import as_data, print_closing
    from tierwise.usecases.ledger import close as close_month

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        found = close_month(app_, month, preview=preview)
        idle_cost = _idle(app_, month) if output is Format.TABLE else ""
    if output is Format.TABLE:
        print_closing(found, idle_cost)
    else:
        document(as_data(found), output)


@app.command()
def idle(
    ctx: typer.Context,
    month: Month,
    parts: Annotated[
        bool, typer.Option("--parts", help="Every part: pool, resource, who held it, or that nobody did.")
    ] = False,
    pass_on: Annotated[
        bool, typer.Option("--pass-on", help="Put what the documents charge of it on the statements.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what pools cost, what of it was held or idle, who bears it, and each tier's margin."""
    from catalog.wording import counted
    from tierwise.usecases.shared_costs import pass_on as pass_on_costs
    from tierwise.usecases.shared_costs import shared_costs

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        found, kept = pass_on_costs(app_, month) if pass_on else (shared_costs(app_, month), None)
    if parts:
        emit(found.rows, output, fields=Fields(dict.fromkeys(_PARTS, ""), _PARTS))
    else:
        emit(found.tier_rows, output, fields=Fields(dict.fromkeys(_MARGINS, ""), _MARGINS))
    note(found.headline)
    for text in found.notes:
        note(text)
    if kept:
        note(
            f"{counted(len(found.charged_rows), 'row', 'is', 'are')} on the statements from now on, kept in {kept}"
        )


@app.command()
def review(ctx: typer.Context, month: Month) -> None:
    """Put a month under review: what is known now is what `charge close` will book."""
    from chargeback.instants import utc_text
    from tierwise.usecases.periods import review as review_month

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        known = review_month(app_, month)
    note(
        f"{month} is under review as known at {utc_text(known.at)}; `charge close` books that, `charge reopen` lets go of it"
    )


@app.command()
def reopen(ctx: typer.Context, month: Month) -> None:
    """Open a month that is under review again; a closed one stays closed."""
    from tierwise.usecases.periods import reopen as reopen_month

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        reopen_month(app_, month)
    note(f"{month} is open again; its statements follow what is learnt")


@app.command()
def periods(
    ctx: typer.Context, output: Output = Format.TABLE, columns: Columns = "", sort: Sort = ""
) -> None:
    """List the months: open, under review or closed."""
    from tierwise.usecases.periods import listed

    context: Context = ctx.obj
    with context.app() as app_:
        rows = listed(app_)
    emit(rows, output, fields=PERIODS, view=view(columns, sort))


@app.command()
def explain(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(help="A statement like ST-2026-10-0031, or a line's id.")],
    line: Annotated[int | None, typer.Option(min=1, help="Which line of the statement.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show why a line costs what it costs: usage, rate, formula and rounding."""
    from tierwise.cli.closing import print_explained
    from tierwise.usecases.explaining import explain_line

    context: Context = ctx.obj
    with context.app() as app_:
        found = explain_line(app_, what, line)
    if output is Format.TABLE:
        print_explained(found)
    else:
        document({"row": found.row, "explanation": found.explanation.model_dump(mode="json")}, output)


@app.command()
def verify(
    ctx: typer.Context,
    month: Annotated[str | None, typer.Argument(help="Only this month; left out: all.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make closed months' statements again and compare them with the ledger."""
    from catalog.wording import counted
    from tierwise.cli.closing import verified_rows
    from tierwise.errors import TierwiseError
    from tierwise.usecases.explaining import verify as verify_months

    if month is not None:
        check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        found = verify_months(app_, month)
    names = ("period", "statements", "lines", "verdict")
    emit(verified_rows(found), output, fields=Fields(dict.fromkeys(names, ""), names))
    problems = [problem for each in found for problem in each.problems]
    if problems:
        msg = f"the ledger and what usage and rates give differ in {counted(len(problems), 'point')}; restore what was changed"
        raise TierwiseError(msg, details=problems[:_SHOWN])


def _idle(app_: "App", month: str) -> str:
    """What of the pools' cost nobody bears, where pool costs are stated."""
    if not app_.documents.shared_costs.costs:
        return ""
    from tierwise.usecases.shared_costs import shared_costs

    return shared_costs(app_, month).headline


def print_bill(found: "Bill", tenant: str | None, *, lines: bool) -> None:
    """The statements as tables for people."""
    from chargeback.ledger import sums, sums_text
    from chargeback.money import exact_text
    from tierwise.cli.words import money
    from tierwise.usecases.billing import summary

    console = stdout()
    console.print(
        f"{found.period.name}, {found.card.time_zone}, {exact_text(found.period.hours)} h   rate card {found.card.label}",
        markup=False,
    )
    shown = {name: found.rows_of(name) for name in found.tenants if tenant in {None, name}}
    for name, rows in shown.items():
        corrected = any(row["charge_class"] for row in rows)
        console.print()
        emit(
            [_named(row) for row in (rows if lines else summary(rows, found.card))],
            Format.TABLE,
            columns=(*(_LINES if lines else _SUMMARY), *(_CORRECTED if corrected else ())),
            title=f"{_title(name, rows)}: {sums_text(sums(rows))}",
        )
    console.print("" if shown else f"\nno machine was charged for in {found.period.name}")
    total = sums_text(sums(row for rows in shown.values() for row in rows))
    console.print(f"total: {total or money(0, found.card)}", markup=False)
    note(found.note)


def _named(row: "Row") -> "Row":
    """An adjustment is of no metric: its name stands there."""
    return row if row["metric"] else {**row, "metric": row["rate_id"]}


def _title(tenant: str, rows: "Sequence[Row]") -> str:
    """The tenant; with the number of the statement, where it has one."""
    number = rows[0]["statement"]
    return tenant if number.endswith(f"/{tenant}") else f"{number}, {tenant}"

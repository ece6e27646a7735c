"""``tierwise charge``: what machines cost, per tenant and tier, month by month."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, emit, note, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tierwise.usecases.billing import Bill, Row

app = typer.Typer(help="Charges and statements.", no_args_is_help=True)

_LINES = ("tier", "machine_name", "metric", "quantity", "unit", "rate", "amount", "note")
_CORRECTED = ("charge_class", "period")
_SUMMARY = ("tier", "metric", "machines", "quantity", "unit", "rate", "amount", "rounding")


@app.command()
def statement(
    ctx: typer.Context,
    month: Annotated[str, typer.Argument(help="YYYY-MM in the rate card's time zone.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    lines: Annotated[
        bool,
        typer.Option("--lines", help="Every line; without it a table adds them up per tier and metric."),
    ] = False,
    known_at: Annotated[
        datetime | None,
        typer.Option(
            help="As it was known at this moment (UTC).", formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
        ),
    ] = None,
    issue: Annotated[
        bool, typer.Option("--issue", help="Make them final: later facts become corrections.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show each tenant's statement: quantity, hours, rate and amount of every line."""
    from datetime import UTC

    from chargeback.statements import COLUMNS
    from tierwise.cli.fields import Fields
    from tierwise.cli.words import must_be_known
    from tierwise.usecases.billing import bill

    _check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        moment = known_at.replace(tzinfo=UTC) if known_at else None
        found = bill(app_, month, known_at=moment, issue=issue)
        # A tenant that left the catalog still has the statements that it got.
        must_be_known("tenant", tenant, [*app_.documents.catalog.tenants, *found.tenants])
    if output is Format.TABLE:
        print_bill(found, tenant, lines=lines)
        return
    names = (*COLUMNS, "machine_name")
    rows = [row for row in found.rows if tenant in {None, row["tenant"]}]
    emit(rows, output, fields=Fields(dict.fromkeys(names, ""), names))
    note(found.note)


def _check_month(month: str) -> None:
    from tierwise.errors import InvalidInput

    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month, re.ASCII):
        msg = f"'{month}' is no month; write it like 2026-10"
        raise InvalidInput(msg)


def print_bill(found: "Bill", tenant: str | None, *, lines: bool) -> None:
    """The statements as tables for people."""
    from tierwise.cli.words import money
    from tierwise.usecases.billing import summary

    console = stdout()
    console.print(
        f"{found.period.name}, {found.card.time_zone}, {found.period.hours} h   rate card {found.card.label}",
        markup=False,
    )
    shown = {name: found.rows_of(name) for name in found.tenants if tenant in {None, name}}
    for name, rows in shown.items():
        corrected = any(row["charge_class"] for row in rows)
        console.print()
        emit(
            rows if lines else summary(rows, found.card),
            Format.TABLE,
            columns=(*(_LINES if lines else _SUMMARY), *(_CORRECTED if corrected else ())),
            title=f"{_title(name, rows)}: {money(_sum(rows), found.card)}",
        )
    console.print("" if shown else f"\nno machine was charged for in {found.period.name}")
    console.print(f"total: {money(sum(map(_sum, shown.values())), found.card)}", markup=False)
    note(found.note)


def _sum(rows: "Sequence[Row]") -> int:
    return sum(row["amount_minor"] for row in rows)


def _title(tenant: str, rows: "Sequence[Row]") -> str:
    """The tenant; with the number of the statement, where it has one."""
    number = rows[0]["statement"]
    return tenant if number.endswith(f"/{tenant}") else f"{number}, {tenant}"

"""``tierwise report``: what finance looks at, on the terminal and as files."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import REPORTS, Columns, Sort, view
from tierwise.cli.moments import METAVAR, moment
from tierwise.cli.output import Format, Output, emit, note, stdout
from tierwise.cli.targets import check_writable

if TYPE_CHECKING:
    from chargeback.report import Report, Table
    from tierwise.usecases.reports import Asked

app = typer.Typer(help="Reports and statements for finance.", no_args_is_help=True)

Month = Annotated[str, typer.Option("--month", help="YYYY-MM in the rate card's time zone.")]
KnownAt = Annotated[
    datetime | None,
    typer.Option(help="As it was known at this moment (UTC).", parser=moment, metavar=METAVAR),
]
Currency = Annotated[
    str, typer.Option("--currency", help="Amounts in this currency; else in the rate card's.")
]


@app.command("list")
def list_(output: Output = Format.TABLE, columns: Columns = "", sort: Sort = "") -> None:
    """List the reports that there are."""
    from chargeback.reports import every

    rows = [{"report": made.name, "shows": made.summary} for made in every().values()]
    emit(rows, output, fields=REPORTS, view=view(columns, sort))


@app.command()
def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A report of `tierwise report list`.")],
    month: Month,
    by: Annotated[
        str,
        typer.Option(
            "--by", help="What `label` and `month-over-month` group by: a label, tenant, tier ..."
        ),
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Only rows like this: tenant=payroll, label:os=linux; repeatable."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option("--cost", help="What a tier cost, for `margin`: TIER=AMOUNT; repeatable."),
    ] = None,
    currency: Currency = "",
    known_at: KnownAt = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write it to this file: .csv, .html, .pdf or .xlsx.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a report of a month, or write it to a file."""
    from tierwise.usecases import reports

    asked = reports.Asked(
        month=_checked(month), known_at=known_at, by=by, currency=currency,
        where=reports.pairs(where or (), "--where"), costs=dict(reports.pairs(cost or (), "--cost")),
    )  # fmt: skip
    check_target(to)
    context: Context = ctx.obj
    with context.app() as app_:
        found = reports.run(app_, name, asked)
    if to is not None:
        _write(found, to)
    elif output is Format.TABLE:
        print_report(found)
    else:
        _emit(found, output)


@app.command()
def statement(
    ctx: typer.Context,
    month: Month,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose statement.")],
    to: Annotated[Path, typer.Option("--to", help="The file: .csv, .html, .pdf or .xlsx.")],
    currency: Currency = "",
    known_at: KnownAt = None,
) -> None:
    """Write a tenant's statement to a file that can be forwarded."""
    from tierwise.usecases import reports

    asked = _asked(month, currency, known_at)
    check_target(to)
    context: Context = ctx.obj
    with context.app() as app_:
        found = reports.statement(app_, asked, tenant)
    _write(found, to)


@app.command()
def statements(
    ctx: typer.Context,
    month: Month,
    to: Annotated[Path, typer.Option("--to", help="The folder; it is made where it is missing.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--as", help="csv, html, pdf or xlsx; repeatable. pdf where left out."),
    ] = None,
    currency: Currency = "",
    known_at: KnownAt = None,
) -> None:
    """Write every tenant's statement of a month into a folder, as MONTH-TENANT.pdf."""
    from catalog.wording import counted
    from tierwise.reports import render, suffix_of
    from tierwise.reports.files import write_whole
    from tierwise.usecases import reports

    asked = _asked(month, currency, known_at)
    suffixes = [suffix_of(Path(f"statement.{kind.removeprefix('.')}")) for kind in kinds or ["pdf"]]
    context: Context = ctx.obj
    count = 0
    with context.app() as app_:
        to.mkdir(parents=True, exist_ok=True)
        for name, found in reports.statements(app_, asked):
            for suffix in suffixes:
                write_whole(to / f"{name}{suffix}", render(found, suffix))
                count += 1
    note(f"{counted(count, 'file')} written to {to}")


def print_report(found: "Report") -> None:
    """The report for people: its first table, as wide as the terminal, and its notes."""
    from chargeback.money import spelled

    console = stdout()
    console.print(f"{found.title}: {found.subtitle}", markup=False)
    for table in found.tables:
        console.print()
        _print_table(found, table)
    total = spelled(found.total_minor, found.minor_digits, found.currency)
    console.print(f"\n{found.total_title.lower()}: {total}", markup=False)
    for text in found.notes:
        note(text)


def _print_table(found: "Report", table: "Table") -> None:
    from tierwise.reports.words import sheet

    shown = sheet(table, found)
    rows = [
        dict(zip(shown.headings, ("  " * row.level + row.cells[0], *row.cells[1:]), strict=True))
        for row in shown.rows
    ]
    if table.rows:
        emit(rows, Format.TABLE, title=shown.title)
    else:
        stdout().print(found.nothing, markup=False)


def _emit(found: "Report", output: Format) -> None:
    from tierwise.cli.fields import Fields
    from tierwise.reports.words import record_names, records

    names = record_names(found)
    emit(records(found), output, fields=Fields(dict.fromkeys(names, ""), names))
    for text in found.notes:
        note(text)


def _asked(month: str, currency: str, known_at: datetime | None) -> "Asked":
    from tierwise.usecases.reports import Asked

    return Asked(month=_checked(month), known_at=known_at, currency=currency)


def _checked(month: str) -> str:
    from chargeback.periods import BillingPeriod
    from tierwise.errors import InvalidInput

    try:
        return BillingPeriod.parse(month, "UTC").name
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def check_target(to: Path | None) -> None:
    """What cannot be written is told before anything is computed."""
    from tierwise.reports import suffix_of

    if to is not None:
        suffix_of(to)
    check_writable(to)


def _write(found: "Report", to: Path) -> None:
    from tierwise.reports import render, suffix_of
    from tierwise.reports.files import write_whole

    write_whole(to, render(found, suffix_of(to)))
    note(f"{found.title} of {found.subtitle}: {to}")
    for text in found.notes:
        note(text)

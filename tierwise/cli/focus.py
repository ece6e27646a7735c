"""``tierwise focus``: bills for FinOps tools, in FOCUS."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.output import Format, Output, emit, note

if TYPE_CHECKING:
    from tierwise.usecases.focus import FileFormat

app = typer.Typer(help="Bills in FOCUS: export, check, import.", no_args_is_help=True)


class CostChoice(StrEnum):
    """Which cost of a provider's bill is passed on."""

    BILLED = "billed"
    EFFECTIVE = "effective"


class CheckVersion(StrEnum):
    """The releases whose rules are known; the same as in chargeback, which a command imports late."""

    V1_2 = "1.2"
    V1_3 = "1.3"
    V1_4 = "1.4"


class CheckDataset(StrEnum):
    """The datasets whose rules are known."""

    COST_AND_USAGE = "cost-and-usage"
    CONTRACT_COMMITMENT = "contract-commitment"
    BILLING_PERIOD = "billing-period"
    INVOICE_DETAIL = "invoice-detail"


class ExportVersion(StrEnum):
    """The releases that are written; the same as in chargeback, which a command imports late."""

    V1_2 = "1.2"
    V1_3 = "1.3"
    V1_4 = "1.4"


@app.command()
def export(
    ctx: typer.Context,
    month: Annotated[str, typer.Argument(help="YYYY-MM in the rate card's time zone.")],
    to: Annotated[Path, typer.Option(help="Folder in which the month's own folder is made.")],
    version: Annotated[ExportVersion, typer.Option(help="Release of FOCUS.")] = ExportVersion.V1_4,
    formats: Annotated[
        str, typer.Option("--format", help="parquet, csv, or both with a comma.")
    ] = "parquet,csv",
    dataset: Annotated[
        str, typer.Option(help="Datasets with a comma, such as contract-commitment; all without it.")
    ] = "",
    issuer: Annotated[
        str | None, typer.Option(help="Who provides and invoices; `Private cloud` without it.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the month's folder if it is there.")
    ] = False,
    per_tenant: Annotated[
        bool, typer.Option("--per-tenant", help="Each tenant's rows in a file of their own too.")
    ] = False,
) -> None:
    """Write a month's statements as FOCUS files with manifest and checksums."""
    from catalog.wording import counted
    from chargeback.focus.columns import Version
    from tierwise.cli.words import check_month
    from tierwise.usecases.focus import ISSUER, export

    check_month(month)
    context: Context = ctx.obj
    wanted = _formats(formats)
    with context.app() as app_:
        done = export(
            app_, month, to, version=Version(version.value), formats=wanted, issuer=issuer or ISSUER,
            replace=replace, per_tenant=per_tenant,
            datasets=[name.strip() for name in dataset.split(",") if name.strip()],
        )  # fmt: skip
    typer.echo(done.folder)
    own = sum("/" in file for file in done.files)
    files = [file for file in done.files if "/" not in file]
    files += [f"{counted(own, 'file')} of tenants"] * bool(own)
    note(f"{counted(done.rows, 'row')}, {done.total}, in {', '.join(files)}")
    note(done.note)


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Parquet or CSV files, each of one dataset, or an export's folder.")
    ],
    version: Annotated[
        CheckVersion | None, typer.Option(help="Release of FOCUS; told by the columns without it.")
    ] = None,
    dataset: Annotated[
        CheckDataset | None, typer.Option(help="What the file holds; told by the columns without it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Check FOCUS files: every computable rule on every row, and the datasets together."""
    from catalog.wording import counted
    from chargeback.focus.rules.releases import Dataset, Release
    from tierwise.errors import ExitCode
    from tierwise.usecases.focus_checks import check_files

    done = check_files(
        files,
        None if version is None else Release(version.value),
        None if dataset is None else Dataset(dataset.value),
    )
    several = len(done.files) > 1
    rows = [
        ({"file": each.file.name} if several else {})
        | {
            "level": "warning" if finding.should else "error", "rule": finding.rule, "column": finding.column,
            "what": finding.what, "rows": finding.rows, "first": finding.first, "value": finding.value,
        }
        for each in done.files
        for finding in (*each.report.findings, *each.beside)
    ]  # fmt: skip
    if rows or output is not Format.TABLE:
        emit(rows, output)
    for each in done.files:
        report = each.report
        note(
            f"{each.file.name + ': ' if several else ''}{each.dataset.value} {each.release.value}: "
            f"{counted(report.rows, 'row')}, {counted(len(report.checked), 'rule')} checked: "
            f"{counted(len(report.errors), 'error')}, {counted(len(report.warnings), 'warning')}"
        )
    beside = [finding.should for each in done.files for finding in each.beside]
    if done.links:
        note(
            f"together: {counted(len(done.links), 'rule')} between datasets checked: "
            f"{counted(beside.count(False), 'error')}, {counted(beside.count(True), 'warning')}"
        )
    if any(each.report.errors for each in done.files) or False in beside:
        raise typer.Exit(ExitCode.INVALID)


@app.command(name="import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The provider's bill: Parquet or CSV, FOCUS 1.0 to 1.3.")],
    month: Annotated[str, typer.Option(help="YYYY-MM that it is the bill of.")],
    map_: Annotated[Path, typer.Option("--map", help="Whose each resource is: a YAML file or folder.")],
    cost: Annotated[
        CostChoice, typer.Option(help="What is passed on: as invoiced, or with purchases spread.")
    ] = CostChoice.BILLED,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what it would give; keep nothing.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take in a provider's bill; what nobody is mapped to stays visible as unallocated."""
    from chargeback.focus.bills import Cost
    from chargeback.statements import COLUMNS
    from tierwise.cli.fields import Fields
    from tierwise.cli.words import check_month
    from tierwise.usecases.focus_files import import_bill, shown_gaps

    check_month(month)
    context: Context = ctx.obj
    with context.app() as app_:
        done = import_bill(app_, file, month, map_, cost=Cost[cost.name], preview=preview)
    shown = ("tenant", "cost_centre", "tier", "machine", "charge_category", "amount", "note")
    emit(done.bill.rows, output, fields=Fields(dict.fromkeys(COLUMNS, ""), shown))
    for line in shown_gaps(done.bill):
        note(line)
    kept = f"kept in {done.folder}" if done.folder else "preview: nothing was kept"
    note(f"{', '.join(done.bill.providers) or 'provider unnamed'}: {done.bill.total}; {kept}")


def _formats(text: str) -> "list[FileFormat]":
    from tierwise.errors import InvalidInput
    from tierwise.usecases.focus import FileFormat

    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in set(FileFormat)]
    if unknown:
        msg = f"there is no format {', '.join(map(repr, unknown))}; known are {', '.join(FileFormat)}"
        raise InvalidInput(msg)
    return [FileFormat(name) for name in names]

"""``tierwise catalog``: check and show what can be ordered."""

from pathlib import Path
from typing import Annotated

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import OFFERINGS, RATES, Columns, Sort, view
from tierwise.cli.output import Format, Output, document, emit, note

app = typer.Typer(help="Check and show the service catalog.", no_args_is_help=True)


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="A YAML file, or a folder of them.")],
) -> None:
    """Check catalog, rules and rate cards; report every mistake with file, line and column."""
    from catalog.wording import counted
    from tierwise.documents import load

    documents = load(path)
    catalog = documents.catalog
    there = (
        counted(len(catalog.tiers), "tier"),
        f"{len(catalog.classes)} workload {'class' if len(catalog.classes) == 1 else 'classes'}",
        counted(len(catalog.offerings), "offering"),
        counted(len(catalog.pools), "pool"),
        counted(len(catalog.tenants), "tenant"),
        counted(len(documents.rules), "rule"),
        counted(len(documents.rate_cards), "rate card"),
    )
    note(f"{path}: valid; {', '.join(there)}")
    for card in documents.rate_cards:
        for warning in card.warnings:
            note(f"warning: rate card {card.label}: {warning}")


@app.command()
def rates(
    ctx: typer.Context, output: Output = Format.TABLE, columns: Columns = "", sort: Sort = ""
) -> None:
    """List the rates, and the card's answers to what products do differently."""
    from tierwise.usecases.rates import rate_rows

    context: Context = ctx.obj
    with context.app() as app_:
        card = app_.documents.rate_card
        emit(rate_rows(card), output, fields=RATES, view=view(columns, sort))
    for name, answer in card.options.items():
        note(f"{name}: {answer}")
    for warning in card.warnings:
        note(f"warning: {warning}")


@app.command(name="list")
def list_(
    ctx: typer.Context, output: Output = Format.TABLE, columns: Columns = "", sort: Sort = ""
) -> None:
    """List the offerings."""
    context: Context = ctx.obj
    with context.app() as app_:
        catalog = app_.documents.catalog
        rows = []
        for offering in catalog.offerings.values():
            workload_class = catalog.classes[offering.workload_class]
            size = workload_class.sizes[offering.size]
            rows.append(
                {
                    "offering": offering.name,
                    "title": offering.title,
                    "class": workload_class.name,
                    "vcpu": size.vcpu,
                    "memory_mib": size.memory_mib,
                    "disk_gib": size.disk_gib,
                    "tiers": ", ".join(workload_class.allowed_tiers),
                    "data": workload_class.data_classification.value,
                    "parameters": ", ".join(offering.parameters),
                }
            )
    emit(rows, output, fields=OFFERINGS, view=view(columns, sort))


@app.command()
def schema(
    ctx: typer.Context,
    offering: Annotated[str, typer.Argument(help="The offering's name.")],
    output: Output = Format.JSON,
) -> None:
    """Print the JSON Schema of an offering's parameters."""
    from catalog.json_schema import offering_schema
    from tierwise.cli.words import must_be_known

    context: Context = ctx.obj
    with context.app() as app_:
        catalog = app_.documents.catalog
        must_be_known("offering", offering, catalog.offerings)
        document(offering_schema(catalog, catalog.offerings[offering]), output)

"""``tierwise economics``: what tiers cost, by documents with dated figures; no estate is needed."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.wording import counted
from tierwise.cli.context import Context
from tierwise.cli.fields import FINDINGS, Columns, Fields, Sort, view
from tierwise.cli.output import Format, Output, document, emit, note, write

if TYPE_CHECKING:
    from datetime import date

app = typer.Typer(help="Read, check and use documents of what tiers cost.", no_args_is_help=True)

ECONOMICS_FIGURES = Fields(
    {
        "figure": "where it stands in the document",
        "value": "what it is",
        "from": "the first day on which it holds",
        "until": "the first day on which it no longer does",
        "region": "where it holds; empty: everywhere",
        "price": "`list` or `street`, of a price that is one of them",
        "evidence": "how good it is",
        "as_of": "when the source said so",
        "source": "where it comes from",
    },
    ("figure", "value", "from", "region", "evidence"),
)
ECONOMICS_RATES = Fields(
    {
        "tier": "the tier",
        "resource": "what is priced; `unrecovered`: what no use pays for, or a surplus below zero",
        "unit": "what the rate is for",
        "rate": "the price of a unit",
        "cost": "the part of the tier's cost that it pays for",
        "recovered": "what today's use recovers by the rate; negative: a surplus",
        "capacity": "what may be sold at once",
        "used": "what machines have",
        "target_percent": "how much of the capacity is meant to be sold",
        "cost_minor": "the cost in the currency's minor units",
        "recovered_minor": "what is recovered, in minor units",
    },
    ("tier", "resource", "unit", "rate", "cost", "recovered"),
)
ECONOMICS_LICENCES = Fields(
    {
        "product": "the product",
        "from": "the first day of a stretch in which the same contracts and ways hold",
        "months": "how long it is",
        "alternative": "one way to license it",
        "metric": "what it counts",
        "pack_size": "units in a pack",
        "owned_packs": "packs that a contract pays for in the stretch",
        "pack_cost": "what each further pack costs in it",
        "sunk": "what the product's contracts cost in it, whatever is decided",
        "reach": "how far machines can move, so that hosts there count",
        "accepts": "what narrows that",
        "pack_cost_micros": "the pack's cost in millionths of the currency",
        "sunk_micros": "the contracts' in millionths",
    },
    ("product", "from", "months", "alternative", "metric", "owned_packs", "pack_cost", "sunk"),
)
ECONOMICS_LINES = Fields(
    {
        "tier": "the tier",
        "fleet": "the entry of the fleet",
        "term": "what it is for",
        "part": "of a host `kept`, `bought` or `sunk`, of a `machine`, a unit of disk, or `open` for the pool",
        "what": "what it is",
        "quantity": "how many times it is paid",
        "months": "how many months it is paid for",
        "of": "for how many months the product of the figures pays",
        "figures": "the figures, with their places in the document",
        "sources": "where they come from",
        "micros": "what it comes to, in millionths of the currency",
    },
    ("fleet", "term", "part", "what", "quantity", "months", "of", "micros"),
)

Document = Annotated[Path, typer.Argument(help="A document of the format tierwise-economics/1.")]
OnDay = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only what holds on this day."),
]
Start = Annotated[
    datetime | None,
    typer.Option(
        "--start",
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help="The first day; this month's if left out.",
    ),
]
Months = Annotated[int, typer.Option("--months", min=1, max=120, help="How many months.")]
Region = Annotated[str | None, typer.Option("--region", help="With --day: what holds in this region.")]


def _today() -> "date":
    from tierwise.clock import SystemClock

    return SystemClock().now().date()


def _month(text: str) -> "tuple[date, int]":
    """The first day of a month, and one month."""
    from tierwise.errors import InvalidInput

    try:
        first = datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        msg = f"--month: '{text}' is no month; write it like 2026-10"
        raise InvalidInput(msg) from None
    return _not_too_late(first, "--month"), 1


def _metered(ctx: typer.Context, month: str) -> dict[str, dict[str, int]]:
    from tierwise.usecases.metered_use import metered_use

    context: Context = ctx.obj
    with context.app() as app_:
        return metered_use(app_, month)


def _first(start: datetime | None) -> "date":
    return _not_too_late(start.date(), "--start") if start else _today().replace(day=1)


def _not_too_late(day: "date", option: str) -> "date":
    from chargeback.economics.trace import LAST_START
    from tierwise.errors import InvalidInput

    if day > LAST_START:
        msg = f"{option}: {day} is after {LAST_START}, the last day that can be planned from; give an earlier one"
        raise InvalidInput(msg)
    return day


@app.command()
def show(
    file: Document,
    day: OnDay = None,
    region: Region = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """List every figure of a document with its dates, region, evidence and source."""
    from tierwise.usecases import economics

    found = economics.load(file)
    rows = economics.figure_rows(found, day.date() if day else None, region)
    emit(rows, output, fields=ECONOMICS_FIGURES, view=view(columns, sort))
    note(economics.summary(found))


@app.command()
def check(file: Document, day: OnDay = None, output: Output = Format.TABLE) -> None:
    """Check a document, and say which figures are assumptions, contested or old."""
    from tierwise.usecases import economics

    found = economics.load(file)
    emit(economics.findings(found, day.date() if day else _today()), output, fields=FINDINGS)
    note(f"the document is right; {economics.summary(found)}")


@app.command()
def licences(
    file: Document,
    start: Start = None,
    months: Months = 12,
    region: Annotated[str | None, typer.Option("--region", help="What holds in this region.")] = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """Show how contracts and rules cut a time, and what a pack of licences costs in each part."""
    from tierwise.usecases import economics

    rows = economics.licence_rows(economics.load(file), _first(start), months, region)
    emit(rows, output, fields=ECONOMICS_LICENCES, view=view(columns, sort))


@app.command()
def defaults() -> None:
    """Print the document of defaults, to start one of your own from."""
    from tierwise.usecases import economics

    write(economics.defaults())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the documents, for editors."""
    from chargeback.economics.document import schema as of_documents

    document(of_documents(), Format.JSON)


@app.command()
def rates(
    ctx: typer.Context,
    file: Document,
    start: Start = None,
    months: Months = 12,
    decimals: Annotated[int, typer.Option("--decimals", min=0, max=9, help="Of the rates.")] = 6,
    card: Annotated[
        str | None, typer.Option("--card", help="Print a rate card of this name instead.", metavar="NAME")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print every line that the cost is made of instead.")
    ] = False,
    month: Annotated[
        str | None,
        typer.Option("--month", help="Cost of this month, and what its metered use recovers: 2026-10."),
    ] = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """Work out the rates that recover what the tiers of a document's fleet cost."""
    from chargeback.economics.rates import card_text
    from tierwise.usecases import economics

    found = economics.load(file)
    first, metered = _first(start), None
    if month is not None:
        first, months, metered = *_month(month), _metered(ctx, month)
    proposals = economics.proposals(found, first, months, decimals)
    if card is not None:
        write(
            card_text(
                proposals,
                name=card,
                currency=found.currency,
                minor_digits=found.minor_digits,
                valid_from=first,
                recorded_at=_today().isoformat(),
            )
        )
    elif trace:
        rows = [row for proposal in proposals for row in economics.trace_rows(proposal.cost)]
        emit(rows, output, fields=ECONOMICS_LINES, view=view(columns, sort))
    else:
        money = economics.Money(found.currency, found.minor_digits)
        fields = ECONOMICS_RATES
        emit(
            economics.rate_rows(proposals, money, metered), output, fields=fields, view=view(columns, sort)
        )
        for words in economics.recovery_words(proposals, money, metered):
            note(words)
    use = f"recovered by what was metered in {month}" if month else "recovered by what the fleet uses"
    note(
        f"{counted(months, 'month')} from {first}, {use}; without guests' licences: a fleet does not say what machines run"
    )

"""``tierwise whatif forecast``: when pools are full, and how long a host may fail."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.fields import EVERYTHING, Fields
from tierwise.cli.output import Format, Output, document, emit, note, stderr

if TYPE_CHECKING:
    from datetime import date

    from placement.forecast.document import ForecastDocument
    from tierwise.usecases.forecast import OfEstate

FORECAST = Fields(
    {
        "pool": "the pool",
        "full_p10": "the day by which one run in ten is full; empty: not within the horizon",
        "full_p50": "the same for half of the runs",
        "full_p90": "the same for nine in ten",
        "months_p10": "mean months from the start until then",
        "months_p50": "the same for half of the runs",
        "months_p90": "the same for nine in ten",
        "not_full_percent": "how likely the pool is not full within the horizon",
        "not_full_from_percent": "the lower end of its 95 % interval, as the runs are only so many",
        "not_full_to_percent": "the upper end",
        "binds": "the resource that is full first most often",
        "binds_percent": "in how many of all runs",
        "n_plus_1_until": "the last day on which N+1 holds with 95 %; empty: not even at the start",
        "n_plus_1_start_percent": "how likely it holds at the start",
        "n_plus_1_end_percent": "how likely it holds at the end",
        "fits_end_percent": "how likely the hosts that are up carry the demand at the end",
    },
    ("pool", "full_p10", "full_p50", "full_p90", "not_full_percent", "binds", "n_plus_1_until"),
)

BANDS = Fields(
    {
        "pool": "the pool",
        "resource": "the resource, with its unit",
        "day": "the day, at midnight",
        "mean": "the mean demand",
        "p10": "one run in ten needs less",
        "p50": "half of the runs need less",
        "p90": "nine runs in ten need less",
        "limit": "above this the pool is full",
        "fits_percent": "how likely the hosts that are up carry all demand",
        "n_plus_1_percent": "how likely they still do without the largest of them",
    },
    ("pool", "resource", "day", "p10", "p50", "p90", "limit", "n_plus_1_percent"),
)

FIT = Fields(
    {
        "class": "the class",
        "machines": "how many the history holds",
        "batches_per_day": "how many come a day at the end of the history",
        "error_percent": "the standard error of that",
        "machines_per_batch": "the mean size of a batch",
        "growth_percent_per_month": "the trend of the history; nothing promises that it goes on",
        "growth_error_points": "its standard error in percentage points",
        "mean_life_hours": "the mean life; empty: fewer than ten machines ended",
        "longest_hours": "the longest that any was seen to live; beyond, the law is a guess",
        "still_running_percent": "how many had not ended",
        "gap": "the largest difference of survival to machines that were held out",
        "gap_of_chance": "what no law could do better than",
    },
    (
        "class",
        "batches_per_day",
        "machines_per_batch",
        "growth_percent_per_month",
        "mean_life_hours",
        "gap",
    ),
)

_SHOWN = 12
"""Assumptions that a table is followed by; programs get all."""


def register(group: typer.Typer) -> None:
    """Add the commands ``forecast`` and ``fit-demand`` to a group."""
    group.command()(forecast)
    group.command()(fit_demand)


def forecast(
    file: Annotated[
        Path,
        typer.Argument(
            help="A document of kind tierwise-forecast/1, or an estate as `estate import` reads."
        ),
    ],
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, max=1_000_000, help="Instead of the document's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Instead of the document's.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, max=256, help="How many to run on; the figures are the same."),
    ] = 1,
    cluster: Annotated[
        str, typer.Option("--cluster", help="A Dask scheduler instead: tcp://HOST:PORT (extra `dask`).")
    ] = "",
    bands: Annotated[
        bool, typer.Option("--bands", help="Show demand and N+1 through time instead.")
    ] = False,
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw bands and N+1 into this file, .png or .svg.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write a report with charts: .html, .pdf, .xlsx or .csv.")
    ] = None,
    start: Annotated[
        str, typer.Option("--start", help="Of an estate: from which day.", metavar="YYYY-MM-DD")
    ] = "",
    months: Annotated[
        int, typer.Option("--months", min=1, max=240, help="Of an estate: for how many months.")
    ] = 36,
    growth: Annotated[
        float,
        typer.Option("--growth", min=-99, max=1000, help="Of an estate: percent a month of all demand."),
    ] = 0.0,
    to_document: Annotated[
        Path | None, typer.Option("--to-document", help="Of an estate: write its document here, to add to.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Tell by simulation when pools are full, of what, and until when a host may fail."""
    from tierwise.cli.reports import check_target
    from tierwise.usecases import forecast as use

    check_target(to)
    if use.is_estate(file):
        question = _of_estate(file, use.OfEstate(_day(start), months, growth), to_document)
    else:
        question = use.load(file)
    with stderr().status("forecasting") as status:

        def tell(done: int, of: int) -> None:
            status.update(f"forecasting: {done:,} of {of:,} runs")

        found = use.run(question, runs=runs, seed=seed, processes=processes, cluster=cluster, tell=tell)
    if chart is not None:
        use.write_chart(found, chart)
    if to is not None:
        use.write_report(found, question, to, file.stem)
        note(f"written: {to}")
    if bands:
        emit(use.band_rows(found), output, fields=BANDS, view=EVERYTHING)
    elif output in {Format.JSON, Format.YAML}:
        document(use.as_document(question, found), output)
    else:
        emit(use.rows(found), output, fields=FORECAST, view=EVERYTHING)
    if output is Format.TABLE:
        _assumed(question)


def _day(text: str) -> "date | None":
    from datetime import date

    from tierwise.errors import InvalidInput

    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        msg = f"--start must be a day such as 2026-12-01: {text!r}"
        raise InvalidInput(msg) from None


def _of_estate(file: Path, wishes: "OfEstate", target: Path | None) -> "ForecastDocument":
    """The estate as a document, and what was assumed and left out for that."""
    from tierwise.reports.files import write_whole
    from tierwise.usecases import forecast as use

    text = use.estate_text(file, wishes)
    if target is not None:
        write_whole(target, text.encode())
    for line in text.splitlines():
        if line.startswith("# "):
            note(line.removeprefix("# "))
    return use.read(text, f"{file} as a document")


def _assumed(question: "ForecastDocument") -> None:
    """What the document leaves open, so that nobody takes a default for a fact."""
    if not question.assumed:
        return
    note("assumed, as the document does not say:")
    for one in question.assumed[:_SHOWN]:
        note(f"{one.path}: {one.value} ({one.means})", indent="  ")
    rest = len(question.assumed) - _SHOWN
    if rest > 0:
        note(f"and {rest} more; -o json has all", indent="  ")


def fit_demand(
    history: Annotated[
        Path, typer.Argument(help="A CSV with created_at, deleted_at, class; tenant and sizes if known.")
    ],
    until: Annotated[
        str,
        typer.Option("--until", help="When the history was written; else its last time.", metavar="TIME"),
    ] = "",
    trend: Annotated[
        bool, typer.Option("--trend/--no-trend", help="Fit a trend, or the mean rate of all days.")
    ] = True,
    gaps: Annotated[
        bool,
        typer.Option(
            "--gaps/--no-gaps",
            help="Leave out stretches whose machines must be missing, or count them as quiet.",
        ),
    ] = True,
    result: Annotated[
        Path | None,
        typer.Option("--result", help="Write classes and lifetimes of a document to this file."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Fit how machines come and how long they live to a history of your own."""
    from datetime import datetime

    from tierwise.errors import InvalidInput
    from tierwise.reports.files import write_whole
    from tierwise.usecases import forecast_fit as use

    try:
        written = datetime.fromisoformat(until) if until else None
    except ValueError:
        msg = f"--until must be a time such as 2026-10-01T08:30:00: {until!r}"
        raise InvalidInput(msg) from None
    fitted = use.fit(history, until=written, trend=trend, leave_out_gaps=gaps)
    for one in use.notes(fitted):
        note(one)
    if result is not None:
        write_whole(result, use.as_yaml(fitted).encode())
    emit(use.rows(fitted), output, fields=FIT)

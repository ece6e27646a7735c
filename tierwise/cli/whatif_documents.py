"""``tierwise whatif run|compare|changes``: scenarios of an estate, from documents."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.wording import counted
from tierwise.cli.context import Context, progress
from tierwise.cli.output import Format, Output, document, emit, note, stdout, write
from tierwise.cli.targets import check_writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.estates.model import Estate
    from tierwise.planner.asking import Workers
    from tierwise.planner.diff import Money
    from tierwise.planner.prepare import Prepared
    from tierwise.planner.result import ScenarioResult, WhatIfResult

Document = Annotated[Path, typer.Argument(help="A what-if document (tierwise-whatif/1).")]
Scenarios = Annotated[
    list[str] | None, typer.Option("--scenario", help="Only this scenario; repeatable. All, if left out.")
]
Save = Annotated[
    Path | None, typer.Option("--save", help="Write everything that was found to this file, as JSON.")
]
Seconds = Annotated[
    float,
    typer.Option(
        "--effort",
        min=0.1,
        max=10_000_000,
        help="How much each scenario may be thought about, in deterministic seconds.",
    ),
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, max=512, help="So many processes of this machine.")
]
Cluster = Annotated[
    str, typer.Option("--cluster", help="A Dask scheduler instead: tcp://HOST:PORT (extra `dask`).")
]
Keep = Annotated[
    Path | None,
    typer.Option("--keep", help="Keep each answer in this folder; a run that was stopped goes on there."),
]
_CONFLICTS_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the commands to ``tierwise whatif``."""
    app.command()(run)
    app.command()(compare)
    app.command()(changes)


def run(
    ctx: typer.Context,
    file: Document,
    scenario: Scenarios = None,
    save: Save = None,
    effort: Seconds = 5.0,
    jobs: Jobs = 1,
    cluster: Cluster = "",
    keep: Keep = None,
    output: Output = Format.TABLE,
) -> None:
    """Answer a document's scenarios: cost, moves, hosts, what is impossible and why."""
    from placement.plan import Limits
    from tierwise.planner.asking import answered

    check_writable(save)
    prepared = prepared_of(ctx, file)
    known(prepared, scenario)
    with workers(jobs, cluster, keep, "answering scenarios") as who:
        result = answered(prepared, scenario or None, Limits(deterministic_time=effort), who)
    _show(result, output)
    if save is not None:  # After it was shown: an answer is not lost with the disk that was full.
        _save(result, save)


def compare(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A what-if document, or what `tierwise whatif run --save` wrote.")
    ],
    before: Annotated[str, typer.Option("--before", help="The scenario to start from.")] = "today",
    after: Annotated[
        list[str] | None,
        typer.Option("--after", help="The scenario to go to; repeatable. All others, if left out."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Compare scenarios: how terms, tiers, what is recovered and moves between pools differ."""
    from tierwise.cli.words import must_be_known
    from tierwise.planner.diff import difference
    from tierwise.planner.result import NO_POOL

    result = _saved_or_solved(ctx, file)
    by_name = {one.name: one for one in (result.today, *result.scenarios)}
    for name in (before, *(after or ())):
        must_be_known("scenario", name, by_name)
    wanted = after or [name for name in by_name if name != before]
    found = [difference(by_name[before], by_name[name]) for name in wanted]
    if output in {Format.JSON, Format.YAML}:
        document([one.model_dump(mode="json") for one in found], output)
        return
    money = money_of(result.currency)
    rows = [
        {
            "from": one.before,
            "to": one.after,
            "of": kind,
            "what": change.term,
            "before": money(change.before_micros),
            "after": money(change.after_micros),
            "change": money(change.after_micros - change.before_micros),
        }
        for one in found
        for kind, changes_ in (
            ("term", one.terms),
            ("tier", one.tiers),
            ("recovered", one.recovered),
            ("unrecovered", one.unrecovered),
        )
        for change in changes_
    ]
    rows += [
        {
            "from": one.before,
            "to": one.after,
            "of": "moves",
            "what": f"{flow.source or NO_POOL} -> {flow.target}",
            "before": "",
            "after": str(flow.machines),
            "change": "",
        }
        for one in found
        for flow in one.flows
    ]
    rows += [
        {
            "from": one.before,
            "to": one.after,
            "of": "at least",
            "what": "moves of any plan that costs no more",
            "before": "",
            "after": str(one.moves_bound),
            "change": "",
        }
        for one in found
        if one.moves_bound
    ]
    emit(rows, output)


def changes(output: Output = Format.TABLE) -> None:
    """List the kinds of change that a scenario may have, each with an example."""
    from tierwise.planner.changes import kinds

    rows = [{"kind": name, "does": one.summary, "example": one.example} for name, one in kinds().items()]
    if output is Format.TABLE:
        console = stdout()
        for row in rows:
            console.print(f"{row['kind']}: {row['does']}\n    - {row['example']}", markup=False)
        return
    emit(rows, output)


def prepared_of(ctx: typer.Context, file: Path) -> "Prepared":
    """A document with all that it names, read and checked."""
    from tierwise.planner.sources import prepared

    context: Context = ctx.obj
    return prepared(file, lambda: _live(ctx), context.read_estate)


def prepared_from(ctx: typer.Context, file: Path) -> "tuple[Prepared, Estate]":
    """The same, with the estate that it is about."""
    from tierwise.planner.sources import prepared_from

    context: Context = ctx.obj
    prepared, inputs = prepared_from(file, lambda: _live(ctx), context.read_estate)
    return prepared, inputs.estate


def _live(ctx: typer.Context) -> "Estate":
    from tierwise.estates.inventory import live

    context: Context = ctx.obj
    with context.app() as app:
        return live(app)


@contextmanager
def workers(jobs: int, cluster: str, keep: Path | None, what: str) -> "Iterator[Workers]":
    """Who answers, with a progress bar while they do; a run that is stopped says where it can go on."""
    from tierwise.planner.asking import Workers
    from tierwise.planner.sweeps import Kept

    with progress(what) as tell:
        try:
            yield Workers(jobs, cluster, Kept(keep, warn=note) if keep else None, tell)
        except KeyboardInterrupt:
            where = f"the same command goes on from {keep}" if keep else "--keep FOLDER keeps answers"
            note(f"stopped; {where}")
            raise


def known(prepared: "Prepared", scenarios: "list[str] | None") -> None:
    """Refuse names that are no scenarios of the document."""
    from tierwise.cli.words import must_be_known

    for name in scenarios or ():
        must_be_known("scenario", name, prepared.document.scenarios)


def _saved_or_solved(ctx: typer.Context, file: Path) -> "WhatIfResult":
    from placement.plan import Limits
    from tierwise.planner.run import run as answer
    from tierwise.planner.saved import is_saved, read_saved

    if is_saved(file):
        return read_saved(file)
    return answer(prepared_of(ctx, file), None, Limits())


def _save(result: "WhatIfResult", path: Path) -> None:
    from tierwise.planner.saved import write_saved

    write_saved(result, path)
    note(f"written: {path}")


def money_of(currency: str) -> "Money":
    """Micro-units as whole units of a currency, half up."""

    def told(micros: int) -> str:
        units = (2 * abs(micros) + 10**6) // (2 * 10**6)
        return f"{currency} {'-' if micros < 0 and units else ''}{units:,}"

    return told


def _show(result: "WhatIfResult", output: Format) -> None:
    from tierwise.planner.diff import rows, table

    if output is Format.CSV:
        emit(rows((result.today, *result.scenarios)), output)
    elif output is not Format.TABLE:
        document(result.model_dump(mode="json"), output)
    else:
        title = f"{result.title or result.document}: {counted(result.months, 'month')} from {result.start}"
        for text in result.notes:
            note(f"note: {text}")
        emit(table(result, money_of(result.currency)), Format.TABLE, title=title)
        for one in (result.today, *result.scenarios):
            write(_told(one))


def _told(one: "ScenarioResult") -> str:
    """What the table has no room for: changes, reasons, rules of licences."""
    from tierwise.cli.words import bullets
    from tierwise.planner.diff import licences, missing, why
    from tierwise.planner.result import TODAY

    parts = [f"changes: {text}" for text in one.changes]
    parts += [f"impossible: {text}" for text in why(one)[:_CONFLICTS_SHOWN]]
    parts += [f"no room for failures: {room.pool} lacks {missing(room)}" for room in one.short]
    parts += list(licences(one, money_of(one.currency)))
    parts += [f"cheaper if: {text}" for text in one.binding]
    parts += one.notes
    if one.name == TODAY:  # What makes today's figures unsure makes all of them so.
        parts += [f"confidence: {text}" for text in one.confidence.reasons]
    if not parts:
        return ""
    return "\n".join([f"\n{one.name}{f': {one.title}' if one.title else ''}", *bullets(parts)]) + "\n"

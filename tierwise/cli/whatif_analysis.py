"""``tierwise whatif report|sensitivity|break-even|first-moves``: what a scenario's saving hangs on, and reports of it."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.output import Format, document, note
from tierwise.cli.reports import check_target
from tierwise.cli.whatif_documents import (
    Cluster,
    Document,
    Jobs,
    Keep,
    Seconds,
    known,
    prepared_from,
    prepared_of,
    workers,
)
from tierwise.cli.whatif_work import Work, asking, limits_of

if TYPE_CHECKING:
    from catalog.estates.model import Estate
    from chargeback.report import Report
    from tierwise.planner.analysis import Knob
    from tierwise.planner.document import Scenario
    from tierwise.planner.prepare import Prepared
    from tierwise.planner.report import Analysis
    from tierwise.planner.result import ScenarioResult, WhatIfResult

Wanted = Annotated[
    str, typer.Option("--scenario", help="The scenario of the document that is asked about.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``tierwise whatif``."""
    app.command()(report)
    app.command()(sensitivity)
    app.command("break-even")(break_even)
    app.command("first-moves")(first_moves)
    app.command()(moves)
    app.command()(demo)


def report(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A what-if document, or what `tierwise whatif run --save` wrote.")
    ],
    to: Annotated[Path, typer.Option("--to", help="The file: .html, .pdf, .xlsx or .csv.")],
    analyse: Annotated[
        str, typer.Option("--analyse", help="Add sensitivity and first moves of this scenario.")
    ] = "",
    effort: Seconds = 5.0,
    jobs: Jobs = 1,
    cluster: Cluster = "",
    keep: Keep = None,
) -> None:
    """Write a report of scenarios that an executive can read: tables, charts, reasons."""
    from tierwise.planner.analysis import pareto, sensitivity
    from tierwise.planner.asking import answered
    from tierwise.planner.report import report as made
    from tierwise.planner.saved import is_saved, read_saved

    check_target(to)
    saved = is_saved(file)
    if saved and analyse:
        msg = "a saved result cannot be asked again; name the document instead"
        raise typer.BadParameter(msg, param_hint="'--analyse'")
    analyses: list[Analysis] = []
    if saved:
        result: WhatIfResult = read_saved(file)
    else:
        prepared, limits = prepared_of(ctx, file), limits_of(effort)
        known(prepared, [analyse] if analyse else None)
        with workers(jobs, cluster, keep, "answering scenarios") as who:
            result = answered(prepared, None, limits, who)
        if analyse:
            scenario = prepared.scenario(analyse)
            with workers(jobs, cluster, keep, "turning assumptions") as who:
                analyses.append(sensitivity(prepared, scenario, limits, workers=who))
                analyses.append(pareto(prepared, scenario, limits, workers=who))
    _write(made(result, analyses), to)


@asking
def sensitivity(
    ctx: typer.Context,
    file: Document,
    scenario: Wanted,
    percent: Annotated[
        int, typer.Option(min=1, max=100, help="By how much each assumption is wrong.")
    ] = 20,
    *,
    work: Work,
) -> None:
    """Show what a scenario saves if one assumption after the other is wrong (a tornado)."""
    from tierwise.planner.analysis import sensitivity as asked

    prepared = prepared_of(ctx, file)
    with work.workers("turning assumptions") as who:
        found = asked(
            prepared,
            scenario_of(prepared, scenario),
            work.limits,
            percent=Decimal(percent),
            workers=who,
        )
    _show(prepared, found, work)


@asking
def break_even(
    ctx: typer.Context,
    file: Document,
    first: Annotated[str, typer.Option("--first", help="A scenario of the document.")],
    second: Annotated[str, typer.Option("--second", help="Another one, or today.")] = "today",
    of: Annotated[
        str,
        typer.Option("--of", help="What changes: machines, a term of cost (power), or licence:PRODUCT."),
    ] = "machines",
    low: Annotated[str, typer.Option("--from", help="The change in percent from which on.")] = "0",
    high: Annotated[str, typer.Option("--until", help="The change in percent to which.")] = "100",
    *,
    work: Work,
) -> None:
    """Find from which number of machines, or price, on a scenario is cheaper than another."""
    from tierwise.planner.analysis import break_even as asked

    prepared = prepared_of(ctx, file)
    with work.workers("looking for the break-even") as who:
        found = asked(
            prepared,
            scenario_of(prepared, first),
            None if second == "today" else scenario_of(prepared, second),
            _knob(prepared, of),
            (percent_of(low, "--from"), percent_of(high, "--until")),
            work.limits,
            workers=who,
        )
    _show(prepared, found, work)


@asking
def first_moves(
    ctx: typer.Context,
    file: Document,
    scenario: Wanted,
    most: Annotated[
        list[int] | None, typer.Option("--most", min=0, help="A number of moves to look at; repeatable.")
    ] = None,
    *,
    work: Work,
) -> None:
    """Show how much of a scenario's saving its first moves bring (Pareto)."""
    from tierwise.planner.analysis import pareto

    prepared = prepared_of(ctx, file)
    with work.workers("limiting moves") as who:
        found = pareto(
            prepared,
            scenario_of(prepared, scenario),
            work.limits,
            most=most or (),
            workers=who,
        )
    _show(prepared, found, work)


def moves(
    ctx: typer.Context,
    file: Document,
    scenario: Wanted,
    to: Annotated[Path, typer.Option("--to", help="The file: a document of moves in JSON.")],
    link_mib_s: Annotated[
        int, typer.Option("--link", min=1, help="What a link between sites carries, in MiB/s.")
    ] = 100,
    hosts: Annotated[
        bool, typer.Option("--hosts", help="Between hosts, as far as the estate says what runs on which.")
    ] = False,
    apart: Annotated[
        list[str] | None,
        typer.Option(
            "--apart",
            help="With --hosts: an application's machines on hosts of their own: PATTERN or PATTERN/LABEL.",
        ),
    ] = None,
    effort: Seconds = 5.0,
) -> None:
    """Write a scenario's moves as a document of moves, from which `whatif waves` makes waves."""
    import json

    from catalog.wording import counted, first_few
    from tierwise.planner.diff import facts_against
    from tierwise.planner.moves_document import moves_document
    from tierwise.planner.run import solve_scenario, solve_today
    from tierwise.reports.files import write_whole

    if apart and not hosts:
        msg = "goes with --hosts: pools hold many hosts, on which machines of one application may be"
        raise typer.BadParameter(msg, param_hint="'--apart'")
    (prepared, estate), limits = prepared_from(ctx, file), limits_of(effort)
    wanted = scenario_of(prepared, scenario)
    today = solve_today(prepared, limits)
    result = solve_scenario(prepared, wanted, limits, today)
    made = moves_document(prepared, today, result, link_mib_s=link_mib_s)
    if hosts:
        made = _on_hosts(prepared, estate, result, made, apart or [])
    write_whole(to, (json.dumps(made, indent=1) + "\n").encode())
    moving = sum(one["from"] != one["to"] for one in made["machines"])
    note(f"written: {to}: {moving:,} of {len(made['machines']):,} machines move")
    note(f"next: tierwise whatif waves {to} --windows FROM/TO -o waves.xlsx")
    outside = {one["id"] for one in made["providers"] if one.get("outside")}
    if by_hand := [
        one["id"] for one in made["machines"] if one["from"] in outside and one["to"] not in outside
    ]:
        note(
            f"{counted(len(by_hand), 'machine')} in no pool {'moves' if len(by_hand) == 1 else 'move'}, which waves have as moves "
            f"by hand; say in the source which host or pool they run on to plan them from there: {first_few(by_hand)}"
        )
    if result.unplaced:
        note(
            f"{counted(result.unplaced, 'machine', 'has', 'have')} no place in {scenario}; they stay where they are"
        )
    for stranded in result.stranded:
        note(f"{first_few(stranded.names) or stranded.group}: {'; '.join(facts_against(stranded))}")


def _on_hosts(
    prepared: "Prepared", estate: "Estate", result: "ScenarioResult", made: dict[str, Any], apart: list[str]
) -> dict[str, Any]:
    from tierwise.planner.apart import Apart, groups
    from tierwise.planner.moves_document import machine_ids
    from tierwise.planner.moves_hosts import on_hosts
    from tierwise.planner.prepare import changes_of

    world = prepared.changed(changes_of(prepared.scenario(result.name)))
    kept = groups(estate, [Apart.of(text) for text in apart])
    found = on_hosts(made, estate, world, result, machine_ids(prepared, result), kept)
    for text in found.notes:
        note(f"note: {text}")
    return found.document


def demo(
    output: Annotated[
        Path, typer.Option("--output", help="Folder for the documents and the answers.")
    ] = Path("whatif-demo"),
    jobs: Jobs = 2,
) -> None:
    """Answer five questions about a made-up estate, from its workbook to waves of moves."""
    from tierwise.demo.planner import tell

    tell(output, jobs=jobs)


def scenario_of(prepared: "Prepared", name: str) -> "Scenario":
    """A scenario of a document. Raises InvalidInput for an unknown name."""
    known(prepared, [name])
    return prepared.scenario(name)


def _knob(prepared: "Prepared", of: str) -> "tuple[str, Knob]":
    from tierwise.cli.words import must_be_known
    from tierwise.planner.analysis import growth, knobs

    there = {name.replace("licence ", "licence:"): knob for name, knob in knobs(prepared).items()}
    there["machines"] = growth
    must_be_known("thing that changes", of, there)
    return of, there[of]


def percent_of(text: str, option: str) -> Decimal:
    """An option's number of percent. Raises BadParameter."""
    try:
        return Decimal(text.removesuffix("%"))
    except InvalidOperation:
        msg = f"'{text}' is no number of percent; write one such as 30 or -12.5"
        raise typer.BadParameter(msg, param_hint=f"'{option}'") from None


def _show(prepared: "Prepared", found: "Analysis", work: Work) -> None:
    from tierwise.cli.reports import print_report
    from tierwise.planner.report import report_of

    made = report_of(found, prepared.economics.currency, prepared.document)
    if work.to is not None:
        _write(made, work.to)
    elif work.output is Format.TABLE:
        print_report(made)
    else:
        document(found.model_dump(mode="json"), work.output)


def _write(made: "Report", to: Path) -> None:
    from tierwise.reports import render, suffix_of
    from tierwise.reports.files import write_whole

    write_whole(to, render(made, suffix_of(to)))
    note(f"written: {to}")

"""``tierwise whatif plan-growth``: which hosts to buy when, as machines grow month by month."""

from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.fields import Fields
from tierwise.cli.output import Format, Output, document, emit, note
from tierwise.cli.reports import check_target
from tierwise.cli.whatif_analysis import Wanted, percent_of, scenario_of
from tierwise.cli.whatif_documents import Document, Seconds, money_of, prepared_of
from tierwise.cli.whatif_work import To, limits_of

if TYPE_CHECKING:
    from tierwise.planner.growing import GrowthPlan

PERIODS = Fields(
    {
        "from": "the first day of the period",
        "months": "how many months it has",
        "machines": "all that there are at its end",
        "no_place": "those without a place",
        "hosts": "all that are kept or bought",
        "buy": "hosts that must be there from the first day on",
        "order_by": "when these must be ordered",
        "give_up": "hosts that are given up",
        "displaced": "machines that had a place and have another one now, as others would have none otherwise",
        "put_out": "machines that had a place and have none now, which others have",
        "cost": "of the period",
        "at_least": "no plan of this period by itself costs less",
    },
    ("from", "machines", "no_place", "hosts", "buy", "order_by", "give_up", "cost", "at_least"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``tierwise whatif``."""
    app.command()(plan_growth)


def plan_growth(
    ctx: typer.Context,
    file: Document,
    scenario: Wanted,
    percent: Annotated[
        str, typer.Option("--percent", help="How much all machines grow in a month, in percent.")
    ] = "0",
    every: Annotated[
        int, typer.Option("--every", min=1, max=120, help="Hosts are bought every so many months.")
    ] = 3,
    lead: Annotated[
        int, typer.Option("--lead", min=0, max=60, help="Months from an order to hosts that run.")
    ] = 0,
    to: To = None,
    effort: Seconds = 5.0,
    output: Output = Format.TABLE,
) -> None:
    """Plan a scenario's growth: which hosts to order by when, period after period."""
    from tierwise.planner.growing import Asked
    from tierwise.planner.growing import plan_growth as asked

    check_target(to)
    wishes = Asked(percent_of(percent, "--percent"), every, lead)
    prepared = prepared_of(ctx, file)
    found = asked(prepared, scenario_of(prepared, scenario), wishes, limits_of(effort))
    if to is not None:
        from tierwise.planner.growing_report import growth_report
        from tierwise.reports import render, suffix_of
        from tierwise.reports.files import write_whole

        write_whole(to, render(growth_report(found, "What to buy when"), suffix_of(to)))
        note(f"written: {to}")
    _show(found, output)


def _show(found: "GrowthPlan", output: Format) -> None:
    from tierwise.planner.growing_report import purchases, rows, told

    periods = rows(found)
    if output is Format.CSV:
        emit(periods, output)
        return
    if output is not Format.TABLE:
        sums = {
            "currency": found.currency,
            "cost_micros": found.cost_micros,
            "bound_micros": found.bound_micros,
            "apart_micros": found.apart_micros,
            "apart_no_place": found.apart_unplaced,
        }
        why = [text for one in found.periods for text in one.why]
        document({**sums, "periods": periods, "orders": purchases(found), "no_place": why}, output)
        return
    money = money_of(found.currency)
    for row in periods:
        cost, bound = row.pop("cost_micros"), row.pop("bound_micros")
        row |= {"cost": money(cost), "at_least": "" if bound is None else money(bound)}
    emit(periods, output, fields=PERIODS)
    if orders := purchases(found):
        emit(orders, output, title="what to order")
    total = f"{money(found.cost_micros)} in all"
    if found.bound_micros is not None:
        total += f"; no sequence of plans costs less than {money(found.bound_micros)}"
    note(total)
    for text in (*(text for one in found.periods for text in one.why), *told(found)):
        note(f"note: {text}")  # fmt: skip

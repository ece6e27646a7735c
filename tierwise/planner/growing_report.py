"""A plan of growth in rows and as a report: what to order by when, and what each period costs."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from catalog.wording import counted
from chargeback.money import Rounding, divided, split
from chargeback.report import Cell, Chart, Column, Kind, Report, Shape, Table
from tierwise.planner.growing import GrowthPlan, Period
from tierwise.planner.unpriced import ADD

_MICROS = 10**6
_MIB_PER_GIB = 1024


def rows(found: GrowthPlan) -> list[dict[str, Any]]:
    """One row a period."""
    return [
        {
            "from": one.begin.isoformat(),
            "months": one.months,
            "machines": one.machines,
            "no_place": one.unplaced,
            "hosts": sum(one.hosts.values()),
            "buy": sum(one.bought.values()),
            "order_by": one.order_by.isoformat() if one.bought else "",
            "give_up": sum(one.given_up.values()),
            "displaced": one.displaced,
            "put_out": one.put_out,
            "cost_micros": one.cost_micros,
            "bound_micros": one.bound_micros,
        }
        for one in found.periods
    ]


def purchases(found: GrowthPlan) -> list[dict[str, Any]]:
    """One row an order."""
    return [
        {
            "order_by": one.order_by.isoformat(),
            "needed_from": one.begin.isoformat(),
            "hosts": block,
            "count": count,
        }
        for one in found.periods
        for block, count in one.bought.items()
    ]


def growth_report(found: GrowthPlan, title: str) -> Report:
    """The report; amounts in whole units of the currency, that add up."""
    asked, last = found.asked, found.periods[-1]
    months = last.last_month
    total = _whole(found.cost_micros)
    costs = split(total, [one.cost_micros for one in found.periods])
    return Report(
        name=f"growth-{found.scenario}",
        title=title,
        subtitle=f"{found.scenario}, {counted(months, 'month')} from {found.periods[0].begin}, {asked.percent_per_month} % a month",
        currency=found.currency,
        minor_digits=0,
        total_minor=total,
        total_title=f"Cost of {counted(months, 'month')}",
        tables=(_periods(found, costs), _orders(found)),
        charts=tuple(_charts(found)),
        facts=(
            ("machines at the end", f"{last.machines:,}, {last.unplaced:,} without a place"),
            ("hosts bought", f"{sum(sum(one.bought.values()) for one in found.periods):,}"),
            ("no sequence of plans costs less than", _bound(found)),
        ),
        notes=tuple(_notes(found)),
    )


def _whole(micros: int) -> int:
    return divided(micros, _MICROS, Rounding.HALF_UP)


def _bound(found: GrowthPlan) -> str:
    if found.bound_micros is None:
        return "not known, as machines have no place that could have one"
    part = Fraction(found.cost_micros - found.bound_micros, max(1, found.cost_micros))
    return f"{found.currency} {_whole(found.bound_micros):,} ({float(100 * part):.1f} % less)"


def _periods(found: GrowthPlan, costs: list[int]) -> Table:
    columns = (
        Column("from", "From"),
        Column("machines", "Machines at end", Kind.COUNT),
        Column("no_place", "No place", Kind.COUNT),
        Column("hosts", "Hosts", Kind.COUNT),
        Column("buy", "Buy", Kind.COUNT, adds=True),
        Column("give_up", "Give up", Kind.COUNT, adds=True),
        Column("cost", "Cost", Kind.MONEY, adds=True),
        Column("bound", "At least", Kind.MONEY),
    )
    table: tuple[tuple[Cell, ...], ...] = tuple(
        (
            one.begin.isoformat(),
            one.machines,
            one.unplaced,
            sum(one.hosts.values()),
            sum(one.bought.values()),
            sum(one.given_up.values()),
            cost,
            None if one.bound_micros is None else _whole(one.bound_micros),
        )
        for one, cost in zip(found.periods, costs, strict=True)
    )
    return Table("Period by period", columns, table)


def _orders(found: GrowthPlan) -> Table:
    columns = (
        Column("order_by", "Order by"),
        Column("needed_from", "Needed from"),
        Column("hosts", "Hosts"),
        Column("count", "How many", Kind.COUNT, adds=True),
    )
    return Table("What to order", columns, tuple(tuple(row.values()) for row in purchases(found)))


def _charts(found: GrowthPlan) -> Iterator[Chart]:
    labels = tuple(one.begin.isoformat()[:7] for one in found.periods)
    pools = [name for name in found.periods[0].hosts if any(one.hosts.get(name) for one in found.periods)]
    hosts = tuple((name, tuple(one.hosts.get(name, 0) for one in found.periods)) for name in pools)
    yield Chart("Hosts by pool", labels, hosts, Shape.STACKED, Kind.COUNT)
    if len(labels) > 1:
        for resource, title, unit in (("memory_mib", "Memory, GiB", _MIB_PER_GIB), ("vcpu", "vCPU", 1)):
            ends = [one.room.get(resource, (0, 0)) for one in found.periods]
            series = (
                ("room after a failure", tuple(has // unit for _, has in ends)),
                ("must run", tuple(needs // unit for needs, _ in ends)),
            )
            yield Chart(f"{title}, over all pools", labels, series, Shape.LINES, Kind.COUNT)


def _notes(found: GrowthPlan) -> Iterator[str]:
    for one in found.periods:
        yield from (f"{one.begin}: {text}" for text in one.why)
    yield from told(found)


def told(found: GrowthPlan) -> Iterator[str]:
    """What a planner should know of how it was made."""
    late = [one for one in found.periods if _late(found, one)]
    if late:
        yield (
            f"hosts take {counted(found.asked.lead_months, 'month')} to come: none are bought for the periods from "
            f"{', '.join(str(one.begin) for one in late)}"
        )
    for what in dict.fromkeys(what for one in found.periods for what in one.unpriced):
        yield f"{what}; {ADD}"
    yield "each period has room for what runs at its end; machines that have a place stay there, hosts once given up are gone"
    for one in found.periods:
        if one.early:
            yield f"{one.begin}: {counted(one.early, 'host', 'is', 'are')} bought before it runs, as one bought later costs more"
        if one.displaced:
            yield f"{one.begin}: {counted(one.displaced, 'machine')} to move from where they were until then, as others would have no place"
        if one.put_out:
            yield f"{one.begin}: of those without a place {one.put_out:,} had one until then, which others have now"
    yield (
        "at least: no plan of the period by itself costs less, with all machines free to be elsewhere and all hosts of today "
        "there"
    )
    if found.apart_micros is not None:
        saved = _whole(found.apart_micros - found.cost_micros)
        yield (
            f"hosts and moves are chosen knowing all periods: that saves {found.currency} {saved:,} beside buying in each "
            "period what is cheapest for it alone"
        )
    elif found.apart_unplaced:
        yield (
            f"hosts and moves are chosen knowing all periods: buying and giving up in each what is cheapest for it alone would "
            f"leave {counted(found.apart_unplaced, 'machine')} more without a place"
        )
    elif len(found.periods) > 1:
        yield "what is cheapest for each period by itself was the cheapest that was found for all of them together, too"


def _late(found: GrowthPlan, one: Period) -> bool:
    return one.first_month <= found.asked.lead_months

"""A forecast as a report: when pools are full and of what, how likely N+1 holds, and the bands of demand."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction

from catalog.resources import ResourceClass
from catalog.wording import counted
from chargeback.report import Cell, Chart, Column, Kind, Report, Shape, Table
from placement.forecast.document import ForecastDocument
from placement.forecast.result import Forecast, Full, PoolForecast

POOLS_DRAWN = 6
"""So many pools have charts: those that are full first. Tables have all."""
POINTS_MAX = 37
"""So many times a chart has at most: a month each of three years."""
ROWS_MAX = 13
"""So many times a table for readers has at most."""
_HALF = Fraction(1, 2)
_N_PLUS_1_LEAST = 0.95
_NAMES = {
    ResourceClass.VCPU: "vCPU",
    ResourceClass.MEMORY_MIB: "memory, GiB",
    ResourceClass.DISK_GIB: "disk, GiB",
}
_UNITS = {ResourceClass.VCPU: 1, ResourceClass.MEMORY_MIB: 1024, ResourceClass.DISK_GIB: 1}


def forecast_report(
    found: Forecast, question: ForecastDocument, *, name: str, every_time: bool = False
) -> Report:
    """The report; with `every_time` the bands at all times, for spreadsheets, else at so many as a reader takes."""
    pools = sorted(found.pools, key=_first_full)
    full = [one for one in pools if _share(one.full.not_full) <= _HALF]
    times = range(len(found.days)) if every_time else _times(found, ROWS_MAX)
    return Report(
        name=f"forecast-{name}",
        title="When are we full?",
        subtitle=f"{counted(found.months, 'month')} from {found.start}, {found.runs:,} runs with seed {found.seed}",
        currency="",
        minor_digits=0,
        total_minor=len(full),
        total_title=f"Pools full within {counted(found.months, 'month')} in half of the runs or more, of {len(pools)}",
        tables=(_pools(found, pools), _bands(found, pools, times, every=every_time)),
        charts=tuple(_charts(found, pools[:POOLS_DRAWN])),
        facts=tuple((one.pool, _said(found, one)) for one in pools[:POOLS_DRAWN]),
        notes=tuple(_notes(found, question, pools, every_time=every_time)),
    )


def _first_full(pool: PoolForecast) -> tuple[float, float, str]:
    return pool.full.not_full, pool.full.p50_months or 0.0, pool.pool


def _share(probability: float) -> Fraction:
    return Fraction(probability).limit_denominator(10**6)


def _times(found: Forecast, most: int) -> list[int]:
    """Positions of times, evenly apart, with the first and the last."""
    last = len(found.days) - 1
    if last < most:
        return list(range(last + 1))
    return [round(Fraction(i * last, most - 1)) for i in range(most)]


def _on(found: Forecast, months: float | None) -> str:
    return "" if months is None else found.on(months).isoformat()


def _day(found: Forecast, t: int) -> str:
    return (found.start + timedelta(days=found.days[t])).isoformat()


def _until(found: Forecast, pool: PoolForecast) -> str:
    days = pool.n_plus_1_until(_N_PLUS_1_LEAST, found.days)
    return "" if days is None else (found.start + timedelta(days=days)).isoformat()


def _said(found: Forecast, pool: PoolForecast) -> str:
    full, binding = pool.full, pool.binding
    until = _until(found, pool)
    safe = (
        f"N+1 holds with 95 % until {until}" if until else "N+1 does not hold with 95 % even at the start"
    )
    if binding is None:
        return f"not full in any run; {safe}"
    when = _on(found, full.p50_months)
    likely = (
        f"half of the runs are full by {when}" if when else f"full in {1 - full.not_full:.0%} of the runs"
    )
    return f"{likely}, first of {_NAMES[binding].split(',')[0]}; {safe}"


def _pools(found: Forecast, pools: Sequence[PoolForecast]) -> Table:
    columns = (
        Column("pool", "Pool"),
        Column("binds", "Full first of"),
        Column("p10", "1 in 10 by"),
        Column("p50", "Half by"),
        Column("p90", "9 in 10 by"),
        Column("not_full", "Not full, %"),
        Column("n_plus_1_until", "N+1 until"),
        Column("n_plus_1_end", "N+1 at end", Kind.SHARE),
    )
    return Table("When pools are full", columns, tuple(_pool_row(found, one) for one in pools))


def _pool_row(found: Forecast, pool: PoolForecast) -> tuple[Cell, ...]:
    full: Full = pool.full
    return (
        pool.pool,
        _NAMES[pool.binding].split(",")[0] if pool.binding else "",
        _on(found, full.p10_months),
        _on(found, full.p50_months),
        _on(found, full.p90_months),
        f"{100 * full.not_full:.1f} ({100 * full.not_full_low:.1f} to {100 * full.not_full_high:.1f})",
        _until(found, pool),
        _share(pool.n_plus_1[-1]),
    )


def _bands(found: Forecast, pools: Sequence[PoolForecast], times: Sequence[int], *, every: bool) -> Table:
    """Readers get what charts show; spreadsheets get the mean too, and how likely all that is asked for fits."""
    columns = [
        Column("pool", "Pool"),
        Column("resource", "Resource"),
        Column("day", "Day"),
        Column("p10", "1 in 10 below", Kind.COUNT),
        Column("p50", "Median", Kind.COUNT),
        Column("p90", "9 in 10 below", Kind.COUNT),
        Column("limit", "Room", Kind.COUNT),
        Column("n_plus_1", "N+1 holds", Kind.SHARE),
    ]
    if every:
        columns += [Column("mean", "Mean", Kind.COUNT), Column("fits", "Fits", Kind.SHARE)]
    rows = tuple(
        _band_row(found, pool, rc, t)[: len(columns)]
        for pool in pools
        for rc in ResourceClass
        if _asked(pool, rc)
        for t in times
    )
    return Table("Demand through time", tuple(columns), rows, band="pool")


def _band_row(found: Forecast, pool: PoolForecast, rc: ResourceClass, t: int) -> tuple[Cell, ...]:
    band = pool.demand[rc]
    return (
        pool.pool,
        rc.value,
        _day(found, t),
        band.p10[t],
        band.p50[t],
        band.p90[t],
        pool.limit[rc],
        _share(pool.n_plus_1[t]),
        band.mean[t],
        _share(pool.fits[t]),
    )


def _asked(pool: PoolForecast, rc: ResourceClass) -> bool:
    return any(pool.demand[rc].p90)


def _charts(found: Forecast, pools: Sequence[PoolForecast]) -> Iterator[Chart]:
    times = _times(found, POINTS_MAX)
    labels = tuple(_day(found, t)[:7] for t in times)
    likely = tuple((one.pool, tuple(round(100 * one.n_plus_1[t]) for t in times)) for one in pools)
    for pool in pools:
        for rc in ResourceClass:
            if _asked(pool, rc):
                yield _demand(pool, rc, labels, times)
    yield Chart("N+1 holds, percent of the runs", labels, likely, Shape.LINES, Kind.COUNT)


def _demand(pool: PoolForecast, rc: ResourceClass, labels: tuple[str, ...], times: Sequence[int]) -> Chart:
    band, unit = pool.demand[rc], _UNITS[rc]
    series = (
        ("9 runs in 10 below", tuple(band.p90[t] // unit for t in times)),
        ("median", tuple(band.p50[t] // unit for t in times)),
        ("1 run in 10 below", tuple(band.p10[t] // unit for t in times)),
        ("room", (pool.limit[rc] // unit,) * len(times)),
    )
    return Chart(f"{pool.pool}: {_NAMES[rc]}", labels, series, Shape.LINES, Kind.COUNT)


def _notes(
    found: Forecast, question: ForecastDocument, pools: Sequence[PoolForecast], *, every_time: bool
) -> Iterator[str]:
    yield (
        "a pool is full when its demand is first above its room, which is what is left when the hosts that it keeps and "
        "the pieces that packing loses are taken off"
    )
    yield "1 in 10 by: the day by which one run in ten is full; N+1 until: the last day on which it holds in 95 % of the runs"
    yield f"in brackets: where the true share of this model lies, in 95 of 100 forecasts of {found.runs:,} runs"
    if len(pools) > POOLS_DRAWN:
        yield f"charts show the {POOLS_DRAWN} pools that are full first; tables have all {len(pools)}"
    if not every_time and len(found.days) > ROWS_MAX:
        yield f"the table has {ROWS_MAX} of {len(found.days)} times, charts {POINTS_MAX}; the .xlsx has all"
    yield from (f"assumed: {one.path}: {one.value} ({one.means})" for one in question.assumed)

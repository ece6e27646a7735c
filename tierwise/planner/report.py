"""What a run of a document answered, as a report that is read by those who decide.

Amounts are in whole units of the currency. The parts of a sum are rounded so that they add up to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from catalog.wording import counted, first_few
from chargeback.money import Rounding, divided, split
from chargeback.report import Cell, Chart, Column, Kind, Report, Shape, Table
from tierwise.planner.analysis import BreakEven, Pareto, Point, Sensitivity
from tierwise.planner.diff import break_even as month_of
from tierwise.planner.diff import difference, holds, missing, percent, tib, why
from tierwise.planner.document import WhatIf
from tierwise.planner.result import NO_POOL, SUNK, ScenarioResult, WhatIfResult

MICROS = 10**6
_MOVES_SHOWN = 5000
"""Moves of one scenario that a report lists; more are in the result's file."""

_BESIDE = 6
"""Scenarios whose terms stand beside those of today in one table."""
_LINES = 12
"""Lines of one chart that can be told apart."""

Analysis = Sensitivity | BreakEven | Pareto


def report(result: WhatIfResult, analyses: Sequence[Analysis] = ()) -> Report:
    """The report of a result, with what its savings hang on."""
    every = (result.today, *result.scenarios)
    # The document's first scenario is the one it is about; later ones may be risks, which are no choices.
    first = next(iter(result.scenarios), result.today)
    saving = (result.today.cost_micros - first.cost_micros) * 12
    named = ", ".join(one.name for one in result.scenarios)
    return Report(
        name=f"whatif-{result.document}",
        title=result.title or result.document,
        subtitle=f"{counted(result.months, 'month')} from {result.start}: today{', ' if named else ''}{named}",
        currency=result.currency,
        minor_digits=0,
        total_minor=_whole(Fraction(saving, result.months)),
        total_title=f"Saved per year by {first.name}" if first is not result.today else "Saved per year",
        tables=tuple(_tables(result, every, analyses)),
        charts=tuple(_charts(result, every, analyses)),
        facts=tuple(_facts(every)),
        notes=tuple(_notes(result, every, analyses)),
    )


def report_of(found: Analysis, currency: str, document: WhatIf) -> Report:
    """The report of one analysis."""
    table = _analysis_table(found)
    total = _headline(found)
    return Report(
        name=f"whatif-{document.name}-{type(found).__name__.lower()}",
        title=document.title or document.name,
        subtitle=f"{table.title}, {counted(document.months, 'month')} from {document.start}",
        currency=currency,
        minor_digits=0,
        total_minor=_whole(total[1]),
        total_title=total[0],
        tables=(table,),
        charts=tuple(_analysis_chart(found)),
        notes=tuple(_said(found)),
    )


def _headline(found: Analysis) -> tuple[str, int]:
    """What is saved, or what is lost; never a saving below zero."""
    if isinstance(found, Sensitivity):
        scenario, when, saved = found.scenario, "as assumed", found.saving_micros
    elif isinstance(found, Pareto):
        scenario, when, saved = found.scenario, "with all its moves", found.steps[-1].saving_micros
    else:
        scenario, when = found.first, "where the range begins"
        saved = found.points[0].better_micros if found.points else 0
    return f"{'Lost' if saved < 0 else 'Saved'} by {scenario} {when}", abs(saved)


def _whole(micros: Fraction | int) -> int:
    """Millionths in whole units of the currency, half up."""
    exact = Fraction(micros)
    return divided(exact.numerator, exact.denominator * MICROS, Rounding.HALF_UP)


def _parts(parts: Mapping[str, int], total_micros: int) -> dict[str, int]:
    """The parts of a cost in whole units that add up to the cost in whole units."""
    return dict(zip(parts, split(_whole(total_micros), list(parts.values())), strict=True))


def _facts(every: Sequence[ScenarioResult]) -> Iterator[tuple[str, str]]:
    for one in every[1:]:
        room = f"N+k holds: {holds(one)}"
        yield one.name, f"{counted(len(one.moves), 'move')}; {one.unplaced:,} impossible; {room}"


def _tables(
    result: WhatIfResult, every: Sequence[ScenarioResult], analyses: Sequence[Analysis]
) -> Iterator[Table]:
    yield _overview(every)
    yield from _terms(every)
    if any(one.recovered_micros is not None for one in every):
        yield _recovery(every)
    yield _pools(every)
    if any(one.licences for one in every):
        yield _licences(every)
    if any(one.unplaced for one in every):
        yield _impossible(every)
    yield _rooms(every)
    for one in result.scenarios:
        if one.moves:
            yield _flows(result.today, one)
    for analysis in analyses:
        yield _analysis_table(analysis)
    for one in result.scenarios:
        if one.moves:
            yield _moves(one)


def _overview(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("cost_per_year", "Cost per year", Kind.MONEY),
        Column("sunk_per_year", "Of it sunk", Kind.MONEY),
        Column("proven", "Proven within"),
        Column("moves", "Moves", Kind.COUNT),
        Column("moves_bound", "At least", Kind.COUNT),
        Column("copied", "To copy"),
        Column("hosts", "Hosts", Kind.COUNT),
        Column("impossible", "Impossible", Kind.COUNT),
        Column("holds", "N+k holds"),
        Column("break_even", "Break-even"),
        Column("confidence", "Confidence", Kind.SHARE),
        Column("saved_per_year", "Saved per year", Kind.MONEY),
    )
    today = every[0]
    return Table("", columns, tuple(_overview_row(one, today) for one in every))


def _overview_row(one: ScenarioResult, today: ScenarioResult) -> tuple[Cell, ...]:
    year = Fraction(12, one.months)
    return (
        one.name,
        _whole(one.cost_micros * year),
        _whole(one.sunk_micros * year),
        percent(one.gap),
        len(one.moves),
        one.moves_bound if one.moves_bound or not one.moves else None,
        tib(one.copied_mib),
        sum(host.kept + host.bought for host in one.hosts),
        one.unplaced,
        holds(one),
        month_of(one) if one is not today else "",
        Fraction(one.confidence.value).limit_denominator(1000),
        _whole((today.cost_micros - one.cost_micros) * year) if one is not today else None,
    )


def _terms(every: Sequence[ScenarioResult]) -> Iterator[Table]:
    """Today beside the scenarios, as many at a time as a page has room for."""
    today, *scenarios = every
    for first in range(0, max(len(scenarios), 1), _BESIDE):
        shown = (today, *scenarios[first : first + _BESIDE])
        columns = (
            Column("term", "Cost by term, over the horizon"),
            *(Column(one.name, one.name, Kind.MONEY, adds=True) for one in shown),
        )
        parts = [_parts(one.terms, one.cost_micros) for one in shown]
        names = dict.fromkeys(name for one in parts for name in one)
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (name, *(one.get(name, 0) for one in parts)) for name in names
        )
        names_shown = dict.fromkeys((shown[1].name, shown[-1].name)) if first else {}
        more = f" ({' to '.join(names_shown)})" if first else ""
        yield Table(f"What it is made of{more}", columns, rows)


def _recovery(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("tier", "Tier"),
        Column("machines", "Machines", Kind.COUNT),
        Column("cost", "Cost", Kind.MONEY),
        Column("recovered", "Recovered", Kind.MONEY),
        Column("unrecovered", "Unrecovered", Kind.MONEY),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in every:
        machines: dict[str, int | None] = {tier.tier: tier.machines for tier in one.tiers}
        costs = {tier.tier: tier.cost_micros for tier in one.tiers}
        if one.sunk_micros:
            machines[SUNK], costs[SUNK] = None, one.sunk_micros
        known = {tier.tier: tier.recovered_micros or 0 for tier in one.tiers}
        recovered = {SUNK: 0, **_parts(known, one.recovered_micros or 0)}
        for name, cost in _parts(costs, one.cost_micros).items():
            rows.append((one.name, name, machines[name], cost, recovered[name], cost - recovered[name]))
    return Table("What tiers cost and recover, over the horizon", columns, tuple(rows), band="scenario")


def _pools(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("pool", "Pool"),
        Column("tier", "Tier"),
        Column("hypervisor", "Hypervisor"),
        Column("site", "Site"),
        Column("machines", "Machines", Kind.COUNT),
        Column("kept", "Hosts kept", Kind.COUNT),
        Column("bought", "Bought", Kind.COUNT),
        Column("given_up", "Given up", Kind.COUNT),
        Column("closed", "Closed"),
        Column("cost", "Cost", Kind.MONEY),
    )
    rows = tuple(
        (
            one.name,
            pool.pool,
            pool.tier,
            pool.hypervisor,
            pool.site,
            pool.machines,
            pool.hosts_kept,
            pool.hosts_bought,
            pool.hosts_given_up,
            pool.closed,
            _whole(pool.cost_micros),
        )
        for one in every
        for pool in one.pools
    )
    return Table("What runs where", columns, rows, band="scenario")


def _licences(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("product", "Product"),
        Column("scope", "For"),
        Column("alternative", "Licensed as"),
        Column("units", "Units", Kind.COUNT),
        Column("packs", "Packs", Kind.COUNT),
        Column("rule", "Counted"),
        Column("cost", "Cost", Kind.MONEY),
    )
    rows = tuple(
        (
            one.name,
            licence.product,
            licence.scope,
            licence.alternative,
            licence.units,
            licence.packs,
            licence.rule,
            _whole(licence.cost_micros),
        )
        for one in every
        for licence in one.licences
    )
    return Table("Licences", columns, rows, band="scenario")


def _impossible(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("machines", "Machines", Kind.COUNT),
        Column("names", "Such as"),
        Column("conflict", "Together they cannot all hold"),
    )
    rows = tuple(
        (
            one.name,
            stranded.machines,
            first_few(stranded.names),
            "; ".join(stranded.conflict or map(str, stranded.reasons)),
        )
        for one in every
        for stranded in one.stranded
    )
    return Table("What becomes impossible", columns, rows, band="scenario")


def _rooms(every: Sequence[ScenarioResult]) -> Table:
    columns = (
        Column("scenario", "Scenario"),
        Column("pool", "Pool"),
        Column("resource", "Resource"),
        Column("losses", "Hosts lost", Kind.COUNT),
        Column("without", "Room then", Kind.COUNT),
        Column("restarting", "Must run", Kind.COUNT),
        Column("used", "Used", Kind.SHARE),
        Column("verdict", "Holds"),
    )
    rows = tuple(
        (
            one.name,
            room.pool,
            room.resource_class,
            room.losses,
            room.without_losses,
            room.restarting,
            Fraction(room.restarting, room.without_losses) if room.without_losses else None,
            "yes" if room.holds else f"no: {missing(room)} short",
        )
        for one in every
        for room in one.rooms
        if room.capacity or room.load
    )
    return Table("Room after a failure", columns, rows, band="scenario")


def _flows(today: ScenarioResult, one: ScenarioResult) -> Table:
    columns = (
        Column("source", "From"),
        Column("target", "To"),
        Column("machines", "Machines", Kind.COUNT, adds=True),
        Column("copied", "To copy"),
    )
    found = difference(today, one).flows
    rows = tuple(
        (flow.source or NO_POOL, flow.target, flow.machines, tib(flow.copied_mib)) for flow in found
    )
    return Table(f"Moves of {one.name}", columns, rows)


def _moves(one: ScenarioResult) -> Table:
    columns = (
        Column("machine", "Machine"),
        Column("id", "Id"),
        Column("source", "From"),
        Column("target", "To"),
        Column("copy_gib", "GiB to copy", Kind.COUNT),
        Column("cost", "Cost", Kind.MONEY),
    )
    rows = tuple(
        (
            move.name,
            move.machine,
            move.source or NO_POOL,
            move.target,
            -(-move.copy_mib // 1024),
            _whole(move.cost_micros),
        )
        for move in one.moves[:_MOVES_SHOWN]
    )
    return Table(f"Machines that {one.name} moves", columns, rows)


def _analysis_table(analysis: Analysis) -> Table:
    if isinstance(analysis, Sensitivity):
        return _tornado(analysis)
    return _places(analysis) if isinstance(analysis, BreakEven) else _steps(analysis)


def _tornado(found: Sensitivity) -> Table:
    columns = (
        Column("knob", f"If this is {found.percent} % less or more"),
        Column("less", "Saved if less", Kind.MONEY),
        Column("more", "Saved if more", Kind.MONEY),
        Column("swing", "Swing", Kind.MONEY),
    )
    rows = tuple(
        (
            one.knob,
            None if one.less_micros is None else _whole(one.less_micros),
            None if one.more_micros is None else _whole(one.more_micros),
            _whole(one.width_micros),
        )
        for one in found.swings
    )
    return Table(f"What the saving of {found.scenario} hangs on", columns, rows)


def _places(found: BreakEven) -> Table:
    columns = (
        Column("percent", f"{found.knob}, in percent", Kind.NUMBER),
        Column("machines", "Machines", Kind.COUNT),
        Column("vcpus", "vCPU", Kind.COUNT),
        Column("first", found.first, Kind.MONEY),
        Column("second", found.second, Kind.MONEY),
        Column("better", "Cheaper"),
    )
    rows = tuple(
        (
            format(point.percent.normalize(), "f"),
            point.machines,
            point.vcpus,
            _whole(point.first_micros),
            _whole(point.second_micros),
            _cheaper(found, point),
        )
        for point in found.points
    )
    return Table(f"{found.first} or {found.second}", columns, rows)


def _steps(found: Pareto) -> Table:
    columns = (
        Column("limit", "At most so many moves", Kind.COUNT),
        Column("moves", "Moves", Kind.COUNT),
        Column("saving", "Saved", Kind.MONEY),
        Column("impossible", "Impossible", Kind.COUNT),
    )
    rows = tuple(
        (one.limit, one.moves, None if found.leaves_out(one) else _whole(one.saving_micros), one.unplaced)
        for one in found.steps
    )
    return Table(f"The first moves of {found.scenario}", columns, rows)


def _charts(
    result: WhatIfResult, every: Sequence[ScenarioResult], analyses: Sequence[Analysis]
) -> Iterator[Chart]:
    parts = [_parts(one.terms, one.cost_micros) for one in every]
    names = tuple(dict.fromkeys(name for one in parts for name in one if any(p.get(name) for p in parts)))
    series = tuple((name, tuple(one.get(name, 0) for one in parts)) for name in names)
    yield Chart("Cost over the horizon, by term", tuple(one.name for one in every), series)
    flows = [one for one in result.scenarios if one.cash is not None]
    if flows and result.months > 1:
        months = tuple(str(n) for n in range(1, result.months + 1))
        lines = tuple(
            (one.name, tuple(_whole(micros) for micros in one.cash.cumulative_micros))
            for one in flows[:_LINES]
            if one.cash is not None
        )
        of = f", of the first {_LINES} scenarios" if len(flows) > _LINES else ""
        yield Chart(f"Saved against today, by the end of each month{of}", months, lines, Shape.LINES)
    for analysis in analyses:
        yield from _analysis_chart(analysis)


def _analysis_chart(analysis: Analysis) -> Iterator[Chart]:
    if isinstance(analysis, Sensitivity):
        swings = [one for one in analysis.swings if one.width_micros][:10]
        sides = (
            (f"{analysis.percent} % less", [one.less_micros for one in swings]),
            (f"{analysis.percent} % more", [one.more_micros for one in swings]),
        )
        series = tuple(
            (
                name,
                tuple(0 if micros is None else _whole(micros - analysis.saving_micros) for micros in side),
            )
            for name, side in sides
        )
        title = f"Saving of {analysis.scenario}: change if an assumption alone is wrong"
        yield Chart(title, tuple(one.knob for one in swings), series, Shape.GROUPED)
    elif isinstance(analysis, BreakEven):
        labels = tuple(f"{point.percent.normalize():+f} %" for point in analysis.points)
        lines = (
            (analysis.first, tuple(_whole(point.first_micros) for point in analysis.points)),
            (analysis.second, tuple(_whole(point.second_micros) for point in analysis.points)),
        )
        yield Chart(f"Cost as {analysis.knob} changes", labels, lines, Shape.LINES)
    else:
        whole = [one for one in analysis.steps if not analysis.leaves_out(one)]
        labels = tuple(f"{one.moves:,}" for one in whole)
        saved = (("saved", tuple(_whole(one.saving_micros) for one in whole)),)
        yield Chart(f"Saved by the first moves of {analysis.scenario}", labels, saved, Shape.LINES)


def _notes(
    result: WhatIfResult, every: Sequence[ScenarioResult], analyses: Sequence[Analysis]
) -> Iterator[str]:
    for one in every:
        yield from (f"{one.name} changes: {text}" for text in one.changes)
        yield from (f"{one.name}, impossible: {text}" for text in why(one))
        yield from (f"{one.name}, cheaper if: {text}" for text in one.binding)
        yield from (f"{one.name}: {text}" for text in one.notes)
        yield f"{one.name}, confidence {one.confidence.value:.0%}: {'; '.join(one.confidence.reasons)}"
        if len(one.moves) > _MOVES_SHOWN:
            yield f"{one.name}: the first {_MOVES_SHOWN:,} of {len(one.moves):,} moves are listed; the result's file has all"
    for analysis in analyses:
        yield from _said(analysis)
    if any(one.moves_bound for one in result.scenarios):
        yield "at least: no plan that costs no more and leaves no more machines without a place moves fewer"
    yield from result.notes
    yield "amounts are rounded to whole units of the currency so that the parts of a sum add up to it"


def _said(analysis: Analysis) -> Iterator[str]:
    if isinstance(analysis, BreakEven):
        yield from crossings(analysis)
    if isinstance(analysis, Pareto):
        left = [one for one in analysis.steps if analysis.leaves_out(one)]
        if left:
            yield (
                f"with {counted(left[-1].limit, 'move')} or fewer, {counted(left[-1].unplaced, 'machine')} or more have no place: "
                "what they cost is missing, not saved"
            )
        if never := analysis.steps[-1].unplaced:
            yield f"with all its moves, {counted(never, 'machine', 'has', 'have')} no place: what they would cost is in no row"
    if isinstance(analysis, Sensitivity) and analysis.unplaced:
        yield (
            f"{counted(analysis.unplaced, 'machine', 'has', 'have')} no place: "
            "what they would cost is in no row"
        )
    errors = (
        [text for one in analysis.swings for text in one.errors]
        if isinstance(analysis, Sensitivity)
        else analysis.errors
    )
    yield from (f"not answered: {text}" for text in errors)


def crossings(found: BreakEven) -> Iterator[str]:
    """Where two scenarios change places, in words."""
    same = f"{found.first} and {found.second} cost the same"
    for before, after in found.crossings:
        name = _cheaper(found, after)
        between = f"{before.percent.normalize():f} % and {after.percent.normalize():f} %"
        size = f"{counted(after.machines, 'machine')}, {after.vcpus:,} vCPU"
        said = f"{name} is cheaper" if name else same
        yield f"{said} from between {between} of {found.knob} on ({size})"
    if not found.crossings and found.points:
        name = _cheaper(found, found.points[0])
        yield f"{f'{name} is cheaper' if name else same} over the whole range of {found.knob}"


def _cheaper(found: BreakEven, point: Point) -> str:
    """Which of the two; nothing where they cost the same."""
    return {1: found.first, 0: "", -1: found.second}[point.side]

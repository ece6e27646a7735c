"""Several results beside each other: the rows of the table that a planner decides by."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from catalog.base import Value
from catalog.wording import counted
from tierwise.planner.result import MIB_PER_TIB, SUNK, TODAY, Room, ScenarioResult, Stranded, WhatIfResult

Money = Callable[[int], str]
Row = dict[str, str]
_UNITS = {"vcpu": "vCPU", "memory_mib": "TiB memory", "disk_gib": "TiB disk"}


class TermChange(Value):
    """One term of the cost, in two results."""

    term: str
    before_micros: int
    after_micros: int


class Flow(Value):
    """Machines that go from one pool to another."""

    source: str
    target: str
    machines: int
    copied_mib: int


class Difference(Value):
    """What changes from one result to another."""

    before: str
    after: str
    before_micros: int
    after_micros: int
    terms: tuple[TermChange, ...]
    tiers: tuple[TermChange, ...]
    """By tier in the place of the term."""
    recovered: tuple[TermChange, ...] = ()
    """What machines are charged, by tier; empty: nobody says what tiers charge."""
    unrecovered: tuple[TermChange, ...] = ()
    """Cost less that, by tier, with `sunk` beside the tiers; empty where `recovered` is."""
    flows: tuple[Flow, ...]
    moves_bound: int
    """Of `after`, where `before` is today: no plan that costs no more moves fewer machines; else 0."""
    stranded: int
    """Of `after`."""
    hosts_bought: int
    """That `after` has and `before` does not, of each kind."""
    hosts_given_up: int
    """That `before` has and `after` does not."""

    @property
    def change_micros(self) -> int:
        """After less before."""
        return self.after_micros - self.before_micros


def difference(before: ScenarioResult, after: ScenarioResult) -> Difference:
    """What changes from `before` to `after`."""
    moved: Counter[tuple[str, str]] = Counter()
    copied: Counter[tuple[str, str]] = Counter()
    there, then = ({one.machine: one.target for one in result.moves} for result in (before, after))
    for one in {one.machine: one for one in (*before.moves, *after.moves)}.values():
        flow = there.get(one.machine, one.source), then.get(one.machine, one.source)
        if flow[0] != flow[1]:
            moved[flow] += 1
            copied[flow] += one.copy_mib
    were, are = ({one.block: one.kept + one.bought for one in result.hosts} for result in (before, after))
    more = {block: are.get(block, 0) - were.get(block, 0) for block in {**were, **are}}
    return Difference(
        before=before.name,
        after=after.name,
        before_micros=before.cost_micros,
        after_micros=after.cost_micros,
        terms=_changes(before.terms, after.terms),
        tiers=_changes(
            {one.tier: one.cost_micros for one in before.tiers},
            {one.tier: one.cost_micros for one in after.tiers},
        ),
        recovered=_changes(_charged(before), _charged(after)),
        unrecovered=_changes(_uncharged(before), _uncharged(after)),
        flows=tuple(
            Flow(source=a, target=b, machines=n, copied_mib=copied[a, b])
            for (a, b), n in sorted(moved.items())
        ),
        moves_bound=after.moves_bound if before.name == TODAY else 0,
        stranded=after.unplaced,
        hosts_bought=sum(max(0, n) for n in more.values()),
        hosts_given_up=sum(max(0, -n) for n in more.values()),
    )


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[TermChange, ...]:
    return tuple(
        TermChange(term=term, before_micros=before.get(term, 0), after_micros=after.get(term, 0))
        for term in dict.fromkeys((*before, *after))
    )


def _charged(one: ScenarioResult) -> dict[str, int]:
    return {tier.tier: tier.recovered_micros for tier in one.tiers if tier.recovered_micros is not None}


def _uncharged(one: ScenarioResult) -> dict[str, int]:
    """All of the cost that nobody is charged for, part by part; empty: nobody says what tiers charge."""
    if one.recovered_micros is None:
        return {}
    rest = {tier.tier: tier.cost_micros - (tier.recovered_micros or 0) for tier in one.tiers}
    return {**rest, SUNK: one.sunk_micros} if one.sunk_micros else rest


def table(result: WhatIfResult, money: Money) -> list[Row]:
    """One row a question, one column a result."""
    results = (result.today, *result.scenarios)
    names = [TODAY, *(one.name for one in result.scenarios)]
    return [
        {"": label, **dict(zip(names, (tell(one) for one in results), strict=True))}
        for label, tell in _questions(result, money)
    ]


def _questions(result: WhatIfResult, money: Money) -> Iterator[tuple[str, Callable[[ScenarioResult], str]]]:
    yield "cost per year", lambda one: money(one.cost_per_year_micros)
    if any(one.sunk_micros for one in (result.today, *result.scenarios)):
        yield "of it sunk", lambda one: money(one.sunk_micros * 12 // one.months)
    if any(one.unrecovered_micros is not None for one in (result.today, *result.scenarios)):
        yield "recovered per year", lambda one: money((one.recovered_micros or 0) * 12 // one.months)
        yield "unrecovered per year", lambda one: money((one.unrecovered_micros or 0) * 12 // one.months)
    yield "proven within", lambda one: percent(one.gap)
    yield "machines moved", lambda one: f"{len(one.moves):,}"
    if any(one.moves_bound for one in result.scenarios):
        yield "at least, for this cost", fewest_moves
    yield "data to copy", lambda one: tib(one.copied_mib)
    yield "hosts", lambda one: f"{sum(host.kept + host.bought for host in one.hosts):,}"
    yield "impossible", lambda one: f"{one.unplaced:,}"
    yield "N+k holds", holds
    if any(one.cash for one in result.scenarios):
        yield "break-even", break_even
    yield "confidence", lambda one: f"{one.confidence.value:.0%}"


def fewest_moves(one: ScenarioResult) -> str:
    """What no plan moves fewer than that costs no more and leaves no more machines out."""
    return f"{one.moves_bound:,}" if one.moves_bound or not one.moves else "not known"


def percent(gap: Decimal) -> str:
    """How far the cost may be above the best, so that no digit promises too much."""
    return "0 %" if gap <= 0 else f"{(gap * 100).quantize(Decimal('0.001'), rounding='ROUND_UP')} %"


def tib(mib: int) -> str:
    """``3.1 TiB``."""
    return f"{mib / MIB_PER_TIB:,.1f} TiB"


def holds(one: ScenarioResult) -> str:
    """``yes``, or the pool that is shortest of room."""
    if one.holds:
        return "yes"
    worst = one.short[0]
    more = len({room.pool for room in one.short}) - 1
    return f"no: {worst.pool}, {missing(worst)} short" + (f"; {more} more" if more else "")


def missing(room: Room) -> str:
    """What a pool lacks, in a unit for people."""
    amount = max(-room.left, room.load - room.capacity)
    if room.resource_class == "memory_mib":
        return tib(amount) if amount >= MIB_PER_TIB // 10 else f"{-(-amount // 1024):,} GiB memory"
    if room.resource_class == "disk_gib":
        return f"{amount:,} GiB disk"
    return f"{amount:,} {_UNITS.get(room.resource_class, room.resource_class)}"


def break_even(one: ScenarioResult) -> str:
    """``month 9``, or that it never comes within the horizon; a plan that leaves machines out is not paid for by that."""
    if one.cash is None:
        return ""
    month = one.cash.break_even_month
    without = f", without {one.unplaced:,}" if one.unplaced else ""
    return (
        f"month {month}{without}"
        if month is not None
        else f"not in {counted(one.months, 'month')}{without}"
    )


def why(one: ScenarioResult) -> list[str]:
    """Why machines have no place: as many as share the same reasons together, most first."""
    alike: Counter[tuple[str, ...]] = Counter()
    for stranded in one.stranded:
        alike[facts_against(stranded)] += stranded.machines
    return [
        f"{counted(count, 'machine')}: {'; '.join(conflict)}"
        for conflict, count in sorted(alike.items(), key=lambda item: (-item[1], item[0]))
    ]


def facts_against(one: Stranded) -> tuple[str, ...]:
    """Why machines have no place, and what would help, where that is known."""
    helps = (f"would help: {one.would_help}",) if one.would_help else ()
    return (*(one.conflict or _by_reason(one)), *helps)


def _by_reason(one: Stranded) -> tuple[str, ...]:
    """Each reason once, with the pools that have it."""
    pools: dict[str, list[str]] = {}
    for reason in one.reasons:
        pools.setdefault(reason.why, []).append(reason.pool)
    return tuple(f"{text} ({', '.join(names)})" for text, names in pools.items())


def licences(one: ScenarioResult, money: Money) -> Iterator[str]:
    """What each product costs a year, and in which ways it is bought; how each was counted is in the licences themselves."""
    found: dict[str, dict[str, int]] = {}
    for licence in one.licences:
        ways = found.setdefault(licence.product, {})
        ways[licence.alternative] = ways.get(licence.alternative, 0) + licence.cost_micros
    for product, ways in found.items():
        if any(ways.values()):
            parts = [
                f"{name} {money(micros * 12 // one.months)}" for name, micros in ways.items() if micros
            ]
            yield f"licences of {product} a year: {', '.join(parts)}"


def rows(results: Sequence[ScenarioResult]) -> list[dict[str, object]]:
    """One row a result, in numbers: for spreadsheets."""
    return [
        {
            "scenario": one.name,
            "title": one.title,
            "cost_micros": one.cost_micros,
            "cost_per_year_micros": one.cost_per_year_micros,
            "sunk_micros": one.sunk_micros,
            "recovered_micros": one.recovered_micros,
            "unrecovered_micros": one.unrecovered_micros,
            "bound_micros": one.bound_micros,
            "machines": one.machines,
            "moved": len(one.moves),
            "moves_bound": one.moves_bound,
            "copied_mib": one.copied_mib,
            "impossible": one.unplaced,
            "hosts_kept": sum(host.kept for host in one.hosts),
            "hosts_bought": sum(host.bought for host in one.hosts),
            "hosts_given_up": sum(pool.hosts_given_up for pool in one.pools),
            "holds": one.holds,
            "break_even_month": one.cash.break_even_month if one.cash else None,
            "confidence": one.confidence.value,
        }
        for one in results
    ]

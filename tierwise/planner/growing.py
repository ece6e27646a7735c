"""Growth as a plan: which hosts to buy when, so that the machines of each period have room.

A sequence of planning problems, period after period. Hosts that were bought stay bought and are paid for, hosts that
were given up are gone. Machines that have a place stay there; only in a period in which others would have no place
otherwise they may move. First each period is planned as if it were the last one; then again with the hosts that
all periods together want (`placement.planning.horizon`) and with moves borne by all periods that they serve. Of those
that leave the fewest machines without a place the cheapest is taken; where one has none that a period by itself has
a place for, also with all hosts kept that any later period by itself uses. What no sequence costs less than is proven
of all periods.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np

from catalog.estates.model import MIB_PER_GIB
from catalog.wording import counted
from chargeback.economics.trace import MissingFigure, Span, later
from placement.arrays import Int64
from placement.plan import Limits
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem
from placement.planning.solve import solve
from tierwise.errors import InvalidInput
from tierwise.planner.build import Built, build
from tierwise.planner.document import Scenario, WhatIf
from tierwise.planner.growing_ahead import Guide, guided, lasting, moves_borne_later, possible, proven
from tierwise.planner.growing_prices import Purchases
from tierwise.planner.growing_rows import Rows
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.pricing import moves_from
from tierwise.planner.rooms import DISK
from tierwise.planner.selecting import MachineSelector
from tierwise.planner.unpriced import unpriced
from tierwise.planner.world import Block, Growth, Stream, World

_MOST_PERCENT = 10_000
"""As of a `growth` change: an estate grows at most a hundredfold."""
_REASONS = 3
"""Of those against a place, so many are told."""


@dataclass(frozen=True)
class Asked:
    """How machines grow, and when hosts can come."""

    percent_per_month: Decimal
    """Of all machines, compounded."""
    every_months: int = 3
    """Hosts are bought at the beginning of each period of so many months, for all that comes within it."""
    lead_months: int = 0
    """From an order to a host that runs: earlier than so many months after the start none can come."""

    def __post_init__(self) -> None:
        """Raises InvalidInput for what is no growth."""
        if not (self.percent_per_month.is_finite() and 0 <= self.percent_per_month <= 100):
            msg = f"--percent: {self.percent_per_month} percent a month must be from 0 to 100"
            raise InvalidInput(msg)

    def grown_percent(self, months: int) -> Decimal:
        """By how much there is more at the end of so many months, rounded to a millionth of a percent."""
        factor = (1 + Fraction(self.percent_per_month) / 100) ** months
        return Decimal(round((factor - 1) * 10**8)) / 10**6


@dataclass(frozen=True, eq=False)
class Period:
    """What is decided at the beginning of some months, and what these months cost."""

    begin: date
    first_month: int
    """1 is the first month of the horizon."""
    months: int
    order_by: date
    machines: int
    """At its end, placed or not."""
    unplaced: int
    hosts: Mapping[str, int]
    """Pool -> hosts."""
    bought: Mapping[str, int]
    """Block of hosts -> bought at its beginning."""
    given_up: Mapping[str, int]
    cost_micros: int
    """Of these months."""
    bound_micros: int | None
    """No plan of this period by itself costs less; None where such a plan places other machines than this one."""
    room: Mapping[str, tuple[int, int]]
    """Resource -> what must run after a failure, and what is there then, over all pools."""
    why: tuple[str, ...] = ()
    """Why machines have no place."""
    displaced: int = 0
    """Machines that had a place in the period before and have another one now, as others would have none otherwise."""
    put_out: int = 0
    """Machines that had a place in the period before and have none now: others have it."""
    unpriced: tuple[str, ...] = ()
    """What it has or does that counts as nothing, as the economics document has no price for it."""
    early: int = 0
    """Of the hosts bought, those that only a later period runs, when they would cost more."""

    @property
    def last_month(self) -> int:
        """The last one that is part of it."""
        return self.first_month + self.months - 1


@dataclass(frozen=True, eq=False)
class GrowthPlan:
    """All periods of the horizon."""

    scenario: str
    asked: Asked
    currency: str
    periods: tuple[Period, ...]
    apart_micros: int | None = None
    """What it came to with each period planned as if it were the last one; None where that is how it was planned, or where
    fewer machines had a place so."""
    apart_unplaced: int = 0
    """So many machines more had no place at the end of some period with each planned as if it were the last one."""
    proven_micros: int | None = None
    """No sequence of plans costs less, as all periods together prove; None where they do not."""

    @property
    def cost_micros(self) -> int:
        """Of the whole horizon."""
        return sum(one.cost_micros for one in self.periods)

    @property
    def bound_micros(self) -> int | None:
        """No sequence of plans costs less; None where neither periods by themselves nor all together prove any."""
        each = [one.bound_micros for one in self.periods]
        apart = [] if None in each else [sum(micros for micros in each if micros is not None)]
        together = [] if self.proven_micros is None else [self.proven_micros]
        return max((*apart, *together), default=None)


@dataclass
class _State:
    """What earlier periods leave: hosts of today that are still there, hosts bought, and who is where."""

    kept: dict[str, int]
    bought: dict[str, dict[int, int]] = field(default_factory=dict)
    """Block -> period -> hosts."""
    opened: dict[str, int] = field(default_factory=dict)
    """Pool -> the first period in which it has a host."""
    placed: dict[str, Int64] = field(default_factory=dict)


def plan_growth(prepared: Prepared, scenario: Scenario, asked: Asked, limits: Limits) -> GrowthPlan:
    """The plan of a scenario that grows.

    Raises InvalidInput where the economics document lacks a figure, and for growth to more than a hundredfold.
    """
    horizon = prepared.document.months
    grown = asked.grown_percent(horizon)
    if grown > _MOST_PERCENT:
        msg = (
            f"--percent: {asked.percent_per_month} percent a month come to {grown:,.0f} percent in {horizon} months, more than "
            f"{_MOST_PERCENT:,}; say less, or shorten the horizon"
        )
        raise InvalidInput(msg)
    every = _Horizon.of(prepared, scenario, asked, limits)
    apart = every.sequence(None)
    found = GrowthPlan(scenario.name, asked, prepared.economics.currency, tuple(apart))
    if len(apart) == 1:
        return found
    every.fewest = [min(one.unplaced, out) for one, out in zip(apart, every.fewest, strict=True)]
    out, months = every.fewest, [one.months for one in apart]
    wanted = guided(every.frees, months, out, limits, every.purchases)
    best = apart
    if wanted is not None:
        # Places that fit all periods may not be the cheapest where no plan of all was proven to be.
        guides = [wanted[0], *([replace(wanted[0], places=())] if wanted[0].places else [])]
        best = min(best, *map(every.sequence, guides), key=_worth)
    if any(one.unplaced > left for one, left in zip(best, out, strict=True)):
        best = min(best, every.sequence(lasting(every.frees, every.relaxed, months)), key=_worth)
    fewer = max(one.unplaced - there.unplaced for one, there in zip(apart, best, strict=True))
    micros = sum(one.cost_micros for one in best)
    cheaper = found.cost_micros if not fewer and micros < found.cost_micros else None
    found = replace(found, periods=tuple(best), apart_micros=cheaper, apart_unplaced=fewer)
    each = [(one.unplaced, one.cost_micros) for one in found.periods]
    ahead = None if wanted is None else wanted[1]
    if ahead is not None and ahead.staying and any(one.displaced for one in best):
        ahead = replace(ahead, bound_micros=None)
    bound = proven(every.frees, months, each, limits, ahead)
    return replace(found, proven_micros=None if bound is None else min(bound, found.cost_micros))


def _worth(periods: Sequence[Period]) -> tuple[int, int, int]:
    """Months of machines without a place, the cost, and machines that move from the place they had: the less, the better."""
    return (
        sum(one.unplaced * one.months for one in periods),
        sum(one.cost_micros for one in periods),
        sum(one.displaced for one in periods),
    )


@dataclass(eq=False)
class _Horizon:
    """All periods of what is asked."""

    prepared: Prepared
    asked: Asked
    limits: Limits
    spans: Sequence[tuple[int, int]]
    """First month and number of months of each period."""
    worlds: Sequence[World]
    begin: Built
    """The first period."""
    frees: Sequence[Built]
    """With all hosts of today, and such prices of hosts that all together prove a bound (`Purchases.together`)."""
    purchases: Purchases
    relaxed: Sequence[PlanningPlan]
    """The best plan of each period by itself."""
    fewest: Sequence[int]
    """The fewest machines without a place that any plan of each period is known to leave."""

    @classmethod
    def of(cls, prepared: Prepared, scenario: Scenario, asked: Asked, limits: Limits) -> "_Horizon":
        changed, months = prepared.changed(changes_of(scenario)), prepared.document.months
        spans = [
            (first, min(asked.every_months, months - first + 1))
            for first in range(1, months + 1, asked.every_months)
        ]
        worlds = [_at(changed, asked, prepared.document.start, *span) for span in spans]
        periods = [_built(prepared, world, *span) for world, span in zip(worlds, spans, strict=True)]
        first = sum(month <= asked.lead_months for month, _ in spans)
        purchases = Purchases(periods, [_span(prepared.document, *span) for span in spans], first)
        with _figures_of(prepared):
            apart, together = purchases.apart(), purchases.together()
        frees = [replace(one, problem=problem) for one, problem in zip(periods, together, strict=True)]
        relaxed = [solve(_free(one) if t else periods[0].problem, limits) for t, one in enumerate(apart)]
        fewest = [int(plan.unplaced.sum()) for plan in relaxed]
        return cls(prepared, asked, limits, spans, worlds, periods[0], frees, purchases, relaxed, fewest)

    def sequence(self, guide: Guide | None) -> list[Period]:
        """Period after period, each as if it were the last one, or as all together want it."""
        state = _State({one.id: one.existing for one in self.worlds[0].blocks})
        periods = []
        for t, (span, world) in enumerate(zip(self.spans, self.worlds, strict=True)):
            built = _built(self.prepared, self._with_hosts(world, state, t), *span) if t else self.begin
            wanted = guide.places[t] if guide is not None and guide.places else {}
            rows = Rows.of(built.problem.groups, state.placed, wanted)
            plan, later_micros = self._solved(t, built, rows, guide, state)
            made = _period(self.prepared, self.asked, built, plan, self.relaxed[t], span)
            periods.append(
                replace(
                    made,
                    cost_micros=made.cost_micros + later_micros,
                    displaced=rows.moved(plan),
                    put_out=rows.put_out(plan),
                    unpriced=tuple(
                        unpriced(built, plan.counts, plan.hosts, built.machines.current[rows.group])
                    ),
                )
            )
            _leave(built, plan, rows, state, t)
            if guide is not None and guide.early:
                periods[t] = self._bought_early(t, built, plan, periods[t], guide.early[t], state)
        return periods

    def _bought_early(
        self,
        t: int,
        built: Built,
        plan: PlanningPlan,
        made: Period,
        wanted: Mapping[str, int],
        state: _State,
    ) -> Period:
        """With hosts that only a later period runs, bought now as they get dearer."""
        for b, block in enumerate(built.room.blocks):
            there = state.bought.get(block.id, {})
            could = int(built.room.most[b]) - max(int(plan.hosts[b]), block.existing)
            more = min(could, wanted.get(block.id, 0) - sum(there.values()))
            if block.paid or block.today or more <= 0:
                continue
            state.bought.setdefault(block.id, {})[t] = there.get(t, 0) + more
            micros = more * sum(self.purchases.host(block, t, t).bought.values())
            made = replace(
                made,
                hosts={**made.hosts, block.pool: made.hosts[block.pool] + more},
                bought={**made.bought, block.id: made.bought.get(block.id, 0) + more},
                early=made.early + more,
                cost_micros=made.cost_micros + micros,
            )
        return made

    def _with_hosts(self, world: World, state: _State, t: int) -> World:
        """Hosts that were given up are gone; those that were bought are there, and paid for."""
        blocks: list[Block] = []
        for one in world.blocks:
            existing, bought = state.kept[one.id], state.bought.get(one.id, {})
            gone = one.existing - existing
            most = max(existing, one.most - gone - sum(bought.values()))
            blocks.append(replace(one, existing=existing, most=most))
            for orders in self.purchases.orders(one, bought, t):
                name, count = f"{one.id} bought {orders[0][0]}", sum(hosts for _, hosts in orders)
                there = replace(one, id=name, existing=count, most=count, paid=True, today=0, orders=orders)
                blocks.append(there)
        opened = {
            name: replace(pool, opened_on=self.purchases.spans[state.opened[name]].start)
            if name in state.opened
            else pool
            for name, pool in world.pools.items()
        }
        return replace(world, blocks=tuple(blocks), pools=opened)

    def _solved(
        self, t: int, built: Built, rows: Rows, guide: Guide | None, state: "_State"
    ) -> tuple[PlanningPlan, int]:
        """A plan, and what its moves cost beyond what it says."""
        if guide is None and not t:
            return self.relaxed[0], 0
        found: list[tuple[PlanningPlan, int]] = []
        for problem, moves in self._ways(t, built, rows, guide, state):
            plan = possible(problem, self.limits)
            if plan is not None:
                found.append((plan, moves_borne_later(problem, moves, plan)))
                if int(plan.unplaced.sum()) <= self.fewest[t]:
                    return found[-1]
        if not found:
            return solve(rows.problem(built.problem, None), self.limits), 0
        return min(found, key=lambda one: int(one[0].unplaced.sum()))

    def _ways(
        self, t: int, built: Built, rows: Rows, guide: Guide | None, state: "_State"
    ) -> Iterator[tuple[PlanningProblem, Int64 | None]]:
        """Problems of a period, the wanted one first, and what a move costs; each may place more than the one before."""
        staying = rows.problem(built.problem, None)
        if guide is None:
            yield staying, None
        else:
            bought = {name: sum(hosts.values()) for name, hosts in state.bought.items()}
            wanted = guide.held(t, built, staying, bought)
            yield wanted, staying.groups.move_cost
            # Averages may want too few hosts: then more are bought.
            yield (
                replace(wanted, blocks=replace(wanted.blocks, most=staying.blocks.most)),
                staying.groups.move_cost,
            )
        if (rows.at >= 0).any():
            moves = self._moves(t, built, rows)
            free = rows.problem(built.problem, moves)
            if guide is None:
                yield free, None
            else:
                wanted = guide.held(t, built, free, bought)
                yield replace(wanted, blocks=replace(wanted.blocks, most=free.blocks.most)), moves

    def _moves(self, t: int, built: Built, rows: Rows) -> Int64:
        """[R, P] what moving a machine costs from where it is; what came since today copies all of its disk."""
        machines, group = built.machines, rows.group
        copy_mib = machines.copy_mib.copy()
        came = slice(machines.of_estate, None)
        copy_mib[came] = (machines.demand[:, DISK] * MIB_PER_GIB * machines.count)[came]
        origin = np.where(rows.at >= 0, rows.at, machines.current[group])
        start = later(self.prepared.document.start, self.spans[t][0] - 1)
        with _figures_of(self.prepared):
            return moves_from(
                built.economics,
                built.world,
                built.room,
                origin,
                copy_mib[group],
                machines.count[group],
                start,
            )


@contextmanager
def _figures_of(prepared: Prepared) -> Iterator[None]:
    """Raises InvalidInput for a figure that the economics document lacks."""
    try:
        yield
    except MissingFigure as error:
        msg = f"{prepared.document.economics}: {error}"
        raise InvalidInput(msg) from None


def _span(document: WhatIf, first: int, months: int) -> Span:
    return Span(later(document.start, first - 1), months, on_day=document.start.day)


def _built(prepared: Prepared, world: World, first: int, months: int) -> Built:
    document = prepared.document.model_copy(
        update={"start": later(prepared.document.start, first - 1), "months": months}
    )
    with _figures_of(prepared):
        return build(
            world,
            prepared.groups,
            prepared.economics,
            prepared.classes,
            document,
            on_day=prepared.document.start.day,
        )


def _at(world: World, asked: Asked, start: date, first: int, months: int) -> World:
    """The world of a period: all that has come by its end, and what can be bought by its beginning.

    What is bought for certain is bought at the start.
    """
    last = first + months - 1
    percent = asked.grown_percent(last)
    growth = (*world.growth, Growth(MachineSelector(), percent, 0)) if percent else world.growth
    blocks = world.blocks
    if first <= asked.lead_months:
        blocks = tuple(replace(one, most=one.existing) for one in blocks)
    blocks = tuple(replace(one, orders=((start, one.existing),)) if one.paid else one for one in blocks)
    streams = tuple(_come(one, last) for one in world.streams if one.first_month <= last)
    return replace(world, growth=growth, streams=streams, blocks=blocks)


def _come(stream: Stream, last: int) -> Stream:
    """All machines of a stream by a month, as if they came in the period's first: they cost for all of it."""
    until = min(stream.last_month or last, last)
    count = stream.per_month * (until - stream.first_month + 1)
    return replace(stream, per_month=count, first_month=1, last_month=1)


def _free(problem: PlanningProblem) -> PlanningProblem:
    """The same without what moves cost: whoever moved, may have done so before."""
    return replace(problem, groups=replace(problem.groups, move_cost=None))


def _leave(built: Built, plan: PlanningPlan, rows: Rows, state: _State, t: int) -> None:
    """What the next period begins with."""
    state.placed = rows.placed(built.problem.groups, plan)
    for p in built.problem.blocks.pool_of[plan.hosts > 0].tolist():
        state.opened.setdefault(built.problem.pools.ids[p], t)
    for b, block in enumerate(built.room.blocks):
        hosts, existing = int(plan.hosts[b]), int(built.room.existing[b])
        if block.paid:
            continue  # Paid for, whether or not the plan makes use of it.
        # Lost hosts are taken off once more by the next period; those of a closed pool are gone.
        lost = 0 if block.pool in built.world.closed else built.world.blocks[b].existing - existing
        state.kept[block.id] = min(hosts, existing) + lost
        if hosts > existing:
            state.bought.setdefault(block.id, {})[t] = hosts - existing


def _period(
    prepared: Prepared,
    asked: Asked,
    built: Built,
    plan: PlanningPlan,
    relaxed: PlanningPlan,
    when: tuple[int, int],
) -> Period:
    first, months = when
    begin = later(prepared.document.start, first - 1)
    hosts: dict[str, int] = dict.fromkeys(built.problem.pools.ids, 0)
    bought, given_up = {}, {}
    for b, block in enumerate(built.room.blocks):
        count, existing = int(plan.hosts[b]), int(built.room.existing[b])
        hosts[block.pool] += max(count, existing) if block.paid else count
        if count > existing:
            bought[block.id] = count - existing
        was = built.world.blocks[b].existing if block.pool in built.world.closed else existing
        if count < was and not block.paid:
            given_up[block.id] = was - count
    same = int(plan.unplaced.sum()) == int(relaxed.unplaced.sum())
    room: dict[str, tuple[int, int]] = {}
    for one in plan.headroom:
        needs, has = room.get(one.resource_class, (0, 0))
        room[one.resource_class] = (needs + one.restarting, has + one.without_losses)
    return Period(
        begin=begin,
        first_month=first,
        months=months,
        order_by=later(prepared.document.start, first - 1 - asked.lead_months),
        machines=int(built.machines.count.sum()),
        unplaced=int(plan.unplaced.sum()),
        hosts=hosts,
        bought=bought,
        given_up=given_up,
        cost_micros=plan.cost_micros,
        bound_micros=relaxed.bound_micros if same else None,
        room=room,
        why=(*_why(plan), *_too_early(asked, plan, first)),
    )


def _too_early(asked: Asked, plan: PlanningPlan, first: int) -> Iterator[str]:
    """That no host could be bought, where machines have no place: then what stands against them may be that alone."""
    if plan.impossible and first <= asked.lead_months:
        yield (
            f"no host can be bought before month {asked.lead_months + 1}: orders take {counted(asked.lead_months, 'month')}; "
            "order earlier, or let machines come or leave their hosts later"
        )


def _why(plan: PlanningPlan) -> Iterator[str]:
    """How many machines have no place, by what stands against it."""
    found: dict[str, int] = {}
    for one in plan.impossible:
        reasons = tuple(dict.fromkeys(f"{reason.pool}: {reason.why}" for reason in one.reasons))
        text = "; ".join(reasons[:_REASONS]) or "no room is left, with all hosts that there could be"
        found[text] = found.get(text, 0) + one.machines
    for text, count in found.items():
        yield f"{counted(count, 'machine')} without a place: {text}"

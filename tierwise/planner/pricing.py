"""What hosts, machines, pools and moves cost in a world: columns of integers, and the lines that they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from math import lcm
from operator import mul

import numpy as np

from chargeback.economics.costing import (
    HostCost,
    HostFacts,
    Line,
    OpenCost,
    PoolFacts,
    host_costs,
    move_cost,
    open_costs,
    unit_costs,
)
from chargeback.economics.document import Economics
from chargeback.economics.trace import Span
from placement.amounts import half_up
from placement.arrays import Int64
from tierwise.planner.grouping import RESOURCES
from tierwise.planner.rooms import Rooms
from tierwise.planner.world import Block, PoolState, World

MIB_PER_TIB = 1024 * 1024
Terms = Mapping[str, Int64]


@dataclass(frozen=True)
class MovePrice:
    """What moving a machine from one pool to another costs, before a scenario's `factor` of it."""

    per_machine_micros: int
    per_tib_micros: int
    factor: Fraction

    def of(self, copy_mib: int) -> int:
        """Of a machine that copies so much."""
        return int(self.of_mean(np.array([copy_mib], dtype=np.int64), np.ones(1, dtype=np.int64))[0])

    def of_mean(self, copy_mib: Int64, count: Int64) -> Int64:
        """[G] of one machine, where so many copy so much together; what it copies is rounded up to the micro-unit."""
        each = -(-copy_mib.astype(object) * self.per_tib_micros // (count.astype(object) * MIB_PER_TIB))
        return _scaled((each + self.per_machine_micros).astype(np.int64), self.factor)


@dataclass(frozen=True, eq=False)
class Prices:
    """All costs over the horizon, in micro-units."""

    kept: Terms
    """[B] of one host."""
    bought: Terms
    """[B] of one host on top."""
    open: Terms
    """[P]"""
    machine: Terms
    """[G, P] of one machine."""
    move: Int64
    """[G, P] of one machine, each taken to copy the mean of its group."""
    move_prices: Mapping[tuple[int, int], MovePrice]
    """From pool, to pool -> what a machine costs; pools that nothing runs in have no way from them."""
    sunk: Mapping[str, int]
    """Term -> what is paid whatever is decided."""
    host_lines: tuple[tuple[Line, ...], ...]
    """[B] what a host's costs are made of."""
    pool_lines: tuple[tuple[Line, ...], ...]
    """[P] what the pool's own costs and those of its machines are made of."""
    move_lines: Mapping[tuple[int, int], tuple[Line, ...]]
    """By the same pairs."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them, each kind of host, pool and pair of pools once."""
        several = (*self.host_lines, *self.pool_lines, *self.move_lines.values())
        return tuple(line for lines in several for line in lines)


def pool_facts(pool: PoolState) -> PoolFacts:
    """A pool as economics documents see it."""
    like = pool.like
    return PoolFacts(
        name=like.name, hypervisor=like.hypervisor.value, site=like.site, tier=like.tier, region=like.region
    )


def host_facts(block: Block, pool: PoolState) -> HostFacts:
    """A host as economics documents see it."""
    return HostFacts(
        hypervisor=pool.like.hypervisor.value,
        pool=pool.like.name,
        site=pool.like.site,
        model=block.model,
        sockets=block.sockets,
        cores=block.cores,
        memory_mib=block.memory_mib,
        region=pool.like.region,
    )


def prices(
    economics: Economics,
    world: World,
    room: Rooms,
    demand: Int64,
    current: Int64,
    copy_mib: Int64,
    count: Int64,
    span: Span,
) -> Prices:
    """The costs of all that could be. `copy_mib` is what all machines of a group have to copy, `current` [G] is by pool.

    Raises MissingFigure.
    """
    maker = _Maker(economics, world, room, span)
    maker.hosts()
    maker.pools(demand)
    move = maker.moves(current, copy_mib, count)
    return Prices(
        kept=maker.kept,
        bought=maker.bought,
        open=maker.open,
        machine=maker.machine,
        move=move,
        move_prices=maker.move_prices,
        sunk=dict(sorted(maker.sunk.items())),
        host_lines=tuple(maker.host_lines),
        pool_lines=tuple(maker.pool_lines),
        move_lines=maker.move_lines,
    )


def moves_from(
    economics: Economics,
    world: World,
    room: Rooms,
    current: Int64,
    copy_mib: Int64,
    count: Int64,
    day: date,
) -> Int64:
    """[G, P] what moving one machine costs by the figures of a day; the columns are those of `prices`.

    Raises MissingFigure.
    """
    return _Maker(economics, world, room, Span(day, 1)).moves(current, copy_mib, count)


def host_cost(
    economics: Economics, world: World, block: Block, span: Span, bought_on: date | None
) -> HostCost:
    """What one host of a block costs, as a scenario changes its prices; `bought_on` as in `host_costs`. Raises MissingFigure."""
    pool = world.pools[block.pool]
    cost = host_costs(
        economics, host_facts(block, pool), span.start, span.months, bought_on=bought_on, on_day=span.on_day
    )
    return replace(cost, kept=_factored(world, pool, cost.kept), bought=_factored(world, pool, cost.bought))


def open_cost(economics: Economics, world: World, pool: PoolState, span: Span) -> OpenCost:
    """What it costs that a pool is there at all, as a scenario changes its prices. Raises MissingFigure."""
    cost = open_costs(
        economics, pool_facts(pool), span.start, span.months, opened_on=pool.opened_on, on_day=span.on_day
    )
    return replace(cost, avoidable=_factored(world, pool, cost.avoidable))


def _factored(world: World, pool: PoolState, terms: Mapping[str, int]) -> dict[str, int]:
    return {term: half_up(micros * factor_of(world, pool, term)) for term, micros in terms.items()}


class _Maker:
    def __init__(self, economics: Economics, world: World, room: Rooms, span: Span) -> None:
        self.economics = economics
        self.world = world
        self.room = room
        self.span = span
        self.start, self.months, self.on_day = span.start, span.months, span.on_day
        self.kept: dict[str, Int64] = {}
        self.bought: dict[str, Int64] = {}
        self.open: dict[str, Int64] = {}
        self.machine: dict[str, Int64] = {}
        self.sunk: dict[str, int] = {}
        self.host_lines: list[tuple[Line, ...]] = []
        self.pool_lines: list[tuple[Line, ...]] = []
        self.move_lines: dict[tuple[int, int], tuple[Line, ...]] = {}
        self.move_prices: dict[tuple[int, int], MovePrice] = {}
        self._sizes: dict[tuple[int, ...], tuple[list[list[int]], Int64]] = {}

    def hosts(self) -> None:
        """Of every block. What is bought for certain is sunk, as are hosts that are lost or given up."""
        for b, block in enumerate(self.room.blocks):
            ordered = sum(one.existing for one in self.world.blocks if one.id == block.id)
            orders = block.orders or ((self.start, ordered),)
            costs = [
                host_cost(self.economics, self.world, block, self.span, None if block.today else day)
                for day, _ in orders
            ]
            self.host_lines.append(tuple(line for cost in costs for line in cost.lines))
            for column, terms in ((self.kept, costs[-1].kept), (self.bought, costs[-1].bought)):
                for term, micros in terms.items():
                    self._column(column, term, len(self.room.blocks))[b] = micros
            for cost, (_, count) in zip(costs, orders, strict=True):
                for term, micros in cost.bought.items() if block.paid else ():
                    self._sink(term, count * micros)
            for term, micros in costs[-1].sunk.items():
                self._sink(term, block.today * micros)

    def pools(self, demand: Int64) -> None:
        """Of every pool, and of a machine of each group in it."""
        pools = self.room.pools
        for p, pool in enumerate(pools):
            opening = open_cost(self.economics, self.world, pool, self.span)
            units = unit_costs(
                self.economics, pool_facts(pool), self.start, self.months, on_day=self.on_day
            )
            self.pool_lines.append((*opening.lines, *units.lines))
            for term, micros in opening.avoidable.items():
                self._column(self.open, term, len(pools))[p] = micros
            for term, micros in opening.sunk.items():
                if not pool.new:
                    self._sink(term, micros)
            for term in dict.fromkeys((*units.per_machine, *units.per_unit)):
                exact = self._of_machines(
                    demand, units.per_machine.get(term, 0), units.per_unit.get(term, {})
                )
                column = self.machine.setdefault(term, np.zeros((len(demand), len(pools)), dtype=np.int64))
                column[:, p] = _scaled(exact, self._factor(pool, term))

    def moves(self, current: Int64, copy_mib: Int64, count: Int64) -> Int64:
        """[G, P]; a machine's copy is the mean of its group, rounded up to the micro-unit."""
        found = np.zeros((len(current), len(self.room.pools)), dtype=np.int64)
        facts = [pool_facts(one) for one in self.room.pools]
        for a in sorted({int(p) for p in current if p >= 0}):
            here = current == a
            for p, target in enumerate(facts):
                if p == a:
                    continue
                cost = move_cost(self.economics, facts[a], target, self.start)
                self.move_lines[a, p] = cost.lines
                price = MovePrice(
                    cost.per_machine_micros,
                    cost.per_tib_micros,
                    self._factor(self.room.pools[p], "migration"),
                )
                self.move_prices[a, p] = price
                found[here, p] = price.of_mean(copy_mib[here], count[here])
        return found

    def _of_machines(self, demand: Int64, per_machine: int, per_unit: Mapping[str, Fraction]) -> Int64:
        """Of one machine of each group: its units at their exact price, rounded half up once."""
        if not per_unit:
            return np.full(len(demand), per_machine, dtype=np.int64)
        used = [(RESOURCES.index(name), Fraction(micros)) for name, micros in per_unit.items()]
        sizes, back = self._sizes_of(demand, tuple(k for k, _ in used))
        # Whole numbers over one denominator: fractions would be reduced at every step, which takes most of the time.
        below = lcm(*(micros.denominator for _, micros in used))
        each = [micros.numerator * (below // micros.denominator) for _, micros in used]
        sums = [per_machine * below + sum(map(mul, size, each)) for size in sizes]
        rounded = [(2 * one + below) // (2 * below) for one in sums]
        return np.array(rounded, dtype=np.int64)[back]

    def _sizes_of(self, demand: Int64, ks: tuple[int, ...]) -> tuple[list[list[int]], Int64]:
        """The different amounts of some resources, and which of them each group has; of all pools' demand, which is one."""
        if ks not in self._sizes:
            sizes, back = np.unique(demand[:, ks], axis=0, return_inverse=True)
            self._sizes[ks] = sizes.tolist(), back.reshape(-1)
        return self._sizes[ks]

    def _factor(self, pool: PoolState, term: str) -> Fraction:
        return factor_of(self.world, pool, term)

    def _column(self, columns: dict[str, Int64], term: str, size: int) -> Int64:
        return columns.setdefault(term, np.zeros(size, dtype=np.int64))

    def _sink(self, term: str, micros: int) -> None:
        if micros:
            self.sunk[term] = self.sunk.get(term, 0) + micros


def factor_of(world: World, pool: PoolState, term: str) -> Fraction:
    """What a scenario multiplies the prices of a term on a pool by."""
    factor = Fraction(1)
    for one in world.factors:
        if one.term in {"", term} and (one.pools is None or one.pools.fits(pool.like)):
            factor *= (Fraction(one.percent) + 100) / 100
    return factor


def _scaled(values: Int64, factor: Fraction) -> Int64:
    if factor == 1:
        return values
    found = (values.astype(object) * factor.numerator * 2 + factor.denominator) // (2 * factor.denominator)
    return found.astype(np.int64)

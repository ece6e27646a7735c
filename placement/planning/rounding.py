"""From machines in parts to whole ones: most of them are whole already, the others go where there is room."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.planning import mip
from placement.planning.columns import Columns, Sum
from placement.planning.hardware import factors_of_hosts, units_of_host
from placement.planning.mip import Float64
from placement.planning.model import Model
from placement.planning.seating import Decided, Seating
from placement.planning.shares import machine_weight

_ALMOST = 1e-6


def decided_of(model: Model, values: Float64 | Int64) -> Decided:
    """The whole numbers of what a solver says."""
    whole = np.rint(values).astype(np.int64)
    chosen, parts = [], []
    hosts = whole[model.hosts]
    for scope in model.scopes:
        on = np.flatnonzero(whole[scope.on] > 0)
        a = int(on[0]) if len(on) else -1
        chosen.append(a)
        counted = a >= 0 and bool((scope.hosts[a] >= 0).all())
        parts.append(whole[scope.hosts[a]] if counted else hosts[scope.blocks])
    return Decided(hosts, chosen, parts)


def whole_part(model: Model, values: Float64 | Int64) -> Int64:
    """[G, P] machines, rounded down."""
    there = model.cells >= 0
    found = np.zeros(model.cells.shape, dtype=np.int64)
    found[there] = np.floor(values[model.cells[there]] + _ALMOST).astype(np.int64)
    return found


@dataclass(frozen=True, eq=False)
class Seats:
    """Machines where they cost the least on what is decided, as a linear program."""

    columns: Columns
    cells: Int64
    """[G, P] -1 where none can be. Rows are those of groups, then those of pools one after the other, then that of moves."""
    cost: Int64
    """[G, P] of one machine, with what licences then cost more."""


def seats_of(seating: Seating) -> Seats:
    """Of what is decided."""
    facts, columns = seating.facts, Columns()
    open_to = np.stack([pool.open_to for pool in seating.pools], axis=1) & facts.possible
    count = facts.problem.groups.count
    cells = np.full(open_to.shape, -1, dtype=np.int64)
    g, _ = at = np.nonzero(open_to)
    cells[at] = columns.add(count[g], whole=False)
    cost = facts.cost + _licence_costs(seating)
    columns.cost(cells[at], cost[at])
    out = columns.add(count, whole=False)
    columns.cost(out, np.full(len(count), 4 * int(cost.max(initial=1)) + 1))
    every = np.arange(len(count), dtype=np.int64)
    columns.rows(
        np.concatenate([g, every]),
        np.concatenate([cells[at], out]),
        np.ones(len(g) + len(count), dtype=np.int64),
        count,
        count,
    )
    for p, pool in enumerate(seating.pools):
        here = np.flatnonzero(open_to[:, p])
        for factors, limit in zip(pool.factors, pool.limit.tolist(), strict=True):
            columns.row(Sum(cells[here, p], factors[here], 0), upper=limit)
    if facts.problem.most_moves is not None:
        moved = cells[facts.moved & open_to]
        columns.row(Sum(moved, np.ones_like(moved), 0), upper=facts.problem.most_moves)
    return Seats(columns, cells, cost)


def seat_in_parts(seating: Seating, seconds: float) -> None:
    """Machines where they cost the least on what is decided, by a linear program; of its answer the whole part."""
    seats = seats_of(seating)
    matrix, at = seats.columns.matrix(), seats.cells >= 0
    found = mip.solve(matrix, matrix.terms["cost"], None, mip.Effort(seconds))
    seating.counts[:] = 0
    if found is not None:
        seating.counts[at] = np.floor(found.values[seats.cells[at]] + _ALMOST).astype(np.int64)
    seating.decide(seating.decided)


def _licence_costs(seating: Seating) -> Int64:
    """[G, P] what one machine more costs in licences that depend on machines; packs and covers taken in parts."""
    facts = seating.facts
    found = np.zeros(facts.possible.shape, dtype=np.int64)
    blocks = facts.problem.blocks
    for scope, a in zip(seating.scopes, seating.decided.chosen, strict=True):
        product = facts.problem.products[scope.product]
        if a < 0:
            continue
        way = product.alternatives[a]
        price = int((facts.problem.horizon_hours if way.per_hour else 1) * way.pack_cost)
        if way.of_machines:
            each = machine_weight(facts, way) * price // way.pack_size
            found[:, list(scope.pools)] += (each * product.groups)[:, None]
        elif way.covers is not None:
            units = (units_of_host(blocks, way) * factors_of_hosts(blocks, way))[scope.blocks]
            total = int(units @ seating.decided.hosts[scope.blocks])
            found[:, list(scope.pools)] += (
                product.groups * (total * price // (way.parts * way.pack_size * way.covers))
            )[:, None]
    return found


def seat(seating: Seating, order: Int64) -> None:
    """Machines that wait, group by group, each to the cheapest pools with room."""
    waiting = seating.waiting()
    cost = seating.facts.cost
    for g in order[waiting[order] > 0].tolist():
        for p in np.argsort(cost[g], kind="stable").tolist():
            n = min(int(waiting[g]), seating.room(g, p)) if seating.facts.possible[g, p] else 0
            if n > 0:
                seating.add(g, p, n)
                waiting[g] -= n
            if not waiting[g]:
                break


def unseat_what_breaks(seating: Seating) -> None:
    """Machines out of pools whose rows are broken, those of small groups first, until all hold."""
    for p in range(len(seating.pools)):
        for g in np.flatnonzero(seating.counts[:, p]).tolist():
            if not seating.pools[p].open_to[g]:
                seating.add(g, p, -int(seating.counts[g, p]))
        for g in np.flatnonzero(seating.counts[:, p]).tolist():
            while not seating.pool_holds(p) and seating.counts[g, p]:
                seating.add(g, p, -1)
    for g, p in np.argwhere((seating.counts > 0) & seating.facts.moved).tolist():
        while seating.moves_left < 0 and seating.counts[g, p]:
            seating.add(g, p, -1)


def largest_first(seating: Seating) -> Int64:
    """Groups by the largest share that a machine takes of all that there is."""
    groups = seating.facts.problem.groups
    total = np.maximum(1, (groups.demand * groups.count[:, None]).sum(axis=0))
    found: Int64 = np.argsort(-(groups.demand / total).max(axis=1), kind="stable")
    return found

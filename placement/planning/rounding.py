"""From machines in parts to whole ones: most of them are whole already, the others go where there is room."""

import numpy as np

from placement.arrays import Int64
from placement.planning.mip import Float64
from placement.planning.model import Model
from placement.planning.seating import Decided, Seating

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


def seat(seating: Seating, order: Int64) -> None:
    """Machines that wait, group by group, each to the cheapest pools with room."""
    waiting = seating.waiting()
    cost = seating.facts.cost
    for g in order.tolist():
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

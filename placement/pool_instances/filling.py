"""Stage 2: the relaxation's whole parts, and the rest wherever there is room, cheapest first."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.pool_instances.cells import Cells
from placement.pool_instances.relaxation import Relaxed


def start(cells: Cells, relaxed: Relaxed) -> Int64:
    """Counts [G, P] that keep every rule; a greedy plan where there is no relaxed answer."""
    counts = np.zeros_like(cells.upper)
    if relaxed.counts is not None:
        # A hair below a whole number is that number; what then does not fit is left out by `fill`.
        counts = _kept(cells, np.floor(relaxed.counts + 1e-6).astype(np.int64))
    fill(cells, counts, relaxed.opened)
    fill(cells, counts, np.ones_like(relaxed.opened))
    return counts


def promising(cells: Cells, relaxed: Relaxed, counts: Int64) -> Bool:
    """[G, P] where the relaxed answer puts something, and every opened pool for cells that wait."""
    if relaxed.counts is None:
        return np.zeros(counts.shape, dtype=np.bool_)
    waits = (cells.unplaced(counts) > 0)[:, None] & relaxed.opened
    return ((relaxed.counts > 1e-6) | waits | (counts > 0)) & (cells.upper > 0)


def fill(cells: Cells, counts: Int64, pools: Bool) -> None:
    """Add what waits, largest first, to the cheapest of these pools that have room."""
    free = cells.free(counts)
    total = np.maximum(cells.instance.capacity.sum(axis=0), 1)
    size = (cells.demand / total).max(axis=1)
    waiting = cells.unplaced(counts)
    for g in np.argsort(-size, kind="stable").tolist():
        if not waiting[g]:
            continue
        for p in np.argsort(cells.cost[g], kind="stable").tolist():
            n = min(int(waiting[g]), _room(cells, counts, free, g, p)) if pools[p] else 0
            if n > 0:
                counts[g, p] += n
                waiting[g] -= n
                free[p] -= n * cells.demand[g]


def _kept(cells: Cells, wanted: Int64) -> Int64:
    """As much of the wanted counts as every rule allows."""
    counts = np.zeros_like(wanted)
    free, waiting = cells.free(counts), cells.count.copy()
    for g, p in np.argwhere(wanted > 0).tolist():
        n = min(int(wanted[g, p]), int(waiting[g]), _room(cells, counts, free, g, p))
        if n > 0:
            counts[g, p] += n
            waiting[g] -= n
            free[p] -= n * cells.demand[g]
    return counts


def _room(cells: Cells, counts: Int64, free: Int64, g: int, p: int) -> int:
    """How many more of a cell go into a pool."""
    room = int(min(cells.upper[g, p] - counts[g, p], cells.pool_limit[p] - counts[:, p].sum()))
    needs = cells.demand[g] > 0
    if needs.any():
        room = min(room, int((free[p, needs] // cells.demand[g, needs]).min()))
    if cells.group[g] >= 0:
        group = cells.group == cells.group[g]
        room = min(room, int(cells.group_limit[cells.group[g]] - counts[group, p].sum()))
    return room

"""Counts being decided, with the room that is left; and the moves that never make a plan worse."""

import numpy as np

from placement.arrays import Int64
from placement.model import Model


class Packing:
    """How many of each class are in each pool, kept within every row of the model."""

    def __init__(self, model: Model, counts: Int64 | None = None) -> None:
        self.classes = model.classes
        self.rows = model.packing_rows()
        self.upper = self.rows.upper
        self.counts = np.zeros(model.shape, dtype=np.int64) if counts is None else counts.copy()
        taken = np.zeros(len(self.rows.limit), dtype=np.int64)
        entries = self.rows.coefficient * self.counts.reshape(-1)[self.rows.cell]
        np.add.at(taken, self.rows.row, entries)
        self._slack = self.rows.limit - taken

    @property
    def placed(self) -> int:
        """How many requests have a pool."""
        return int(self.counts.sum())

    @property
    def cost_micros(self) -> int:
        """What the placed requests cost together."""
        return int((self.counts * self.classes.cost).sum())

    def rank(self) -> tuple[int, int, int]:
        """Lower is better: unplaced requests, then cost, then machines that move."""
        staying = int(np.minimum(self.counts, self.classes.current).sum())
        return -self.placed, self.cost_micros, -staying

    def waiting(self, g: int) -> int:
        """How many requests of a class have no pool."""
        return int(self.classes.count[g] - self.counts[g].sum())

    def room(self, g: int) -> Int64:
        """[P] how many more of one class each pool could take, as things stand."""
        rows = self.rows
        entries = slice(rows.start[g], rows.start[g + 1])
        room: Int64 = self.upper[g] - self.counts[g]
        pool = rows.cell[entries] % self.counts.shape[1]
        np.minimum.at(room, pool, self._slack[rows.row[entries]] // rows.coefficient[entries])
        return room

    def add(self, g: int, p: int, n: int) -> None:
        """Put `n` more of one class into a pool; a negative `n` takes them out."""
        rows = self.rows
        first, last = int(rows.start[g]), int(rows.start[g + 1])
        entries = first + np.flatnonzero(rows.cell[first:last] == g * self.counts.shape[1] + p)
        np.subtract.at(self._slack, rows.row[entries], rows.coefficient[entries] * n)
        self.counts[g, p] += n


def fill(packing: Packing, order: Int64) -> int:
    """Place what waits, class by class in `order`, each in its cheapest pool with room; how many."""
    before = packing.placed
    for g in order.tolist():
        waiting = packing.waiting(g)
        if not waiting:
            continue
        room = packing.room(g)
        for p in np.argsort(packing.classes.cost[g], kind="stable").tolist():
            # Rows may join pools, so that room is only certain for the first pool that is used.
            n = min(waiting, int(room[p]))
            if n > 0:
                packing.add(g, p, n)
                waiting -= n
                room = packing.room(g)
    return packing.placed - before


def settle(packing: Packing) -> None:
    """Until nothing changes: move requests to cheaper pools, then home, then to earlier pools.

    Home is where a request runs today. Each single move keeps every row, lowers (cost, machines
    moved, position of the pool) in that order, and so the end is reached whatever the start.
    """
    changed = True
    while changed:
        changed = sum(_settle_class(packing, g) for g in range(len(packing.classes.count))) > 0


def _settle_class(packing: Packing, g: int) -> bool:
    changed = False
    for source in np.flatnonzero(packing.counts[g]).tolist():
        for target in _better(packing, g, source):
            n = min(_movable(packing, g, source, target), int(packing.room(g)[target]))
            if n > 0:
                packing.add(g, source, -n)
                packing.add(g, target, n)
                changed = True
    return changed


def _better(packing: Packing, g: int, source: int) -> list[int]:
    cost, missing = packing.classes.cost[g], packing.classes.current[g] - packing.counts[g]
    order = np.lexsort((missing <= 0, cost))
    return [p for p in order.tolist() if p != source and packing.upper[g, p] and cost[p] <= cost[source]]


def _movable(packing: Packing, g: int, source: int, target: int) -> int:
    cost, current, counts = packing.classes.cost[g], packing.classes.current[g], packing.counts[g]
    if cost[target] < cost[source]:
        return int(counts[source])
    away = max(0, int(counts[source] - current[source]))
    missing = max(0, int(current[target] - counts[target]))
    return away if target < source else min(away, missing)

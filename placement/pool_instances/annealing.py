"""Stage 2: whole counts near the relaxed ones, by exchanging requests between its opened pools.

The relaxed answer, rounded, costs little more than the bound but does not quite fit: nearly every opened
pool is full in several resources at once. So pools may lack what they lack, at a price some times the
worth of one more of it, and what does not fit is exchanged away while the temperature falls.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.pool_instances.cells import Cells
from placement.pool_instances.exchanging import exchange
from placement.pool_instances.kernels import anneal
from placement.pool_instances.relaxation import Relaxed, prices

Float64 = npt.NDArray[np.float64]

_STEPS = 50_000
"""Exchanges tried at one temperature: milliseconds."""
_NEAR = 16
"""Pairs in exchange that are known for each two classes."""
_NEAR_UP_TO = 80
"""Classes; with more, the table of pairs takes longer than it saves."""
NEVER = 1 << 60
"""What counts cost that do not fit."""


@dataclass(frozen=True)
class Heat:
    """How a run cools: temperatures in parts of what a request is worth, prices in times the worth."""

    hot: float = 0.06
    cold: float = 0.004
    price_first: float = 10.0
    price_last: float = 40.0

    def at(self, done: float) -> tuple[float, float]:
        """Temperature and price after a part of the run, from 0 to 1; both change by a steady factor."""
        temperature = self.hot * (self.cold / self.hot) ** done
        return temperature, self.price_first * (self.price_last / self.price_first) ** done


_STIFF = Heat(price_first=200.0, price_last=1000.0)
"""Fits sooner, and where little does; the other often ends cheaper."""


@dataclass(frozen=True, eq=False)
class Annealing:
    """Where runs start, and the tables that all of them read."""

    cells: Cells
    start: Int64
    """[G, P]; pools may lack something."""
    pools: Int64
    """The opened ones."""
    weight: Float64
    """[P, R] what a lack of one costs, at price 1."""
    upper: Int64
    """[G, P] 0 where nobody of the cell should go: the saving elsewhere is more than any exchange brings."""
    near: Int64
    worth_each: Float64
    """[P, R] what one more of a resource would save."""
    worth: float
    """Of the room that a request takes, in units of cost: the scale of temperatures."""

    def run(self, stiff: bool, seed: int, done: Callable[[], float]) -> Int64 | None:
        """Counts [G, P] that fit, or None. `done` tells the part of the run that is over, step by step."""
        cells, heat = self.cells, _STIFF if stiff else Heat()
        counts, best = self.start.copy("C"), self.start.copy("C")
        free, licensed = np.ascontiguousarray(cells.free(counts)), cells.licence @ counts
        state = np.array([(seed + 1) * 2654435761, 0, 0 if free.min() >= 0 else NEVER], dtype=np.int64)
        pack = np.array([cells.instance.licence_pack_vcpus, cells.instance.licence_pack_cost])
        demand = np.concatenate([cells.demand, np.zeros_like(cells.demand[:1])])
        licence = np.append(cells.licence, 0)
        if not counts.any():
            return best
        while (over := done()) < 1.0:
            temperature, price = heat.at(over)
            anneal(
                counts, best, state, free, licensed, demand, licence, cells.cost, self.upper, self.pools,
                self.near, pack, self.weight * price, temperature * self.worth, _STEPS,
            )  # fmt: skip
        return best if state[2] < NEVER else None


def prepare(cells: Cells, relaxed: Relaxed, near: Int64) -> Annealing:
    """The start of all runs, from a relaxed answer that must be there."""
    assert relaxed.counts is not None
    worth_each = prices(cells, relaxed.opened)
    start = rounded(cells, relaxed.counts)
    typical = np.array([np.median(column[column > 0]) if column.any() else 0.0 for column in worth_each.T])
    weight = np.maximum(worth_each, 0.5 * typical)
    weight = np.ascontiguousarray(
        np.maximum(weight, 0.1 * _share(cells))
    )  # The layout is part of the type.
    worth = float((cells.demand @ typical).mean()) or float(cells.cost.mean()) / 100 or 1.0
    pack = cells.instance.licence_pack_cost / cells.instance.licence_pack_vcpus
    full = cells.cost + pack * cells.licence[:, None] + cells.demand @ worth_each.T
    full = np.where((cells.upper > 0) & relaxed.opened, full, np.inf)
    cheap = full <= full.min(axis=1, initial=np.inf)[:, None] + 5 * Heat().hot * worth
    upper = np.where((cheap & np.isfinite(full)) | (start > 0), cells.upper, 0)
    return Annealing(cells, start, np.flatnonzero(relaxed.opened), weight, upper, near, worth_each, worth)


def rounded(cells: Cells, relaxed: Float64) -> Int64:
    """[G, P] the relaxed counts in whole numbers, largest parts up; as few unplaced as whole numbers allow."""
    counts: Int64 = np.floor(relaxed + 1e-6).astype(np.int64)
    part = np.where(cells.upper > counts, relaxed - counts, -1.0)
    total = np.ceil(relaxed.sum(axis=1) - 1e-6).astype(np.int64)
    missing = np.minimum(total, cells.count) - counts.sum(axis=1)
    rank = np.argsort(np.argsort(-part, axis=1, kind="stable"), axis=1, kind="stable")
    counts += (rank < missing[:, None]) & (part >= 0)
    return counts


def warm() -> None:
    """Load the compiled exchanges, or compile them where no process did before."""
    one, table, parts = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1))
    state, pair = np.array([1, 0, 0]), np.zeros(2, dtype=np.int64)
    anneal(table, table, state, table, one, table, one, table, table, one, table, pair, parts, 1.0, 0)
    widths, two = np.array([1, 1, 2]), np.zeros((1, 2), dtype=np.int64)
    exchange(
        table, table, state, table, one, two, table, table, one, pair, parts, parts, parts, 1.0, widths, 0
    )


def near_pairs(cells: Cells) -> Int64:
    """[(G + 1) ** 2, K] for two classes, the second coming for the first: pairs that nearly undo it.

    A pair is class * (G + 1) + class, and G is nobody. What is needed is compared as parts of what all
    classes need, so that no resource's unit counts for more than another's.
    """
    classes = len(cells.count)
    if not 0 < classes <= _NEAR_UP_TO:
        return np.empty(((classes + 1) ** 2, 0), dtype=np.int64)
    pack = cells.instance.licence_pack_cost / cells.instance.licence_pack_vcpus
    needs = np.column_stack([cells.demand * _share(cells), cells.licence * pack / 2])
    needs = np.vstack([needs, np.zeros_like(needs[:1])]).astype(np.float32)
    change = (needs[:, None, :] - needs[None, :, :]).reshape((classes + 1) ** 2, -1)
    first, second = np.divmod(np.arange(len(change)), classes + 1)
    some = min(_NEAR, len(change) - 1)
    found: Int64 = np.empty((len(change), some), dtype=np.int64)
    for c in range(classes + 1):
        mine = np.flatnonzero(first == c)
        distance = np.zeros((len(mine), len(change)), dtype=np.float32)
        for column in change.T:
            distance += np.abs(column[mine][:, None] - column[None, :])
        distance[:, (first == c) | (first == second)] = np.inf
        distance[second[mine][:, None] == second[None, :]] = np.inf
        found[mine] = np.argpartition(distance, some, axis=1)[:, :some]
    return found


def _share(cells: Cells) -> Float64:
    """[R] what one of a resource costs, were requests paid for each resource alike."""
    total = np.maximum(cells.count @ cells.demand, 1)
    spent = float((cells.count * cells.cost.mean(axis=1)).sum())
    share: Float64 = spent / total / len(total)
    return share

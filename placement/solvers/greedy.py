"""A good start at once: several orders of filling cheapest pools first, the best of them kept."""

import numpy as np

from placement.arrays import Int64
from placement.model import Model
from placement.packing import Packing, fill, settle


def start(model: Model) -> Packing:
    """The packing that places the most, then costs the least, of those that simple orders give."""
    best: Packing | None = None
    for order in _orders(model):
        packing = Packing(model)
        polish(packing, order)
        if best is None or packing.rank() < best.rank():
            best = packing
    assert best is not None, "there is always an order"
    return best


def polish(packing: Packing, order: Int64 | None = None) -> None:
    """Fill and settle until neither finds anything: then no request waits beside room it could use."""
    order = np.arange(len(packing.classes.count)) if order is None else order
    fill(packing, order)
    settle(packing)
    while fill(packing, order):
        settle(packing)


def _orders(model: Model) -> list[Int64]:
    """Small first places many; large first packs well; most to lose first is cheap."""
    classes = model.classes
    total = np.maximum(model.problem.free.sum(axis=0), 1)
    size = (classes.demand / total).max(axis=1, initial=0.0)
    cost = np.where(model.packing_rows().upper > 0, classes.cost, np.iinfo(np.int64).max)
    cost = np.sort(cost, axis=1)
    regret = (cost[:, 1] - cost[:, 0]) / np.maximum(size, 1e-12) if cost.shape[1] > 1 else size
    return [np.argsort(key, kind="stable") for key in (size, -size, -regret)]

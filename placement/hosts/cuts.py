"""Inequalities that every packing keeps, in integers.

A cut says: the hosts that are on, each worth `value` [T] by its kind, must together be worth what the
placed requests weigh. Where a host of a kind can never hold more weight than its value, no packing
breaks it. A cut holds for any weights, so those that a linear program suggests need no trust in floating
point.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.hosts.kinds import Kinds

_SUMS_UP_TO = 2**16
"""Capacities up to this are lowered to what sums of demands can reach."""
_STEPS = 48
"""At most so many sizes of a resource are tried as «large»."""


@dataclass(frozen=True, eq=False)
class Cut:
    """`value` [T] of a host of each kind, and `weight` [C] of a request of each shape."""

    value: Int64
    weight: Int64

    def need(self, kinds: Kinds, unplaced: int) -> int:
        """What the hosts must be worth when at most so many requests that fit some host stay out."""
        order = np.argsort(-self.weight, kind="stable")
        before = np.cumsum(kinds.count[order]) - kinds.count[order]
        out = np.clip(unplaced - before, 0, kinds.count[order])
        return int(((kinds.count[order] - out) * self.weight[order]).sum())

    def least_unplaced(self, kinds: Kinds) -> int:
        """No fewer than this stay out even with every host on."""
        lacking = self.need(kinds, 0) - int((self.value * kinds.hosts).sum())
        order = np.argsort(-self.weight, kind="stable")
        out = 0
        for count, weight in zip(kinds.count[order].tolist(), self.weight[order].tolist(), strict=True):
            if lacking <= 0:
                break
            n = min(count, -(-lacking // max(weight, 1)))
            out, lacking = out + n, lacking - n * weight
        return out


def first_cuts(kinds: Kinds) -> list[Cut]:
    """What can be said before any search: volumes, and how many large requests a host can hold."""
    return [*_volumes(kinds), *_large_ones(kinds)]


def priced(kinds: Kinds, price: Int64) -> Cut:
    """The cut of `price` [T, K] >= 0 for each unit of a resource on a kind of host.

    A request weighs what it takes where it is cheapest for it; a host is worth what it has.
    """
    paid = np.einsum("ck,tk->ct", kinds.demand, price)
    weight = np.where(kinds.fits, paid, np.iinfo(np.int64).max).min(axis=1)
    return Cut((price * kinds.capacity).sum(axis=1), weight)


def _volumes(kinds: Kinds) -> Iterator[Cut]:
    for k in range(kinds.demand.shape[1]):
        sizes = kinds.demand[:, k]
        value = [
            _reachable(sizes[kinds.fits[:, t]], int(has)) for t, has in enumerate(kinds.capacity[:, k])
        ]
        yield Cut(np.array(value, dtype=np.int64), sizes)


def _reachable(sizes: Int64, capacity: int) -> int:
    """The largest sum of any number of each of `sizes` that is at most `capacity`, or something above."""
    if capacity > _SUMS_UP_TO:
        return capacity
    reach, mask = 1, (1 << (capacity + 1)) - 1
    for size in {int(size) for size in sizes if 0 < size <= capacity}:
        step = size
        while step <= capacity:  # doubling: after it, any number of this size has been added
            reach |= (reach << step) & mask
            step *= 2
    return reach.bit_length() - 1


def _large_ones(kinds: Kinds) -> Iterator[Cut]:
    for k in range(kinds.demand.shape[1]):
        sizes = np.unique(kinds.demand[:, k])[::-1]
        for size in sizes[:: max(1, len(sizes) // _STEPS)].tolist():
            large = kinds.demand[:, k] >= size
            value = [_most(kinds, large & kinds.fits[:, t], t) for t in range(len(kinds.cost))]
            yield Cut(np.array(value, dtype=np.int64), large.astype(np.int64))


def _most(kinds: Kinds, chosen: np.ndarray, t: int) -> int:
    """How many of the chosen shapes one host of a kind can hold at most, resource by resource."""
    if not chosen.any():
        return 0
    most = int(kinds.count[chosen].sum())
    least = kinds.demand[chosen].min(axis=0)
    for demand, has in zip(least.tolist(), kinds.capacity[t].tolist(), strict=True):
        most = min(most, has // demand) if demand else most
    return most

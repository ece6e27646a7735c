"""The cheapest counts of hosts of each kind that a set of inequalities allows, by looking at all of them.

With a handful of kinds there are few enough counts to look at, and loading a solver takes longer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.problem import Bool, Int64

CELLS = 40_000_000
"""Counts x inequalities that are looked at; where there are more, a solver must do."""
_BLOCK = 2**18


@dataclass(frozen=True, eq=False)
class Needs:
    """Counts n [T] of hosts must have `value` [J, T] @ n >= `need` [J], 0 <= n <= `hosts` [T]."""

    value: Int64
    need: Int64
    cost: Int64
    """[T]."""
    hosts: Int64

    @property
    def cells(self) -> float:
        """How much looking at all counts is; the kind with the most hosts follows from the others."""
        others = np.delete(self.hosts, self.hosts.argmax()) if len(self.hosts) else self.hosts
        return float(np.prod(others + 1.0)) * (len(self.need) + 1)


def strongest(value: Int64, need: Int64) -> Bool:
    """[J] without inequalities that others imply. One too many left out only makes a bound weaker."""
    worth = value / np.maximum(need, 1)[:, None]
    keep = need > 0
    for j in np.flatnonzero(keep).tolist():
        others = keep.copy()
        others[j] = False
        if (worth[others] <= worth[j]).all(axis=1).any():
            keep[j] = False
    return keep


def cheapest(needs: Needs, at_least: int) -> Int64 | None:
    """[T] the cheapest counts that cost at least that; of equally cheap ones those with the most to spare."""
    best: tuple[int, float] | None = None
    found: Int64 | None = None
    for block in _blocks(needs):
        counts = _completed(needs, block, at_least)
        if not len(counts):
            continue
        cost = counts @ needs.cost
        counts = counts[cost == cost.min()]
        spare = _spare(needs, counts)
        rank = (int(cost.min()), -float(spare.max()))
        if best is None or rank < best:
            best, found = rank, counts[spare.argmax()]
    return found


def roomiest(needs: Needs, at_most: int) -> Int64 | None:
    """[T] the counts with the most to spare of those that cost at most that."""
    best, found = 1.0, None
    for block in _blocks(needs):
        counts = _filled_up(needs, block, at_most)
        if not len(counts):
            continue
        spare = _spare(needs, counts)
        if spare.max() >= best:
            best, found = float(spare.max()), counts[spare.argmax()]
    return found


def _last(needs: Needs) -> int:
    """The kind whose number follows from those of the others."""
    return int(needs.hosts.argmax())


def _blocks(needs: Needs) -> Iterator[Int64]:
    """All counts [N, T] of all kinds but the last, which is 0, some at a time."""
    if not len(needs.hosts):
        yield np.zeros((1, 0), dtype=np.int64)
        return
    others = np.delete(np.arange(len(needs.hosts)), _last(needs))
    sizes = (needs.hosts[others] + 1).tolist()
    total = math.prod(sizes)
    for begin in range(0, total, _BLOCK):
        index = np.arange(begin, min(begin + _BLOCK, total))
        counts = np.zeros((len(index), len(needs.hosts)), dtype=np.int64)
        if sizes:
            counts[:, others] = np.column_stack(np.unravel_index(index, sizes))
        yield counts


def _filled_up(needs: Needs, counts: Int64, at_most: int) -> Int64:
    """`counts` [N, T] with as many of the last kind as may be paid, without those that cost too much."""
    if not len(needs.hosts):
        return counts if at_most >= 0 else counts[:0]
    last = _last(needs)
    left = at_most - counts @ needs.cost
    counts, left = counts[left >= 0], left[left >= 0]
    price = needs.cost[last]
    counts[:, last] = np.minimum(needs.hosts[last], left // price if price else needs.hosts[last])
    return counts


def _completed(needs: Needs, counts: Int64, at_least: int) -> Int64:
    """`counts` [N, T] with the fewest of the last kind that suffice, without those for which none do."""
    if not len(needs.hosts):
        return counts if at_least <= 0 and not (needs.need > 0).any() else counts[:0]
    last = _last(needs)
    value = np.vstack([needs.value, needs.cost])
    need = np.append(needs.need, at_least)
    fewest = np.zeros(len(counts), dtype=np.int64)
    for worth, least in zip(value, need.tolist(), strict=True):
        lacking = least - counts @ worth
        if worth[last]:
            np.maximum(fewest, -(-lacking // worth[last]), out=fewest)
        else:
            fewest[lacking > 0] = needs.hosts[last] + 1
    counts[:, last] = fewest
    enough: Int64 = counts[fewest <= needs.hosts[last]]
    return enough


def _spare(needs: Needs, counts: Int64) -> np.ndarray:
    """[N] by what part the tightest inequality is exceeded."""
    if not len(needs.need):
        return np.ones(len(counts))
    spare: np.ndarray = ((counts @ needs.value.T) / np.maximum(needs.need, 1)).min(axis=1)
    return spare

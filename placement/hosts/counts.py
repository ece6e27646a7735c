"""The cheapest counts of hosts of each kind that a set of inequalities allows, by branch and bound in numpy.

There are few kinds and few inequalities that matter, so that a solver takes longer to load than this to end.
"""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64

_ROWS = 400_000
"""Partial counts that are looked at; behind these only the bound is said."""
_BLOCK = 2**14
_BEAM = 32
_HALVINGS = 6
_EXACT = 1e-9
"""What rounding may add to a lower bound, as part of it."""
_NEVER = 2**62


@dataclass(frozen=True, eq=False)
class Needs:
    """Counts n [T] of hosts must have `value` [J, T] @ n >= `need` [J], 0 <= n <= `hosts` [T]."""

    value: Int64
    need: Int64
    cost: Int64
    """[T]."""
    hosts: Int64


@dataclass(frozen=True, eq=False)
class Cheapest:
    """`counts` [T] of hosts, None where none were found; none at all are cheaper than `bound`."""

    counts: Int64 | None
    bound: int
    rows: int = 0
    """How many partial counts were looked at."""


def strongest(value: Int64, need: Int64) -> Bool:
    """[J] without inequalities that others imply. One too many left out only makes a bound weaker."""
    worth = value / np.maximum(need, 1)[:, None]
    keep: Bool = need > 0
    for j in np.flatnonzero(keep).tolist():
        others = keep.copy()
        others[j] = False
        if (worth[others] <= worth[j]).all(axis=1).any():
            keep[j] = False
    return keep


def cheapest(needs: Needs, at_least: int) -> Cheapest:
    """The cheapest counts that cost at least that; `bound` is their cost unless the search ended early."""
    return _Search(needs, at_least).run()


def roomiest(needs: Needs, at_most: int) -> Cheapest:
    """Counts that cost at most that, with nearly the most to spare in every inequality."""
    best = cheapest(needs, 0)
    if best.counts is None or int(best.counts @ needs.cost) > at_most:
        return Cheapest(None, best.bound, best.rows)
    low, high, rows = 1.0, 2.0, best.rows
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = Needs(needs.value, np.ceil(needs.need * middle).astype(np.int64), needs.cost, needs.hosts)
        tried = cheapest(more, 0)
        rows += tried.rows
        if tried.counts is None or int(tried.counts @ needs.cost) > at_most:
            high = middle
        else:
            low, best = middle, tried
    return Cheapest(best.counts, 0, rows)


class _Search:
    """Counts are fixed kind by kind, those with the most hosts last; its number follows from the others'."""

    def __init__(self, needs: Needs, at_least: int) -> None:
        order = np.lexsort((needs.hosts, needs.cost > 0))
        self._order, self._hosts, self._cost = order, needs.hosts[order], needs.cost[order]
        positive = needs.need > 0
        self._value, self._need = needs.value[positive][:, order], needs.need[positive]
        self._at_least, self._rows = at_least, 0
        self._best, self._spare = _NEVER, 0.0
        self._found: Int64 | None = None
        self._unseen = _NEVER

    def run(self) -> Cheapest:
        free = int((self._cost == 0).sum())
        start = np.zeros((1, len(self._hosts)), dtype=np.int64)
        start[:, :free] = self._hosts[:free]  # What costs nothing may be on.
        self._descend(start, free, narrow=True)
        self._descend(start, free, narrow=False)
        bound = min(self._best, self._unseen)
        if bound == _NEVER:
            return Cheapest(None, max(self._at_least, int(self._cost @ self._hosts) + 1), self._rows)
        counts = None
        if self._found is not None:
            counts = np.zeros(len(self._order), dtype=np.int64)
            counts[self._order] = self._found
        return Cheapest(counts, max(bound, self._at_least), self._rows)

    def _descend(self, counts: Int64, level: int, *, narrow: bool) -> None:
        if level >= len(self._hosts) - 1:
            self._finish(counts, level)
            return
        values = np.arange(self._hosts[level] + 1)
        below = np.repeat(counts, len(values), axis=0)
        below[:, level] = np.tile(values, len(counts))
        least = self._least(below, level + 1)
        self._rows += len(below)
        order = np.argsort(least, kind="stable")
        order = order[least[order] < _NEVER]
        if narrow:
            self._descend(below[order[:_BEAM]], level + 1, narrow=True)
            return
        step = max(1, _BLOCK // int(self._hosts[min(level + 1, len(self._hosts) - 1)] + 1))
        for begin in range(0, len(order), step):
            block = order[begin : begin + step]
            block = block[least[block] <= self._best]
            if not len(block) or self._best <= self._at_least:
                return
            if self._rows > _ROWS:
                self._unseen = min(self._unseen, int(least[block].min()))
                return
            self._descend(below[block], level + 1, narrow=False)

    def _least(self, counts: Int64, level: int) -> Int64:
        """[N] what counts cost at least when kinds from `level` on are still open, in parts if need be."""
        least = np.full(len(counts), float(self._at_least))
        paid = counts @ self._cost
        for value, need in zip(self._value, self._need.tolist(), strict=True):
            lacking = np.maximum(0, need - counts @ value).astype(np.float64)
            cost = paid.astype(np.float64)
            for t in level + np.argsort(-value[level:] / self._cost[level:], kind="stable"):
                if value[t]:
                    bought = np.minimum(lacking, float(value[t]) * float(self._hosts[t]))
                    cost += bought / value[t] * self._cost[t]
                    lacking -= bought
            cost[lacking > _EXACT * need] = _NEVER
            np.maximum(least, cost, out=least)
        return np.where(
            least >= _NEVER, _NEVER, np.ceil(np.minimum(least, 2.0**61) * (1 - _EXACT) - _EXACT)
        ).astype(np.int64)

    def _finish(self, counts: Int64, level: int) -> None:
        if level == len(self._hosts) - 1:
            counts = self._completed(counts, level)
        if not len(counts):
            return
        cost = counts @ self._cost
        enough = (counts @ self._value.T >= self._need).all(axis=1) & (cost >= self._at_least)
        counts, cost = counts[enough], cost[enough]
        if not len(counts) or cost.min() > self._best:
            return
        counts = counts[cost == cost.min()]
        spare = (counts @ self._value.T / self._need).min(axis=1, initial=2.0**62)
        if cost.min() < self._best or spare.max() > self._spare:
            self._best, self._spare = int(cost.min()), float(spare.max())
            self._found = counts[spare.argmax()]

    def _completed(self, counts: Int64, last: int) -> Int64:
        """`counts` [N, T] with the fewest of the last kind that suffice, without those for which none do."""
        fewest = np.zeros(len(counts), dtype=np.int64)
        value = np.vstack([self._value, self._cost])
        for worth, least in zip(value, [*self._need.tolist(), self._at_least], strict=True):
            lacking = least - counts @ worth
            if worth[last]:
                np.maximum(fewest, -(-lacking // worth[last]), out=fewest)
            else:
                fewest[lacking > 0] = self._hosts[last] + 1
        done = counts.copy()
        done[:, last] = fewest
        enough: Int64 = done[fewest <= self._hosts[last]]
        return enough

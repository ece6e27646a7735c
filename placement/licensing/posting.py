"""Licences as columns and rows for solvers: the machines of each scope by alternative, and what its units come to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.licensing.buying import Bought, Units, buy, stacked
from placement.licensing.products import Alternative, Product
from placement.licensing.reach import Reach
from placement.licensing.tightening import Crowds, Licensed, crowds, tighten
from placement.matrix import NO_LIMIT
from placement.model import Model


@dataclass(frozen=True, eq=False)
class Share:
    """The machines of one scope under one alternative: ``sum of columns`` is how many there are."""

    columns: Int64
    weight: Int64
    """Units of each column's machines."""
    most: Int64
    """Upper bounds of the columns."""
    machines: int
    """How many there can be in all."""


class _Scope:
    """One scope in the model; what is not asked for is not posted."""

    def __init__(
        self,
        model: Model,
        reach: Reach,
        s: int,
        shares: list[Share],
        chosen: Int64 | None,
        together: Int64,
    ) -> None:
        """`together` [classes] are the most machines of each."""
        self.model, self.reach, self.s, self.shares, self.together = model, reach, s, shares, together
        self._on = [-1] * len(shares) if chosen is None else chosen.tolist()

    def on(self, n: int) -> int:
        """A column that is 1 where any machine is there under an alternative."""
        if self._on[n] < 0:
            self._on[n] = _any(self.model, self.shares[n])
        return self._on[n]

    def licensed(self) -> Licensed:
        """All machines of the scope, whatever licenses them."""
        on = np.array([self.on(n) for n in range(len(self.shares))], dtype=np.int64)
        columns = [share.columns.reshape(len(self.together), -1) for share in self.shares]
        return Licensed(self.s, np.concatenate(columns, axis=1), self.together, on)

    def bought(self, n: int, way: Alternative) -> Bought:
        """What is bought there under an alternative."""
        special = way.order_minimum or way.principals or way.add_on
        return Bought(
            parts=self._parts(n, way),
            on=self.on(n) if special else None,
            amount=int(self.reach.ways[n].amount[self.s]),
        )

    def _parts(self, n: int, way: Alternative) -> tuple[Units, ...]:
        """By core factor."""
        share, facts = self.shares[n], self.reach.ways[n]
        if way.metric == "per_principal":
            return (Units.nothing(),)
        if way.of_machines:
            return (Units(share.columns, share.weight, int((share.weight * share.most).sum())),)
        if facts.steps:
            return (self._covered(n, int(way.unit_covers["machines"])),)
        of_scope = facts.parts[self.s].tolist()
        if way.covers is None:
            return tuple(Units.of(self.on(n), part, part) for part in of_scope)
        times = -(-share.machines // way.covers)
        covers = stacked(self.model, share.columns, np.ones_like(share.columns), way.covers, times)
        return tuple(Units.of(covers, part, part * times) for part in of_scope)

    def _covered(self, n: int, machines: int) -> Units:
        """Of each host the larger of the units that it needs anyway, and of those for all machines of the scope."""
        share, (units, number) = self.shares[n], self.reach.ways[n].steps[self.s]
        times = -(-share.machines // machines)
        for_all = stacked(self.model, share.columns, np.ones_like(share.columns), machines, times)
        most = np.maximum(units, times)
        columns = self.model.variables(np.zeros_like(most), most)
        anyway = np.full_like(columns, self.on(n))
        _below(self.model, np.full_like(columns, for_all), np.ones_like(columns), columns)
        _below(self.model, anyway, units, columns)
        return Units(columns, number, int((number * most).sum()))


def post(model: Model, product: Product, reach: Reach) -> None:
    """No machine outside of all scopes; in each scope one alternative, and packs enough for its units."""
    outside = np.zeros(model.shape, dtype=np.bool_)
    outside[np.ix_(reach.classes, np.flatnonzero(reach.scope_of < 0))] = True
    model.forbid(outside)
    limits = crowds(model, reach)
    scopes = list(_scopes(model, product, reach, limits))
    if any(way.of_hosts for way in product.alternatives):
        tighten(model, reach, limits, [scope.licensed() for scope in scopes])
    for n, way in enumerate(product.alternatives):
        buy(model, way, reach.hours, [scope.bought(n, way) for scope in scopes])


def _scopes(model: Model, product: Product, reach: Reach, limits: Crowds) -> Iterator[_Scope]:
    """Those that any machine could be in."""
    for s in range(reach.scopes):
        inside = np.ix_(reach.classes, np.flatnonzero(reach.scope_of == s))
        cells, most = model.cells()[inside], model.upper[inside]
        if most.any():
            together = np.minimum(limits.most[:, s], most.sum(axis=1))
            shares, chosen = _shares(model, reach, cells, most, together, len(product.alternatives))
            yield _Scope(model, reach, s, shares, chosen, together)


def _shares(
    model: Model, reach: Reach, cells: Int64, most: Int64, together: Int64, ways: int
) -> tuple[list[Share], Int64 | None]:
    """The machines of a scope by the alternative that licenses them, and a column for each that is chosen.

    With one alternative these are the cells themselves. Otherwise ``sum of shares = sum of cells`` by class,
    ``share <= together * chosen``, and at most one is chosen. `together` are the most of each class.
    """
    g, v = cells.shape
    machines = int(together.sum())
    if ways == 1:
        weight = np.repeat(reach.ways[0].weight[reach.classes], v)
        return [Share(cells.reshape(-1), weight, most.reshape(-1), machines)], None
    upper = np.repeat(together[:, None], ways, axis=1)
    share, chosen = model.variables(np.zeros_like(upper), upper), model.booleans(ways)
    zeros = np.zeros(g, dtype=np.int64)
    row = np.repeat(np.arange(g, dtype=np.int64), ways + v)
    signs = np.tile(np.repeat(np.array([1, -1], dtype=np.int64), [ways, v]), g)
    model.rows(row, np.concatenate([share, cells], axis=1).reshape(-1), signs, zeros, zeros)
    _below(
        model, share.reshape(-1), np.ones(share.size, dtype=np.int64), np.tile(chosen, g), upper.reshape(-1)
    )
    model.at_most(chosen, np.ones(ways, dtype=np.int64), 1)
    return [
        Share(share[:, n], reach.ways[n].weight[reach.classes], together, machines) for n in range(ways)
    ], chosen


def _any(model: Model, share: Share) -> int:
    """A column that is 1 where the scope has any machine."""
    (on,) = model.booleans(1).tolist()
    ones = np.ones_like(share.columns)
    _below(model, share.columns, ones, np.full_like(share.columns, on), share.most)
    return int(on)


def _below(model: Model, less: Int64, factor: Int64, more: Int64, most: Int64 | None = None) -> None:
    """``factor * less <= most * more``, entry by entry."""
    n = len(less)
    row = np.tile(np.arange(n, dtype=np.int64), 2)
    factors = np.concatenate([factor, -np.ones_like(factor) if most is None else -most])
    model.rows(
        row, np.concatenate([less, more]), factors, np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64)
    )

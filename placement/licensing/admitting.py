"""Licences in the online kernel's primitives: never below what they cost, and just that in the usual cases."""

import numpy as np

from placement.arrays import Int64
from placement.kernel import Kernel
from placement.licensing.products import Alternative, Product
from placement.licensing.reach import Reach
from placement.matrix import NO_LIMIT


def admit(kernel: Kernel, product: Product, reach: Reach) -> None:
    """Per scope the better of one alternative that grows with the machines and of all that do not.

    Never below the true cost, and just it where there is one alternative that grows, and nothing is rounded up,
    brought along, owned or bought at least over several scopes: of several that grow, the one is told that is
    cheapest for all machines in every scope; packs are rounded up in each scope, and with each cover.
    """
    chosen = np.zeros(len(kernel.classes.one), dtype=np.bool_)
    chosen[reach.classes] = True
    kernel.forbid(chosen[:, None] & (reach.scope_of < 0)[None, :])
    told = [_Told(product, reach, n) for n in range(len(product.alternatives))]
    flat = [one.cover_cost() for one in told if one.way.flat]
    growing = [one for one in told if not one.way.flat]
    most = np.min([np.full(reach.scopes, NO_LIMIT), *flat], axis=0)
    if not growing:
        kernel.opening("licences", chosen, reach.scope_of, most)
        return
    best = min(growing, key=lambda one: one.for_all(kernel.classes.count * chosen))
    size, cost = best.steps()
    first = best.first_cost()
    if first.any():
        kernel.opening("licences", chosen, reach.scope_of, first)
    kernel.packs("licences", best.weight * chosen, reach.scope_of, size, cost, most)


class _Told:
    """One alternative as steps of cost in each scope."""

    def __init__(self, product: Product, reach: Reach, n: int) -> None:
        self.way: Alternative = product.alternatives[n]
        self.weight = reach.ways[n].weight
        self._facts, self._scopes = reach.ways[n], reach.scopes
        self._hours = reach.hours if self.way.per_hour else 1

    def cover_cost(self) -> Int64:
        """[S] what covering all hosts of a scope costs once, were it the only one."""
        way, facts = self.way, self._facts
        parts = facts.parts
        if facts.steps:
            hosts = [(np.maximum(units, 1) * number).sum() for units, number in facts.steps]
            parts = np.array(hosts, dtype=np.int64)[:, None]
        units = (-(-parts // way.parts)).sum(axis=1) * self._hours
        packs = np.maximum(-(-units // way.pack_size), self._minimum())
        cost: Int64 = packs * way.pack_cost_micros
        if way.add_on is not None:
            missing = -(-facts.amount // way.add_on.unit_amount) - packs * way.add_on.granted
            more = -(-np.maximum(missing, 0) // way.add_on.pack_size)
            cost += more * way.add_on.pack_cost_micros
        return cost

    def steps(self) -> tuple[Int64, Int64]:
        """[S] every how many units of weight it costs more, and how much."""
        way = self.way
        if way.of_hosts:
            size, cost = way.unit_covers.get("machines", way.covers or 1), self.cover_cost()
        else:
            # Of whole packs of unit-hours, a machine's unit takes many: they are told as single ones.
            size = way.pack_size if self._hours == 1 else 1
            packs = -(-size * self._hours // way.pack_size)
            cost = np.full(self._scopes, packs * way.pack_cost_micros, dtype=np.int64)
        return np.full(self._scopes, size, dtype=np.int64), cost

    def first_cost(self) -> Int64:
        """[S] what any machine costs beside the steps: the least that must be bought."""
        least = 0 if self.way.of_hosts else self._minimum()
        return np.full(self._scopes, least * self.way.pack_cost_micros, dtype=np.int64)

    def for_all(self, count: Int64) -> int:
        """What all machines would cost in every scope."""
        size, cost = self.steps()
        units = int((self.weight * count).sum())
        return int((-(-units // size) * cost + self.first_cost()).sum())

    def _minimum(self) -> int:
        return -(-max(self.way.order_minimum, self.way.principals * self._hours) // self.way.pack_size)

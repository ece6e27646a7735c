"""The estate as it runs today, with its licences counted in the cheapest legal way.

Everything stays where it is and all hosts are kept, so that nothing else is left to decide. Whether there is room is
not asked; how much is missing is told by the same sums as for plans.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from placement.arrays import Int64
from placement.licensing.products import Alternative
from placement.planning.counted import Chosen, licences_of_order, machines_by_scope, pools_by_scope
from placement.planning.plan import Licence
from placement.planning.problem import PlannedProduct, PlanningProblem
from tierwise.planner.build import Built

_TRIED = 4096
"""So many ways to license a product are all tried; where there are more, scopes are improved one by one."""


def counts_today(built: Built) -> Int64:
    """[G, P]: each machine where it runs; those of no pool are nowhere."""
    current = built.machines.current
    counts = np.zeros_like(built.problem.groups.allowed, dtype=np.int64)
    here = np.flatnonzero(current >= 0)
    counts[here, current[here]] = built.machines.count[here]
    return counts


def licences_today(built: Built, counts: Int64) -> tuple[Licence, ...]:
    """Every product for the machines and hosts of today, in the cheapest of its legal ways."""
    return cheapest_licences(built.problem, counts, built.room.existing)


def cheapest_licences(problem: PlanningProblem, counts: Int64, hosts: Int64) -> tuple[Licence, ...]:
    """Every product for so many machines [G, P] on so many hosts [B], in the cheapest of its legal ways."""
    found: dict[int, list[Licence]] = {}
    for members in problem.orders:
        found |= _Order(problem, members, counts, hosts).cheapest()
    return tuple(one for n in sorted(found) for one in found[n])


class _Order:
    """The ways to license the products of one order on given hosts."""

    def __init__(
        self, problem: PlanningProblem, members: Sequence[int], counts: Int64, hosts: Int64
    ) -> None:
        self.problem = problem
        self.machines = {n: machines_by_scope(problem, problem.products[n], counts) for n in members}
        self.scopes = [(n, scope) for n, some in self.machines.items() for scope in some]
        self.ways = [range(len(problem.products[n].alternatives)) for n, _ in self.scopes]
        self.coupled = any(_coupled(way) for n in members for way in problem.products[n].alternatives)
        self.hosts = {
            (n, scope): some
            for n in members
            for scope, some in _hosts_by_scope(problem, problem.products[n], counts, hosts).items()
        }

    def cheapest(self) -> dict[int, list[Licence]]:
        """The licences of the cheapest choice, by product; of equal ones the first."""
        best = min(self._choices(), key=lambda choice: (self._cost(choice), choice))
        return self._bought(self.scopes, best)

    def _choices(self) -> Iterator[tuple[int, ...]]:
        """An alternative for each scope: each for itself, or all combinations, or what improving ends with."""
        if not self.coupled:
            yield tuple(
                min(ways, key=lambda way: (_sum(self._bought([at], [way])), way))
                for at, ways in zip(self.scopes, self.ways, strict=True)
            )
        elif prod(len(ways) for ways in self.ways) <= _TRIED:
            yield from itertools.product(*self.ways)
        else:
            for way in range(max(len(ways) for ways in self.ways)):
                yield self._improved(tuple(min(way, len(ways) - 1) for ways in self.ways))

    def _improved(self, choice: tuple[int, ...]) -> tuple[int, ...]:
        """Other alternatives scope by scope, as long as one of them is cheaper."""
        best = self._cost(choice)
        while True:
            tried = [
                (*choice[:s], way, *choice[s + 1 :])
                for s, ways in enumerate(self.ways)
                for way in ways
                if way != choice[s]
            ]
            cost, other = min((self._cost(one), one) for one in tried)
            if cost >= best:
                return choice
            best, choice = cost, other

    def _cost(self, choice: Sequence[int]) -> int:
        return _sum(self._bought(self.scopes, choice))

    def _bought(self, scopes: Sequence[tuple[int, str]], choice: Sequence[int]) -> dict[int, list[Licence]]:
        chosen = [
            Chosen(n, scope, way, self._counted(n, scope, way))
            for (n, scope), way in zip(scopes, choice, strict=True)
        ]
        return licences_of_order(self.problem, self.machines, chosen)

    def _counted(self, n: int, scope: str, way: int) -> Mapping[int, int]:
        return self.hosts[n, scope] if self.problem.products[n].alternatives[way].of_hosts else {}


def _hosts_by_scope(
    problem: PlanningProblem, product: PlannedProduct, counts: Int64, hosts: Int64
) -> dict[str, dict[int, int]]:
    """Scope -> block -> hosts that count: of whole pools those that have any of its machines; else all in reach."""
    counted = {
        p
        for p in range(len(problem.pools.ids))
        if not product.whole_pool or counts[product.groups, p].any()
    }
    return {
        scope: {
            b: int(hosts[b])
            for b, p in enumerate(problem.blocks.pool_of.tolist())
            if p in pools and p in counted and hosts[b]
        }
        for scope, pools in pools_by_scope(problem, product).items()
    }


def _coupled(way: Alternative) -> bool:
    """Whether what one scope pays hangs on the others."""
    return bool(
        way.pack_scope == "order"
        or way.order_minimum
        or way.owned_packs
        or way.principals
        or way.add_on is not None
    )


def _sum(licences: Mapping[int, Sequence[Licence]]) -> int:
    return sum(one.cost_micros for some in licences.values() for one in some)

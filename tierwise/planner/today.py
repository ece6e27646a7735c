"""The estate as it runs today, with its licences counted in the cheapest legal way.

Everything stays where it is and all hosts are kept, so that nothing else is left to decide. Whether there is room is
not asked; how much is missing is told by the same sums as for plans.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from placement.arrays import Int64
from placement.licensing.products import Alternative
from placement.planning.counted import Chosen, licences_of_product, machines_by_scope, pools_by_scope
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
    found: list[Licence] = []
    for n in range(len(built.problem.products)):
        found += _Product(built.problem, n, counts, built.room.existing).cheapest()
    return tuple(found)


class _Product:
    """The ways to license one product on given hosts."""

    def __init__(self, problem: PlanningProblem, n: int, counts: Int64, hosts: Int64) -> None:
        self.problem = problem
        self.n = n
        self.product: PlannedProduct = problem.products[n]
        self.machines: Mapping[str, Mapping[int, int]] = machines_by_scope(problem, self.product, counts)
        self.scopes = list(self.machines)
        pools = pools_by_scope(problem, self.product)
        # Where whole pools are licensed, those are that have any of its machines; else all that these could reach.
        counted = {
            p
            for p in range(len(problem.pools.ids))
            if not self.product.whole_pool or counts[self.product.groups, p].any()
        }
        self.hosts = {
            scope: {
                b: int(hosts[b])
                for b, p in enumerate(problem.blocks.pool_of.tolist())
                if p in pools[scope] and p in counted and hosts[b]
            }
            for scope in self.scopes
        }

    def cheapest(self) -> list[Licence]:
        """The licences of the cheapest choice; of equal ones the first."""
        if not self.scopes:
            return []
        best = min(self._choices(), key=lambda choice: (_cost(self._bought(choice)), choice))
        return self._bought(best)

    def _choices(self) -> Iterator[tuple[int, ...]]:
        """An alternative for each scope: each for itself, or all combinations, or what improving ends with."""
        ways = range(len(self.product.alternatives))
        if not any(_coupled(way) for way in self.product.alternatives):
            yield tuple(
                min(ways, key=lambda way: (_cost(self._alone(scope, way)), way)) for scope in self.scopes
            )
        elif len(ways) ** len(self.scopes) <= _TRIED:
            yield from itertools.product(ways, repeat=len(self.scopes))
        else:
            yield from (self._improved((way,) * len(self.scopes)) for way in ways)

    def _improved(self, choice: tuple[int, ...]) -> tuple[int, ...]:
        """Other alternatives scope by scope, as long as one of them is cheaper."""
        best = _cost(self._bought(choice))
        while True:
            tried = [
                (*choice[:s], way, *choice[s + 1 :])
                for s in range(len(choice))
                for way in range(len(self.product.alternatives))
                if way != choice[s]
            ]
            cost, other = min((_cost(self._bought(one)), one) for one in tried)
            if cost >= best:
                return choice
            best, choice = cost, other

    def _bought(self, choice: Sequence[int]) -> list[Licence]:
        chosen = [
            Chosen(self.n, scope, way, self._counted(scope, way))
            for scope, way in zip(self.scopes, choice, strict=True)
        ]
        return licences_of_product(self.problem, self.n, self.machines, chosen)

    def _alone(self, scope: str, way: int) -> list[Licence]:
        chosen = [Chosen(self.n, scope, way, self._counted(scope, way))]
        return licences_of_product(self.problem, self.n, {scope: self.machines[scope]}, chosen)

    def _counted(self, scope: str, way: int) -> dict[int, int]:
        return self.hosts[scope] if self.product.alternatives[way].of_hosts else {}


def _coupled(way: Alternative) -> bool:
    """Whether what one scope pays hangs on the others."""
    return bool(
        way.pack_scope == "order"
        or way.order_minimum
        or way.owned_packs
        or way.principals
        or way.add_on is not None
    )


def _cost(licences: Sequence[Licence]) -> int:
    return sum(one.cost_micros for one in licences)

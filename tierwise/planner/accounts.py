"""What a plan costs and where, added up from its machines and hosts; it must come to the solver's sum."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.planning.counted import pools_by_scope
from placement.planning.plan import Licence
from tierwise.planner.build import Built

SHARED = "all tiers"
"""Where licences belong that several tiers have together."""
MOVING = "moving"
LICENCES = "licences"


@dataclass(frozen=True)
class Accounts:
    """Cost by term and by place, in micro-units."""

    terms: Mapping[str, int]
    by_pool: tuple[int, ...]
    by_tier: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of it, with what is sunk."""
        return sum(self.terms.values())


def accounts(built: Built, counts: Int64, hosts: Int64, licences: Sequence[Licence]) -> Accounts:
    """The accounts of a plan: `counts` [G, P], `hosts` [B]."""
    book = _Book(built)
    book.add_hosts(hosts)
    book.add_machines(counts)
    book.add_licences(licences)
    return book.closed()


class _Book:
    """Amounts by term and by pool, and those that belong to no pool."""

    def __init__(self, built: Built) -> None:
        self.problem = built.problem
        self.terms: dict[str, int] = defaultdict(int)
        self.by_pool = [0] * len(built.problem.pools.ids)
        self.beside: dict[str, int] = defaultdict(int)
        """Tier -> what belongs to no single pool of it."""

    def add_hosts(self, hosts: Int64) -> None:
        """Hosts that are kept and bought, and that pools with hosts are there at all."""
        blocks, pools = self.problem.blocks, self.problem.pools
        pool_of = blocks.pool_of.tolist()
        bought = np.maximum(0, hosts - blocks.existing)
        for columns, several in ((blocks.kept_costs, hosts), (blocks.bought_costs, bought)):
            for term, micros in columns.items():
                for b, count in enumerate(several.tolist()):
                    self._add(term, pool_of[b], count * int(micros[b]))
        for term, micros in pools.open_costs.items():
            for p in sorted({pool_of[b] for b in np.flatnonzero(hosts).tolist()}):
                self._add(term, p, int(micros[p]))

    def add_machines(self, counts: Int64) -> None:
        """What machines cost where they are, and that some of them move."""
        groups = self.problem.groups
        for term, micros in groups.costs.items():
            self._add_all(term, _dot(counts, micros))
        if groups.move_cost is not None:
            self._add_all(MOVING, _dot(counts, groups.move_cost))

    def add_licences(self, licences: Sequence[Licence]) -> None:
        """What is bought for one pool is that pool's, for one tier that tier's; the rest is everybody's."""
        pools = self.problem.pools
        scopes = {one.name: pools_by_scope(self.problem, one) for one in self.problem.products}
        for one in licences:
            inside = [p for name in one.covered for p in scopes[one.product][name]]
            tiers = {pools.tier_of[p] for p in inside}
            if len(inside) == 1:
                self._add(LICENCES, inside[0], one.cost_micros)
                continue
            self.terms[LICENCES] += one.cost_micros
            tier = next(iter(tiers)) if len(tiers) == 1 else SHARED
            self.beside[tier] += one.cost_micros

    def closed(self) -> Accounts:
        """With what is sunk."""
        by_tier = dict.fromkeys(self.problem.pools.tier_of, 0)
        for tier, micros in zip(self.problem.pools.tier_of, self.by_pool, strict=True):
            by_tier[tier] += micros
        for tier, micros in self.beside.items():
            by_tier[tier] = by_tier.get(tier, 0) + micros
        terms = {**self.terms, **self.problem.sunk}
        return Accounts({term: n for term, n in terms.items() if n}, tuple(self.by_pool), by_tier)

    def _add(self, term: str, p: int, micros: int) -> None:
        self.terms[term] += micros
        self.by_pool[p] += micros

    def _add_all(self, term: str, by_pool: Sequence[int]) -> None:
        for p, micros in enumerate(by_pool):
            self._add(term, p, micros)


def _dot(counts: Int64, micros: Int64) -> list[int]:
    """By pool, in Python's integers: the sums may not fit into 64 bits."""
    found = []
    for p in range(counts.shape[1]):
        here = np.flatnonzero(counts[:, p])
        found.append(
            sum(a * b for a, b in zip(counts[here, p].tolist(), micros[here, p].tolist(), strict=True))
        )
    return found

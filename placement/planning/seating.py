"""Machines on decided hosts, in whole numbers: what each pool holds, what is free, and who can still come."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.facts import Facts
from placement.planning.licences import Scope, scopes_of
from placement.planning.problem import PlanningProblem


@dataclass
class Decided:
    """The whole numbers of a plan but for its machines."""

    hosts: Int64
    """[B]"""
    chosen: list[int]
    """[S] the alternative of each scope; -1 where none is."""
    parts: list[Int64]
    """[S] by block of the scope, the hosts of its rule; all that are kept, where there is none."""

    def copy(self) -> "Decided":
        """One that may be changed."""
        return Decided(self.hosts.copy(), list(self.chosen), [part.copy() for part in self.parts])


def left_after(each: Int64, hosts: Int64, losses: int) -> int:
    """What hosts by block give without those that give the most."""
    left, lost = int(each @ hosts), losses
    for b in np.argsort(-each, kind="stable").tolist():
        taken = min(lost, int(hosts[b]))
        left, lost = left - taken * int(each[b]), lost - taken
    return left


@dataclass(frozen=True, eq=False)
class _Pool:
    """Rows ``factors @ counts <= limit`` of a pool."""

    factors: Int64
    """[R, G]"""
    limit: Int64
    """[R]"""
    open_to: Bool
    """[G]"""


@dataclass
class Seating:
    """Counts that keep every row, on hosts that are decided."""

    facts: Facts
    scopes: tuple[Scope, ...]
    decided: Decided
    counts: Int64
    """[G, P]"""
    pools: list[_Pool] = field(init=False)
    used: list[Int64] = field(init=False)
    moves_left: int = field(init=False)

    def __post_init__(self) -> None:
        """Read the rows of what is decided; the counts are not checked against them."""
        self.pools = [self._pool(self.decided, p) for p in range(len(self.facts.problem.pools.ids))]
        self.used = [pool.factors @ self.counts[:, p] for p, pool in enumerate(self.pools)]
        most = self.facts.problem.most_moves
        moves = int(self.counts[self.facts.moved].sum())
        self.moves_left = (1 << 60) if most is None else most - moves

    @property
    def holds(self) -> bool:
        """Whether all rows are kept."""
        return self.moves_left >= 0 and all(self.pool_holds(p) for p in range(len(self.pools)))

    def pool_holds(self, p: int) -> bool:
        """Whether those of a pool are."""
        closed = self.counts[~self.pools[p].open_to, p].any()
        return not closed and bool((self.used[p] <= self.pools[p].limit).all())

    def room(self, g: int, p: int) -> int:
        """How many more machines of a group a pool can have."""
        pool = self.pools[p]
        if not pool.open_to[g]:
            return 0
        need = pool.factors[:, g]
        some = need > 0
        free = (pool.limit - self.used[p])[some] // need[some]
        room = int(free.min(initial=1 << 60))
        return max(0, min(room, self.moves_left) if self.facts.moved[g, p] else room)

    def add(self, g: int, p: int, n: int) -> None:
        """Machines more, or fewer; without a check."""
        self.counts[g, p] += n
        self.used[p] = self.used[p] + self.pools[p].factors[:, g] * n
        if self.facts.moved[g, p]:
            self.moves_left -= n

    def decide(self, decided: Decided, pools: Sequence[int] | None = None) -> None:
        """Read the rows anew, of those pools that are decided otherwise; None: of all."""
        self.decided = decided
        if pools is None:
            self.__post_init__()
            return
        for p in pools:
            self.pools[p] = self._pool(decided, p)
            self.used[p] = self.pools[p].factors @ self.counts[:, p]

    def on(self, problem: PlanningProblem) -> "Seating":
        """The same plan of a problem that allows more: scopes that only this one has are licensed the first way."""
        facts, decided = Facts(problem), Decided(self.decided.hosts.copy(), [], [])
        scopes = tuple(one for n in range(len(problem.products)) for one in scopes_of(facts, n))
        known = {(one.product, one.name): s for s, one in enumerate(self.scopes)}
        for one in scopes:
            s = known.get((one.product, one.name), -1)
            part = decided.hosts.copy()
            if s >= 0:
                part[self.scopes[s].blocks] = self.decided.parts[s]
            decided.chosen.append(self.decided.chosen[s] if s >= 0 else 0)
            decided.parts.append(part[one.blocks])
        return Seating(facts, scopes, decided, self.counts.copy())

    def would_hold(self, decided: Decided, p: int) -> bool:
        """Whether a pool would keep its rows, were it decided so."""
        pool, here = self._pool(decided, p), self.counts[:, p]
        return not here[~pool.open_to].any() and bool((pool.factors @ here <= pool.limit).all())

    def would_take(self, decided: Decided, p: int, waiting: Int64) -> Int64:
        """[n, 2] groups and how many machines of each a pool could have beside its own, were it decided so; in the order given.

        `waiting` [n, 2] are groups and machines.
        """
        pool = self._pool(decided, p)
        free, left, taken = pool.limit - pool.factors @ self.counts[:, p], self.moves_left, []
        for g, n in waiting.tolist():
            need = pool.factors[:, g]
            some = need > 0
            room = int((free[some] // need[some]).min(initial=n)) if pool.open_to[g] else 0
            come = max(0, min(n, room, left if self.facts.moved[g, p] else n))
            free = free - need * come
            left -= come * bool(self.facts.moved[g, p])
            taken.append((g, come))
        return np.array(taken, dtype=np.int64).reshape(-1, 2)

    def waiting(self) -> Int64:
        """[G] machines without a pool."""
        found: Int64 = self.facts.problem.groups.count - self.counts.sum(axis=1)
        return found

    def _pool(self, decided: Decided, p: int) -> _Pool:
        problem, facts = self.facts.problem, self.facts
        inside = facts.blocks_of[p]
        hosts = decided.hosts[inside]
        every = facts.possible[:, p] & bool(hosts.any())
        rows = self._held(p, every, inside, hosts)
        for held, some in facts.fit_sets(p):
            rows += self._held(p, held, some, decided.hosts[some])
            every &= ~held | bool(decided.hosts[some].any())
        for s, scope in enumerate(self.scopes):
            if p not in scope.pools:
                continue
            product = problem.products[scope.product]
            a = decided.chosen[s]
            if a < 0:
                every &= ~product.groups
            elif product.parts and not product.whole_pool and product.alternatives[a].of_hosts:
                rows += self._part(decided, p, s, scope, product.groups)
                at = np.isin(scope.blocks, inside)
                every &= ~product.groups | bool(decided.parts[s][at].any())
        factors = np.array([row for row, _ in rows], dtype=np.int64).reshape(len(rows), len(every))
        return _Pool(factors, np.array([limit for _, limit in rows], dtype=np.int64), every)

    def _part(
        self, decided: Decided, p: int, s: int, scope: Scope, groups: Bool
    ) -> list[tuple[Int64, int]]:
        part = dict(zip(scope.blocks.tolist(), decided.parts[s].tolist(), strict=True))
        rows = []
        sets = [(groups, self.facts.blocks_of[p]), *self.facts.fit_sets(p)]
        for held, some in sets:
            hosts = np.array([part[b] for b in some.tolist()], dtype=np.int64)
            rows += self._held(p, held & groups, some, hosts)
        return rows

    def _held(self, p: int, groups: Bool, inside: Int64, hosts: Int64) -> list[tuple[Int64, int]]:
        """All hosts hold everything; those that remain hold what restarts."""
        problem = self.facts.problem
        rows = []
        losses = int(problem.pools.losses[p])
        for k in range(len(problem.resource_classes)):
            each, beside = problem.blocks.capacity[inside, k], int(problem.pools.shared[p, k])
            load = problem.groups.demand[:, k] * groups
            rows.append((load, int(each @ hosts) + beside))
            if losses and each.any():
                rows.append((load * self.facts.restart, left_after(each, hosts, losses) + beside))
        return [row for row in rows if row[0].any()]

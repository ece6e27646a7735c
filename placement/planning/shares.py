"""The machines of a product in one pool, by the alternative that licenses them.

With one alternative these are the machines themselves. Otherwise each alternative has columns for how many machines it
licenses and what these take, which add up to all of them and are 0 where another one is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.licensing.products import Alternative
from placement.planning.columns import NOTHING, Columns, Sum, added, one
from placement.planning.facts import Facts
from placement.planning.rooms import Load


@dataclass(frozen=True, eq=False)
class Share:
    """Machines of a product in one pool; A alternatives."""

    machines: Sequence[Sum]
    """[A]"""
    loads: Sequence[Load]
    """[A]"""
    weights: Sequence[Sum]
    """[A] units, of alternatives that count machines."""


@dataclass(frozen=True, eq=False)
class Members:
    """Machines of some groups in one pool."""

    facts: Facts
    groups: Int64
    cells: Int64
    room: Int64
    """[K] no more than this is there of each resource."""

    def number(self) -> Sum:
        """How many there are."""
        return self.weighed(np.ones_like(self.groups))

    def weighed(self, each: Int64, most: int | None = None) -> Sum:
        """So much of each machine."""
        of_all = int((each * self.facts.problem.groups.count[self.groups]).sum())
        return Sum(self.cells, each, of_all if most is None else min(of_all, most))

    def loads(self) -> tuple[list[Sum], list[Sum], list[bool]]:
        """[K] of all, of those that restart, and whether those are all and each has some."""
        demand = self.facts.problem.groups.demand[self.groups]
        again = self.facts.restart[self.groups]
        ks = range(demand.shape[1])
        every = [self.weighed(demand[:, k], int(self.room[k])) for k in ks]
        restarting = [self.weighed(demand[:, k] * again, int(self.room[k])) for k in ks]
        return every, restarting, [bool(again.all() and (demand[:, k] > 0).all()) for k in ks]


def members_of(facts: Facts, groups: Bool, cells: Int64, p: int) -> Members:
    """Those of some groups that can be in a pool; `cells` [G, P]."""
    some = np.flatnonzero(groups & (cells[:, p] >= 0))
    blocks, inside = facts.problem.blocks, facts.blocks_of[p]
    room = (blocks.capacity[inside] * facts.most[inside][:, None]).sum(axis=0)
    return Members(facts, some, cells[some, p], room + facts.problem.pools.shared[p])


def share_of(columns: Columns, members: Members, ways: Sequence[Alternative], on: Int64) -> Share:
    """By alternative; `on` [A] are 1 where an alternative licenses any of them."""
    machines = members.number()
    every, restarting, all_restart = members.loads()
    weights = [machine_weight(members.facts, way)[members.groups] for way in ways]
    if len(ways) == 1:
        columns.below(machines, one(int(on[0]), 1, machines.most))
        return Share([machines], [Load(every, restarting, all_restart)], [members.weighed(weights[0])])
    by_way = _split(columns, machines, on)
    loads = [_split(columns, some, on) for some in every]
    same = members.facts.restart[members.groups].all()
    again = loads if same else [_split(columns, some, on) for some in restarting]
    return Share(
        by_way,
        [
            Load([some[a] for some in loads], [some[a] for some in again], all_restart)
            for a in range(len(ways))
        ],
        [
            _weighed(columns, members.weighed(each), each, by_way, a, on) if way.of_machines else NOTHING
            for a, (way, each) in enumerate(zip(ways, weights, strict=True))
        ],
    )


def machine_weight(facts: Facts, way: Alternative) -> Int64:
    """[G] units of one machine."""
    if way.metric != "per_vcpu":
        return np.ones(len(facts.problem.groups.ids), dtype=np.int64)
    return np.maximum(facts.vcpu, way.per_machine_minimum)


def _split(columns: Columns, total: Sum, on: Int64) -> list[Sum]:
    if total.empty:
        return [NOTHING] * len(on)
    split = columns.add(np.full(len(on), total.most, dtype=np.int64), whole=False)
    parts = [one(column, total.most) for column in split.tolist()]
    columns.equal(added(parts), total)
    for part, chosen in zip(parts, on.tolist(), strict=True):
        columns.below(part, one(chosen, 1, total.most))
    return parts


def _weighed(columns: Columns, total: Sum, each: Int64, machines: Sequence[Sum], a: int, on: Int64) -> Sum:
    """What an alternative counts of its machines: all of it, less what others license."""
    if not len(each):
        return NOTHING
    if (each == each[0]).all():
        return machines[a].times(int(each[0]))
    column = one(columns.column(total.most, whole=False), total.most)
    others = [n for n in range(len(machines)) if n != a]
    chosen = [one(int(on[n]), 1, total.most) for n in others]
    columns.below(total, added([column, *chosen]))
    columns.below(total, added([column, *(machines[n].times(int(each.max())) for n in others)]))
    columns.below(machines[a].times(int(each.min())), column)
    return column

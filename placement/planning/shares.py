"""The machines of a product in one pool, by the alternative that licenses them.

With one alternative these are the machines themselves. Otherwise each alternative has columns of its own for the machines
of each group that it licenses, which add up to all of them and are 0 where another one is chosen: so no part of a plan
can count its machines under one alternative and what they take under another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from placement.arrays import Bool, Int64
from placement.licensing.products import Alternative
from placement.planning.columns import NOTHING, Columns, Sum, one
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

    def under(self, columns: Columns, on: int) -> "Members":
        """As many columns of their own, for those that an alternative licenses."""
        count = self.facts.problem.groups.count[self.groups]
        cells = columns.add(count, whole=False)
        columns.at_most_where(cells, count, np.array([on], dtype=np.int64))
        return replace(self, cells=cells)

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
    weights = [machine_weight(members.facts, way)[members.groups] for way in ways]
    if len(ways) == 1:
        columns.below(machines, one(int(on[0]), 1, machines.most))
        return Share([machines], [Load(*members.loads())], [members.weighed(weights[0])])
    split = [members.under(columns, int(chosen)) for chosen in on.tolist()]
    columns.split(members.groups, members.cells, np.stack([some.cells for some in split]))
    for some, chosen in zip(split, on.tolist(), strict=True):
        columns.below(some.number(), one(int(chosen), 1, machines.most))
    return Share(
        [some.number() for some in split],
        [Load(*some.loads()) for some in split],
        [
            some.weighed(each) if way.of_machines else NOTHING
            for some, way, each in zip(split, ways, weights, strict=True)
        ],
    )


def machine_weight(facts: Facts, way: Alternative) -> Int64:
    """[G] units of one machine."""
    if way.metric != "per_vcpu":
        return np.ones(len(facts.problem.groups.ids), dtype=np.int64)
    return np.maximum(facts.vcpu, way.per_machine_minimum)

"""The planning model: machines by group and pool, hosts by block, what is opened and licensed, and what all that costs."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.matrix import Expression, Matrix
from placement.planning.columns import Columns, Later, Split, Sum, one
from placement.planning.facts import Facts
from placement.planning.licences import Base, PostedScope, post_order
from placement.planning.rooms import Load, Room, post_room
from placement.planning.shares import members_of


@dataclass(frozen=True, eq=False)
class Model:
    """The matrix, and where in it what stands."""

    facts: Facts
    matrix: Matrix
    whole: Bool
    """[N] columns that bounds take in whole numbers."""
    cells: Int64
    """[G, P] -1 where none can be."""
    unplaced: Int64
    """[G]"""
    hosts: Int64
    """[B]"""
    opened: Int64
    """[P]"""
    scopes: tuple[PostedScope, ...]
    later: tuple[Later, ...]
    """Rows that make the linear program tighter."""
    switches: Int64
    """Columns that are 0 or 1 and decide about others."""
    splits: tuple[Split, ...]

    @property
    def decisions(self) -> Int64:
        """Switches and hosts; models of the same structure have them in the same order."""
        parts = [scope.hosts[scope.hosts >= 0] for scope in self.scopes]
        return np.concatenate([self.switches, self.hosts, *parts])

    @property
    def common_rows(self) -> Int64:
        """Rows that are not about one group alone; models of the same structure have them in the same order."""
        common = np.ones(len(self.matrix.row_lower), dtype=np.bool_)
        common[: len(self.unplaced)] = False
        for split in self.splits:
            common[split.rows] = False
        return np.flatnonzero(common)

    @property
    def out(self) -> Expression:
        """How many machines have no place."""
        return Expression(self.unplaced, np.ones_like(self.unplaced))

    @property
    def moves(self) -> Expression:
        """How many machines run elsewhere than today."""
        columns = self.cells[self.facts.moved & (self.cells >= 0)]
        return Expression(columns, np.ones_like(columns))


def build(facts: Facts) -> Model:
    """All rows and columns."""
    problem, groups = facts.problem, facts.problem.groups
    columns = Columns()
    cells = np.full(facts.possible.shape, -1, dtype=np.int64)
    g, _ = at = np.nonzero(facts.possible)
    cells[at] = columns.add(groups.count[g], whole=False)
    columns.cost(cells[at], facts.cost[at])
    unplaced = columns.add(groups.count, whole=False)
    _post_groups(columns, cells, unplaced, groups.count)
    hosts = columns.add(facts.most, lower=facts.least)
    opened = columns.switch(len(problem.pools.ids))
    base = Base(cells, hosts)
    _post_hosts(columns, facts, hosts, opened)
    for p, on in enumerate(opened.tolist()):
        _post_pool(columns, facts, base, p, on)
    if problem.most_moves is not None:
        moved = cells[facts.moved & (cells >= 0)]
        columns.row(Sum(moved, np.ones_like(moved), 0), upper=problem.most_moves)
    scopes = [scope for members in problem.orders for scope in post_order(columns, facts, base, members)]
    return Model(
        facts,
        columns.matrix(),
        columns.whole,
        cells,
        unplaced,
        hosts,
        opened,
        tuple(scopes),
        tuple(columns.later),
        np.concatenate(columns.switches),
        tuple(columns.splits),
    )


def _post_groups(columns: Columns, cells: Int64, unplaced: Int64, count: Int64) -> None:
    """Every machine is in one pool, or in none."""
    g, p = np.nonzero(cells >= 0)
    every = np.arange(len(count), dtype=np.int64)
    columns.rows(
        np.concatenate([g, every]),
        np.concatenate([cells[g, p], unplaced]),
        np.ones(len(g) + len(every), dtype=np.int64),
        count,
        count,
    )


def _post_hosts(columns: Columns, facts: Facts, hosts: Int64, opened: Int64) -> None:
    """Hosts are in pools that are open; what exceeds those that exist is bought."""
    problem = facts.problem
    blocks = problem.blocks
    columns.cost(opened, facts.open_cost)
    columns.cost(hosts, facts.kept_cost)
    for b, (column, p) in enumerate(zip(hosts.tolist(), blocks.pool_of.tolist(), strict=True)):
        most, more = int(facts.most[b]), int(facts.most[b] - blocks.existing[b])
        columns.below(one(column, most), one(int(opened[p]), 1, most))
        if more > 0 and facts.bought_cost[b]:
            bought = columns.column(more, whole=False)
            columns.below(one(column, most), one(bought, more), int(blocks.existing[b]))
            columns.cost(np.array([bought]), facts.bought_cost[b : b + 1])
    for p, inside in enumerate(facts.blocks_of):
        kept = Sum(hosts[inside], np.ones_like(inside), 0)
        columns.below(one(int(opened[p]), 1, int(facts.least_hosts[p])), kept)


def _post_pool(columns: Columns, facts: Facts, base: Base, p: int, on: int) -> None:
    """Room for all machines, and for those that fit on some hosts only, on these."""
    every = np.ones(len(facts.problem.groups.ids), dtype=np.bool_)
    cells, count = base.cells[:, p], facts.problem.groups.count
    some = np.flatnonzero(cells >= 0)
    columns.at_most_where(cells[some], count[some], np.array([on], dtype=np.int64))
    _post_held(columns, facts, base, p, on, every, facts.blocks_of[p])
    for held, inside in facts.fit_sets(p):
        (there,) = columns.switch(1).tolist()
        kept = Sum(base.hosts[inside], np.ones_like(inside), 0)
        columns.below(one(there, 1), kept)
        _post_held(columns, facts, base, p, there, held, inside)


def _post_held(
    columns: Columns, facts: Facts, base: Base, p: int, on: int, groups: Bool, inside: Int64
) -> None:
    problem = facts.problem
    members = members_of(facts, groups, base.cells, p)
    machines = members.number()
    columns.below(machines, one(on, 1, machines.most))
    room = Room(
        hosts=base.hosts[inside],
        most=facts.most[inside],
        capacity=problem.blocks.capacity[inside],
        on=on,
        shared=problem.pools.shared[p],
        losses=int(problem.pools.losses[p]),
    )
    post_room(columns, room, Load(*members.loads()))

"""What the model and its rounding look up of a problem, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.arrays import Bool, Int64
from placement.planning.problem import PlanningProblem


@dataclass(frozen=True, eq=False)
class Facts:
    """G groups, P pools, B blocks, K resource classes."""

    problem: PlanningProblem

    @cached_property
    def fits(self) -> Bool:
        """[G, B] whether a host of the block can have one machine of the group; what hosts do not give, they do not limit."""
        blocks, demand = self.problem.blocks, self.problem.groups.demand
        given = (blocks.capacity > 0) | (blocks.largest > 0)
        found = np.ones((len(demand), len(blocks.ids)), dtype=np.bool_)
        for k in range(demand.shape[1]):
            found &= ~given[:, k] | (demand[:, k, None] <= blocks.largest[None, :, k])
        return found & (blocks.most > 0)

    @cached_property
    def blocks_of(self) -> tuple[Int64, ...]:
        """Of each pool, its blocks that may have any host."""
        blocks = self.problem.blocks
        return tuple(
            np.flatnonzero((blocks.pool_of == p) & (blocks.most > 0))
            for p in range(len(self.problem.pools.ids))
        )

    @cached_property
    def possible(self) -> Bool:
        """[G, P] where a machine of the group can be: allowed, and there is a host that it fits on."""
        fitting = [self.fits[:, inside].any(axis=1) for inside in self.blocks_of]
        found: Bool = self.problem.groups.allowed & np.array(fitting, dtype=np.bool_).T.reshape(
            self.problem.groups.allowed.shape
        )
        return found

    @cached_property
    def restart(self) -> Bool:
        """[G]."""
        groups = self.problem.groups
        return np.ones(len(groups.ids), dtype=np.bool_) if groups.restart is None else groups.restart

    @cached_property
    def cost(self) -> Int64:
        """[G, P] what one machine costs there, moving it there included."""
        groups = self.problem.groups
        total = np.zeros(groups.allowed.shape, dtype=np.int64)
        for micros in groups.costs.values():
            total += micros
        return total if groups.move_cost is None else total + groups.move_cost

    @cached_property
    def vcpu(self) -> Int64:
        """[G] of one machine; 0 where the problem knows none."""
        problem = self.problem
        if "vcpu" not in problem.resource_classes:
            return np.zeros(len(problem.groups.ids), dtype=np.int64)
        found: Int64 = problem.groups.demand[:, problem.resource_classes.index("vcpu")]
        return found

    @cached_property
    def moved(self) -> Bool:
        """[G, P] whether a machine there is elsewhere than today."""
        current = self.problem.groups.current
        found: Bool = (current >= 0)[:, None] & (
            current[:, None] != np.arange(len(self.problem.pools.ids))[None, :]
        )
        return found

    @cached_property
    def given(self) -> Bool:
        """[P, K] what the hosts of a pool give any of."""
        capacity = self.problem.blocks.capacity
        return np.array(
            [(capacity[inside] > 0).any(axis=0) for inside in self.blocks_of], dtype=np.bool_
        ).reshape(self.problem.pools.shared.shape)

    @cached_property
    def kept_cost(self) -> Int64:
        """[B] of one host that is kept or bought."""
        return _summed(self.problem.blocks.kept_costs, len(self.problem.blocks.ids))

    @cached_property
    def bought_cost(self) -> Int64:
        """[B] of one host on top that is bought."""
        return _summed(self.problem.blocks.bought_costs, len(self.problem.blocks.ids))

    @cached_property
    def open_cost(self) -> Int64:
        """[P]."""
        return _summed(self.problem.pools.open_costs, len(self.problem.pools.ids))

    @cached_property
    def least_hosts(self) -> Int64:
        """[P] of a pool that has any; at least one."""
        least = self.problem.pools.least_hosts
        return np.maximum(1, 1 if least is None else least) * np.ones(
            len(self.problem.pools.ids), dtype=np.int64
        )

    @cached_property
    def most(self) -> Int64:
        """[B] hosts that could be of use: no more than hold, alone and with the losses, all that fits there."""
        problem = self.problem
        most = problem.blocks.most.copy()
        for b, p in enumerate(problem.blocks.pool_of.tolist()):
            here = self.possible[:, p] & self.fits[:, b]
            load = problem.groups.count[here] @ problem.groups.demand[here]
            each = problem.blocks.capacity[b]
            if ((load > problem.pools.shared[p]) & (each == 0)).any():
                continue
            enough = (-(-load[each > 0] // each[each > 0])).max(initial=0) + problem.pools.losses[p]
            most[b] = min(most[b], max(enough, self.least_hosts[p]) if load.any() else enough + 1)
        return np.maximum(most, self.least)

    @cached_property
    def least(self) -> Int64:
        """[B] hosts that are kept whatever becomes of them."""
        least = self.problem.blocks.least
        return np.zeros(len(self.problem.blocks.ids), dtype=np.int64) if least is None else least

    def fit_sets(self, p: int) -> list[tuple[Bool, Int64]]:
        """Groups that fit on some blocks of a pool only, and these blocks; each set of blocks once, with all groups held by it."""
        return self._fit_sets[p]

    @cached_property
    def _fit_sets(self) -> list[list[tuple[Bool, Int64]]]:
        return [self._fit_sets_of(p) for p in range(len(self.problem.pools.ids))]

    def _fit_sets_of(self, p: int) -> list[tuple[Bool, Int64]]:
        inside = self.blocks_of[p]
        here = np.flatnonzero(self.possible[:, p])
        if not len(here) or self.fits[np.ix_(here, inside)].all():
            return []
        found = []
        for row in np.unique(self.fits[np.ix_(here, inside)], axis=0):
            if row.all():
                continue
            held = self.possible[:, p] & ~(self.fits[:, inside] & ~row).any(axis=1)
            found.append((held, inside[row]))
        return found


def _summed(terms: Mapping[str, Int64], size: int) -> Int64:
    total = np.zeros(size, dtype=np.int64)
    for micros in terms.values():
        total += micros
    return total

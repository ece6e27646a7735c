"""Identical requests as one count: what the search works on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.arrays import Int64
from placement.pool_instances.instance import PoolInstance


@dataclass(frozen=True, eq=False)
class Cells:
    """G cells of identical requests on P pools. A plan is counts [G, P]; the rest stays unplaced."""

    of: Int64
    """[N] the cell of each request."""
    count: Int64
    """[G]."""
    klass: Int64
    """[G] the class of each cell."""
    demand: Int64
    """[G, R]."""
    cost: Int64
    """[G, P] of one request there."""
    upper: Int64
    """[G, P] the most of a cell in a pool as far as that can be told without the other cells."""
    licence: Int64
    """[G] Windows vCPU of one request."""
    group: Int64
    """[G] the group that must spread, -1 for none."""
    group_limit: Int64
    """[A] the most of a group in one pool."""
    pool_limit: Int64
    """[P] the most requests in a pool that the limits of groups leave, whichever they are."""
    instance: PoolInstance

    @cached_property
    def pools(self) -> int:
        """P."""
        return len(self.instance.capacity)

    def free(self, counts: Int64) -> Int64:
        """[P, R] capacity that is left."""
        return self.instance.capacity - counts.T @ self.demand

    def packs(self, counts: Int64) -> Int64:
        """[P] licence packs that each pool needs."""
        return -(-(self.licence @ counts) // self.instance.licence_pack_vcpus)

    def unplaced(self, counts: Int64) -> Int64:
        """[G]."""
        placed: Int64 = counts.sum(axis=1)
        return self.count - placed

    def objective(self, counts: Int64) -> int:
        """What the plan costs, with everything that is not placed."""
        units = int((self.cost * counts).sum())
        opened = int(self.instance.open_cost[counts.any(axis=0)].sum())
        packs = int(self.packs(counts).sum()) * self.instance.licence_pack_cost
        return units + opened + packs + int(self.unplaced(counts).sum()) * self.instance.unplaced_cost


def by_class(instance: PoolInstance) -> Cells:
    """One cell a class: applications are forgotten, except for what they leave room for in sum."""
    whole = by_class_and_app(instance)
    most = np.zeros_like(instance.unit_cost)
    np.add.at(most, whole.klass, whole.upper)
    none = np.full(len(instance.demand), -1, dtype=np.int64)
    classes = np.arange(len(instance.demand), dtype=np.int64)
    return _cells(instance, instance.klass, classes, none, most)


def by_class_and_app(instance: PoolInstance) -> Cells:
    """One cell for each class and application that must spread; the other applications are one."""
    limits = instance.group_limits()
    spreads = instance.app_spread & (np.bincount(instance.app, minlength=len(limits)) > limits)
    group = np.where(spreads, np.arange(len(limits)), -1)[instance.app]
    key, of = np.unique(instance.klass * (len(limits) + 1) + group + 1, return_inverse=True)
    klass, cell_group = key // (len(limits) + 1), key % (len(limits) + 1) - 1
    most = np.full((len(key), len(instance.capacity)), len(instance.klass), dtype=np.int64)
    bound = cell_group >= 0
    most[bound] = limits[cell_group[bound]][:, None]
    return _cells(instance, of.reshape(-1).astype(np.int64), klass, cell_group, most)


def _cells(instance: PoolInstance, of: Int64, klass: Int64, group: Int64, most: Int64) -> Cells:
    count = np.bincount(of, minlength=len(klass)).astype(np.int64)
    demand = instance.demand[klass]
    fits = np.full(most.shape, len(instance.klass), dtype=np.int64)
    for r in range(demand.shape[1]):
        needs = demand[:, r] > 0
        fits[needs] = np.minimum(fits[needs], instance.capacity[None, :, r] // demand[needs, r][:, None])
    upper = np.minimum(np.minimum(fits, most), count[:, None])
    limits = instance.group_limits()
    return Cells(
        of=of,
        count=count,
        klass=klass,
        demand=demand,
        cost=instance.unit_cost[klass],
        upper=np.where(instance.allowed[klass], upper, 0),
        licence=np.where(instance.windows[klass] > 0, demand[:, 0], 0),
        group=group,
        group_limit=limits,
        pool_limit=np.full(len(instance.capacity), int(limits.sum()), dtype=np.int64),
        instance=instance,
    )

"""What an assignment breaks and costs, counted from its requests, without the counts that made it."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.pool_instances.instance import PoolInstance


def breaches(instance: PoolInstance, assignment: Int64) -> tuple[str, ...]:
    """Every rule that is broken, in words with the values."""
    if assignment.shape != instance.klass.shape:
        return (f"{assignment.shape[0]} pools for {len(instance.klass)} requests",)
    there = (assignment >= 0) & (assignment < len(instance.capacity))
    return (
        *_strangers(instance, assignment, there),
        *_overfull(instance, assignment, there),
        *_crowded(instance, assignment, there),
    )


def cost(instance: PoolInstance, assignment: Int64) -> int:
    """Unit costs, opened pools, licence packs and unplaced requests."""
    placed = np.flatnonzero(assignment >= 0)
    pool, klass = assignment[placed], instance.klass[placed]
    opened = np.unique(pool)
    needs = np.where(instance.windows[klass] > 0, instance.demand[klass, 0], 0)
    vcpus = np.zeros(len(instance.capacity), dtype=np.int64)
    np.add.at(vcpus, pool, needs)
    packs = -(-vcpus // instance.licence_pack_vcpus)
    return (
        int(instance.unit_cost[klass, pool].sum())
        + int(instance.open_cost[opened].sum())
        + int(packs.sum()) * instance.licence_pack_cost
        + (len(assignment) - len(placed)) * instance.unplaced_cost
    )


def _strangers(instance: PoolInstance, assignment: Int64, there: Bool) -> list[str]:
    """Requests in pools that there are not, or that are not for their class."""
    unknown = np.flatnonzero(~there & (assignment != -1))
    found = [f"request {i}: there is no pool {assignment[i]}" for i in unknown.tolist()]
    placed = np.flatnonzero(there)
    barred = placed[~instance.allowed[instance.klass[placed], assignment[placed]]]
    return found + [
        f"request {i}: class {instance.klass[i]} is not allowed on pool {assignment[i]}"
        for i in barred.tolist()
    ]


def _overfull(instance: PoolInstance, assignment: Int64, there: Bool) -> list[str]:
    used = np.zeros_like(instance.capacity)
    np.add.at(used, assignment[there], instance.demand[instance.klass[there]])
    return [
        f"pool {p}: {used[p, r]} of resource {r} used, {instance.capacity[p, r]} there"
        for p, r in np.argwhere(used > instance.capacity).tolist()
    ]


def _crowded(instance: PoolInstance, assignment: Int64, there: Bool) -> list[str]:
    """Applications with more of themselves in a pool than their share."""
    size = np.bincount(instance.app, minlength=len(instance.app_spread))
    pools = len(instance.capacity)
    key, number = np.unique(instance.app[there] * pools + assignment[there], return_counts=True)
    app = key // pools if pools else key
    if instance.app_most is None:
        most = np.where(size[app] >= 2, np.ceil(instance.app_max_share * size[app]), 1)
    else:
        most = instance.app_most[app]
    wrong = np.flatnonzero(instance.app_spread[app] & (number > most))
    return [
        f"application {app[i]}: {number[i]} of {size[app[i]]} requests on pool {key[i] % pools}"
        for i in wrong.tolist()
    ]

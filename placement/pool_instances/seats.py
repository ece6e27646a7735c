"""Counts of classes -> a pool for each request, with applications spread as they must be.

No cost depends on the application, so whoever of a class sits where is free to choose; only where
spreading leaves a request without a seat is there anything to pay.
"""

import numpy as np

from placement.arrays import Int64
from placement.pool_instances.instance import PoolInstance


def seat(instance: PoolInstance, counts: Int64) -> Int64:
    """[N] the pool of each request, -1 for none, from `counts` [C, P].

    Keeps the share of every application; a request for which no swap within its class does gets -1,
    although its class has a seat left.
    """
    assignment = _interleaved(instance, counts)
    pools, limits = counts.shape[1], instance.group_limits()
    placed = np.flatnonzero(assignment >= 0)
    per = np.zeros((len(limits), pools), dtype=np.int64)
    np.add.at(per, (instance.app[placed], assignment[placed]), 1)
    members = np.split(
        np.argsort(instance.klass, kind="stable"),
        np.cumsum(np.bincount(instance.klass, minlength=len(counts)))[:-1],
    )
    for a, p in np.argwhere(per > limits[:, None]).tolist():
        for request in np.flatnonzero((instance.app == a) & (assignment == p)).tolist():
            if per[a, p] <= limits[a]:
                break
            same = members[instance.klass[request]]
            _swap(instance, assignment, per, request, same[instance.app[same] != a])
        for request in np.flatnonzero((instance.app == a) & (assignment == p)).tolist():
            if per[a, p] <= limits[a]:
                break
            assignment[request] = -1
            per[a, p] -= 1
    return assignment


def _interleaved(instance: PoolInstance, counts: Int64) -> Int64:
    """Each class's pools dealt out in turn over its requests, application by application."""
    size = np.bincount(instance.klass, minlength=len(counts))
    pools = np.arange(counts.shape[1] + 1)
    order = np.lexsort((instance.app, instance.klass))
    seats = np.empty(len(order), dtype=np.int64)
    end = np.cumsum(size)
    for c, last in enumerate(end.tolist()):
        each = np.append(counts[c], size[c] - counts[c].sum())
        within = np.arange(size[c]) - np.repeat(np.cumsum(each) - each, each)
        turn = (within + 0.5) / np.repeat(each, each)
        dealt = np.repeat(pools, each)[np.argsort(turn, kind="stable")]
        seats[last - size[c] : last] = np.where(dealt == counts.shape[1], -1, dealt)
    assignment = np.empty_like(seats)
    assignment[order] = seats
    return assignment


def _swap(instance: PoolInstance, assignment: Int64, per: Int64, request: int, others: Int64) -> None:
    """Exchange the seats of a request and the first of the others with whom that breaks nothing."""
    limits = instance.group_limits()
    a, p = int(instance.app[request]), int(assignment[request])
    theirs, apps = assignment[others], instance.app[others]
    mine_fits = (theirs < 0) | (per[a, theirs] < limits[a])
    fits = (theirs != p) & mine_fits & (per[apps, p] < limits[apps])
    if not fits.any():
        return
    other = int(others[int(np.argmax(fits))])
    q, b = int(assignment[other]), int(instance.app[other])
    assignment[request], assignment[other] = q, p
    per[a, p] -= 1
    per[b, p] += 1
    if q >= 0:
        per[a, q] += 1
        per[b, q] -= 1

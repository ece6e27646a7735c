"""Identical requests are counted, not listed: the solver decides how many go where."""

from dataclasses import dataclass

import numpy as np

from placement.problem import Int64, PlacementProblem


@dataclass(frozen=True, eq=False)
class Classes:
    """The distinct requests of a problem; G classes. Permuting the requests changes only `of`."""

    of: Int64
    """[R] the class of each request."""
    count: Int64
    """[G] how many requests each class has."""
    demand: Int64
    """[G, K]."""
    allowed: Int64
    """[G, P] 1 where policies allow the pair."""
    cost: Int64
    """[G, P] cost of one request there, in micros."""
    current: Int64
    """[G, P] how many of the class run there today."""


def classes_of(problem: PlacementProblem) -> Classes:
    """Group requests with the same demand, the same allowed pools and the same costs."""
    r, p, k = len(problem.request_ids), len(problem.pool_ids), len(problem.resource_classes)
    # The constant column keeps the key non-empty where there are neither pools nor resources.
    columns = (np.zeros((r, 1), dtype=np.int64), problem.demand, problem.allowed(), problem.cost_micros)
    distinct, of, count = np.unique(
        np.concatenate(columns, axis=1, dtype=np.int64), axis=0, return_inverse=True, return_counts=True
    )
    of = of.reshape(-1)
    _, demand, allowed, cost = np.split(distinct, np.cumsum([1, k, p]), axis=1)
    current = np.zeros((len(count), p), dtype=np.int64)
    if problem.current is not None:
        runs = np.flatnonzero(problem.current >= 0)
        np.add.at(current, (of[runs], problem.current[runs]), 1)
    return Classes(of, count, demand, allowed, cost, current)


def spread(problem: PlacementProblem, classes: Classes, counts: Int64) -> Int64:
    """[R] the pool of each request, -1 for none, from `counts` [G, P] of each class in each pool.

    Who runs in a pool that keeps enough of its class stays there; then earlier requests take the
    cheapest places, and where places run out the last requests of the class go without.
    """
    left = counts.copy()
    pool_of = np.full(len(problem.request_ids), -1, dtype=np.int64)
    if problem.current is not None:
        for i in np.flatnonzero(problem.current >= 0).tolist():
            seat = classes.of[i], problem.current[i]
            if left[seat] > 0:
                left[seat] -= 1
                pool_of[i] = problem.current[i]
    waiting = np.flatnonzero(pool_of < 0)
    waiting = waiting[np.argsort(classes.of[waiting], kind="stable")]
    starts = np.searchsorted(classes.of[waiting], np.arange(len(classes.count)))
    for g, start in enumerate(starts.tolist()):
        cheapest_first = np.argsort(classes.cost[g], kind="stable")
        seats = np.repeat(cheapest_first, left[g][cheapest_first])
        pool_of[waiting[start : start + len(seats)]] = seats
    return pool_of

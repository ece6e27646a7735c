"""Identical requests are counted, not listed: solvers decide how many go where."""

from dataclasses import dataclass

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.distinct import distinct
from placement.problem import PlacementProblem


@dataclass(frozen=True, eq=False)
class Classes:
    """The distinct requests of a problem; G classes. Permuting the requests changes only `of` and `one`."""

    of: Int64
    """[R] the class of each request."""
    one: Int64
    """[G] a request of each class: what constraints see of it is true of all."""
    count: Int64
    """[G] how many requests each class has."""
    demand: Int64
    """[G, K]."""
    allowed: Bool
    """[G, V] where policies allow the pair."""
    cost: Int64
    """[G, V] cost of one request there, in micros."""
    current: Int64
    """[G, V] how many of the class run there today."""
    priority: Int64
    """[G]."""


def classes_of(problem: PlacementProblem) -> Classes:
    """Group requests that have the same demand, prices, refusals, priority and period, and that no constraint tells apart."""
    allowed = problem.allowed()
    columns: list[Int64 | Bool] = [problem.demand, allowed, problem.cost_micros]
    of, one, count = distinct(
        [*columns, *_own_columns(problem), *_labels(problem)], len(problem.request_ids)
    )
    pool_of = problem.providers.pool_of
    v = len(pool_of)
    current = np.zeros((len(count), v), dtype=np.int64)
    if problem.current is not None:
        runs = np.flatnonzero(problem.current >= 0)
        np.add.at(current, (of[runs], problem.current[runs]), 1)
    return Classes(
        of=of,
        one=one,
        count=count,
        demand=problem.demand[one],
        allowed=allowed[one][:, pool_of],
        cost=np.ascontiguousarray(problem.cost_micros[one][:, pool_of]),
        current=current,
        priority=np.zeros(len(one), dtype=np.int64) if problem.priority is None else problem.priority[one],
    )


def _own_columns(problem: PlacementProblem) -> list[Int64]:
    """What the problem itself tells requests apart by, beyond demand, prices and refusals."""
    columns = []
    if problem.priority is not None:
        columns.append(problem.priority[:, None])
    if problem.periods is not None:
        columns += [problem.periods.first[:, None], problem.periods.end[:, None]]
    return columns


def _labels(problem: PlacementProblem) -> list[Int64]:
    found = (one.labels(problem) for one in constraints.of(problem))
    return [labels.reshape(len(problem.request_ids), -1) for labels in found if labels is not None]


def spread(problem: PlacementProblem, classes: Classes, counts: Int64) -> Int64:
    """[R] the provider of each request, -1 for none, from `counts` [G, V] of each class on each provider.

    Who runs on a provider that keeps enough of its class stays there; then earlier requests take the
    cheapest places, and where places run out the last requests of the class go without.
    """
    left = counts.copy()
    provider_of = np.full(len(problem.request_ids), -1, dtype=np.int64)
    if problem.current is not None:
        for i in np.flatnonzero(problem.current >= 0).tolist():
            seat = classes.of[i], problem.current[i]
            if left[seat] > 0:
                left[seat] -= 1
                provider_of[i] = problem.current[i]
    waiting = np.flatnonzero(provider_of < 0)
    waiting = waiting[np.argsort(classes.of[waiting], kind="stable")]
    starts = np.searchsorted(classes.of[waiting], np.arange(len(classes.count)))
    for g, start in enumerate(starts.tolist()):
        cheapest_first = np.argsort(classes.cost[g], kind="stable")
        seats = np.repeat(cheapest_first, left[g][cheapest_first])
        provider_of[waiting[start : start + len(seats)]] = seats
    return provider_of

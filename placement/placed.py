"""What a set of decisions leaves free: the ground on which explanations stand."""

from dataclasses import dataclass

import numpy as np

from placement.problem import Int64, PlacementProblem


@dataclass(frozen=True, eq=False)
class Placed:
    """A problem with a pool for each request, and what is free once they are there."""

    problem: PlacementProblem
    pool_of: Int64
    """[R] the pool of each request, -1 for none."""
    free_after: Int64
    """[P, K] negative where a running estate takes more than there is."""
    requests_in: Int64
    """[P] how many of these requests each pool takes."""


def placed(problem: PlacementProblem, pool_of: Int64) -> Placed:
    """Count what the requests take from each pool."""
    seated = np.flatnonzero(pool_of >= 0)
    free = problem.free.copy()
    np.subtract.at(free, pool_of[seated], problem.demand[seated])
    requests_in = np.bincount(pool_of[seated], minlength=len(problem.pool_ids)).astype(np.int64)
    return Placed(problem, pool_of, free, requests_in)

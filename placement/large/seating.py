"""Plans made by asking the online kernel for one request after another."""

from collections.abc import Iterator, Sequence

import numpy as np

from placement.arrays import Int64
from placement.online import Online
from placement.problem import PlacementProblem

_PARTS = 2**20


def sizes(problem: PlacementProblem) -> Int64:
    """[R] the share of all free room that each request takes, of the resource where that is largest; in parts of 2**20."""
    free = np.maximum(problem.providers.free.sum(axis=0), 1).astype(np.float64)
    share = (problem.demand / free).max(axis=1, initial=0.0) * max(1, len(problem.providers.ids))
    size: Int64 = np.rint(share * _PARTS).astype(np.int64)
    return size


def orders(problem: PlacementProblem, choices: Int64) -> Iterator[Int64]:
    """Orders to place requests in, those of higher priority first; `choices` [R] is how many providers each has.

    Largest first; those with the fewest providers first; and those that run today first.
    """
    priority = np.zeros(len(choices), dtype=np.int64) if problem.priority is None else problem.priority
    size = sizes(problem)
    rank = np.floor(np.log2(np.maximum(choices, 1))).astype(np.int64)
    yield np.lexsort((-size, -priority))
    yield np.lexsort((-size, rank, -priority))
    if problem.current is not None:
        yield np.lexsort((-size, problem.current < 0, -priority))


def seat_in(seating: Online, order: Int64) -> list[int]:
    """Place one after another, and once more those that found nothing at first; who was placed, in order."""
    first = order[seating.decide_many(order) >= 0]
    left = order[seating.provider_of[order] < 0]
    return [*first.tolist(), *left[seating.decide_many(left) >= 0].tolist()]


def stay(seating: Online, problem: PlacementProblem, requests: Sequence[int]) -> list[int]:
    """Leave those who run where they run, as far as the rules let them; who stays."""
    assert problem.current is not None
    found = []
    for i in requests:
        home = int(problem.current[i])
        if home >= 0:
            try:
                seating.place(i, home)
            except ValueError:
                continue
            found.append(i)
    return found

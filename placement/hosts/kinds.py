"""What is interchangeable: requests of one shape, and hosts of one capacity and cost.

A pool of 10,000 requests and 500 hosts seldom has more than 50 shapes and a handful of kinds of
host. Bounds and exact models count these; only the annealing looks at single requests.
"""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.hosts.problem import HostProblem


@dataclass(frozen=True, eq=False)
class Kinds:
    """C shapes that fit some host, and T kinds of host."""

    shape_of: Int64
    """[R] the shape of each request, -1 where no host could ever take it."""
    demand: Int64
    """[C, K]."""
    count: Int64
    """[C] how many requests have the shape."""
    kind_of: Int64
    """[H] the kind of each host."""
    capacity: Int64
    """[T, K]."""
    cost: Int64
    """[T]."""
    hosts: Int64
    """[T] how many there are of each kind."""
    fits: Bool
    """[C, T] whether an empty host of the kind can take a request of the shape."""

    @property
    def impossible(self) -> int:
        """How many requests fit no host, even an empty one."""
        return int((self.shape_of < 0).sum())


def kinds_of(problem: HostProblem) -> Kinds:
    """Both kinds of identity, numbered by value so that the order of rows plays no part."""
    demand, shape_of, count = np.unique(problem.demand, axis=0, return_inverse=True, return_counts=True)
    rows = np.column_stack([problem.capacity, problem.host_cost])
    kinds, kind_of, hosts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    fits: Bool = np.all(demand[:, None, :] <= kinds[None, :, :-1], axis=2)
    possible: Bool = np.any(fits, axis=1)
    renumbered = np.where(possible, np.cumsum(possible) - 1, -1)
    return Kinds(
        shape_of=renumbered[shape_of.reshape(-1)].astype(np.int64),
        demand=demand[possible],
        count=count[possible].astype(np.int64),
        kind_of=kind_of.reshape(-1).astype(np.int64),
        capacity=kinds[:, :-1],
        cost=kinds[:, -1],
        hosts=hosts.astype(np.int64),
        fits=fits[possible],
    )


def switched_on(kinds: Kinds, counts: Int64) -> Int64:
    """The first `counts` [T] hosts of each kind, as positions in ascending order."""
    chosen = [np.flatnonzero(kinds.kind_of == t)[:n] for t, n in enumerate(counts.tolist())]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))

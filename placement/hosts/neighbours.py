"""Which hosts CP-SAT looks at together: few enough for a few hundred variables."""

import numpy as np

from placement.arrays import Int64
from placement.hosts.kinds import Kinds
from placement.hosts.problem import HostProblem

VARIABLES = 400
"""Measured: parts of 300 to 450 counts are mostly solved to the end in a fraction of a second."""


def choose(kinds: Kinds, problem: HostProblem, host_of: Int64, chance: np.random.Generator) -> Int64:
    """Some hosts that are on, poorly filled ones more often, and one of each kind that is off."""
    on = np.zeros(len(kinds.kind_of), dtype=np.bool_)
    on[host_of[host_of >= 0]] = True
    used = np.flatnonzero(on)
    off = [np.flatnonzero(~on & (kinds.kind_of == t))[:1] for t in range(len(kinds.cost))]
    chosen = np.concatenate([_drawn(kinds, problem, host_of, used, chance), *off])
    return np.sort(chosen)


def _drawn(
    kinds: Kinds, problem: HostProblem, host_of: Int64, used: Int64, chance: np.random.Generator
) -> Int64:
    load = np.zeros_like(problem.capacity)
    np.add.at(load, host_of[host_of >= 0], problem.demand[host_of >= 0])
    full = (load[used] / np.maximum(problem.capacity[used], 1)).max(axis=1, initial=0.0)
    dear = problem.host_cost[used] / max(1, int(problem.host_cost.max(initial=1)))
    # Gumbel noise on what speaks for a host draws without replacement in proportion to its exponential.
    order = np.argsort(-((1.0 - full) * 3.0 + dear + chance.gumbel(size=len(used))), kind="stable")
    shapes: set[int] = set(kinds.shape_of[(host_of < 0) & (kinds.shape_of >= 0)].tolist())
    for n, h in enumerate(used[order].tolist()):
        shapes |= set(kinds.shape_of[host_of == h].tolist())
        if n >= 2 and len(shapes) * (n + 1) > VARIABLES:
            return used[order[:n]]
    return used[order]

"""Hosts with one or two nodes, or none given; requests on one, on two, pinned, or on none in particular."""

import numpy as np

from placement.constraints.numa import Node, Numa, OnNodes
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Numa:
    """For problems with hosts."""
    hosts = {name: _nodes(chance) for name in problem.providers.ids if chance.random() < 0.85}
    return Numa(
        hosts=hosts,
        requests={
            name: OnNodes(nodes=int(chance.integers(1, 3)), pinned=bool(chance.random() < 0.3))
            for name in problem.request_ids
            if chance.random() < 0.8
        },
    )


def _nodes(chance: np.random.Generator) -> tuple[Node, ...]:
    return tuple(
        Node(
            free={"vcpu": int(chance.integers(1, 10)), "memory_mib": int(chance.integers(1, 10))},
            pinned_free=int(chance.integers(0, 6)),
        )
        for _ in range(int(chance.integers(1, 3)))
    )

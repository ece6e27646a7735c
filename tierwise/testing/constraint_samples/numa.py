"""Hosts with one or two nodes, or none given; requests on one, on two, pinned, or on none in particular."""

import numpy as np

from placement.constraints.numa import Node, Numa, OnNodes
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Numa:
    """For problems with hosts; nodes have room for about one machine and a half."""
    kept = some(chance, problem.resource_classes, least=int(chance.random() < 0.9))
    hosts = {
        name: _nodes(problem, chance, kept) for name in problem.providers.ids if chance.random() < 0.85
    }
    return Numa(
        hosts=hosts,
        requests={
            name: OnNodes(nodes=int(chance.integers(1, 3)), pinned=bool(chance.random() < 0.3))
            for name in problem.request_ids
            if chance.random() < 0.8
        },
    )


def _nodes(
    problem: PlacementProblem, chance: np.random.Generator, kept: tuple[str, ...]
) -> tuple[Node, ...]:
    most = dict(zip(problem.resource_classes, problem.demand.max(axis=0).tolist(), strict=True))
    return tuple(
        Node(
            free={name: int(chance.integers(most[name] // 2, most[name] * 2 + 1)) for name in kept},
            pinned_free=int(chance.integers(0, 6)),
        )
        for _ in range(int(chance.integers(1, 3)))
    )

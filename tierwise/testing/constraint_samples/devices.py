"""Hosts with up to two models of devices, and requests for one or two of either or both."""

import numpy as np

from placement.constraints.devices import Ask, Devices
from placement.problem import PlacementProblem

_MODELS = ("a100", "t4")


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Devices:
    """For problems with hosts."""
    free = chance.integers(0, 4, (len(problem.providers.ids), 2)).tolist()
    hosts = {
        host: dict(zip(_MODELS, n, strict=True))
        for host, n in zip(problem.providers.ids, free, strict=True)
    }
    picks = [_MODELS, _MODELS[:1], _MODELS[1:]]
    return Devices(
        hosts=hosts,
        requests={
            name: Ask(count=int(chance.integers(1, 3)), models=picks[int(chance.integers(0, 3))])
            for name in problem.request_ids
            if chance.random() < 0.8
        },
    )

"""One or two hosts of one or both pools may fail; sometimes not everyone must restart."""

import numpy as np

from placement.constraints.ha_reserve import HaReserve
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> HaReserve:
    """For problems with hosts."""
    pools = [name for name in problem.pool_ids if chance.random() < 0.7] or list(problem.pool_ids[:1])
    return HaReserve(
        pools={name: 2 if chance.random() < 0.25 else 1 for name in pools},
        restart=some_requests(problem, chance) if chance.random() < 0.4 else None,
    )

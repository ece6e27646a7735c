"""Some requests apart in any label's domains, as a must or as a wish."""

import numpy as np

from placement.constraints.anti_affinity import AntiAffinity
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import a_label, maybe_penalty, some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> AntiAffinity:
    """Valid for any problem with a request and a provider."""
    return AntiAffinity(
        requests=some_requests(problem, chance),
        label=a_label(problem, chance),
        most=int(chance.integers(1, 3)),
        penalty_micros=maybe_penalty(chance),
    )

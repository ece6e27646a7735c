"""Some requests together in any label's domains, as a must or as a wish."""

import numpy as np

from placement.constraints.affinity import Affinity
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import a_label, maybe_penalty, some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Affinity:
    """Valid for any problem with a request and a provider."""
    return Affinity(
        requests=some_requests(problem, chance),
        label=a_label(problem, chance),
        penalty_micros=maybe_penalty(chance),
    )

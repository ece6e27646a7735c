"""Some requests may be given up; whether the others can all be placed is for the solver to find out."""

import numpy as np

from placement.constraints.preemption import Preemption
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Preemption:
    """More than half of the requests are preemptible."""
    return Preemption(preemptible=tuple(name for name in problem.request_ids if chance.random() < 0.6))

"""Some hosts or pools in maintenance."""

import numpy as np

from placement.constraints.maintenance import Maintenance
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some_providers


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Maintenance:
    """Valid for any problem with a provider."""
    return Maintenance(providers=some_providers(problem, chance), evacuate=bool(chance.random() < 0.4))

"""Balance over some hosts and resource classes, and headroom of some."""

import numpy as np

from placement.constraints.balance import Balance
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Balance:
    """Headroom of up to 60 %; all hosts and classes half of the time."""
    classes = problem.resource_classes
    return Balance(
        hosts=tuple(chance.permutation(problem.providers.ids)[:2].tolist())
        if chance.random() < 0.5
        else (),
        resource_classes=classes[:1] if chance.random() < 0.5 else (),
        headroom_ppm={name: int(chance.integers(0, 600_001)) for name in classes if chance.random() < 0.5},
    )

"""Costs of moving, some requests and a group dearer than the rest."""

import numpy as np

from placement.constraints.move_cost import MoveCost
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> MoveCost:
    """Any costs; nothing moves where the problem has no running machines."""
    names = [*chance.permutation(problem.request_ids)[:2].tolist(), *problem.groups]
    return MoveCost(
        cost_micros={name: int(chance.integers(0, 30)) for name in names if chance.random() < 0.7},
        default_cost_micros=int(chance.integers(0, 30)),
    )

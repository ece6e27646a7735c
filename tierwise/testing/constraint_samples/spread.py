"""Some requests spread over any label's domains or some of them, as a must or as a wish."""

import numpy as np

from placement.constraints.spread import Spread
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import a_label, maybe_penalty, some, some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Spread:
    """Valid for any problem with a request and a provider."""
    label = a_label(problem, chance)
    where = problem.domains(label)
    assert where is not None, f"'{label}' is a label of the problem"
    chosen = some(chance, where.names) if chance.random() < 0.3 else None
    return Spread(
        requests=some_requests(problem, chance),
        label=label,
        max_skew=int(chance.integers(1, 3)),
        min_domains=int(chance.integers(1, len(chosen or where.names) + 3)),
        domains=chosen,
        penalty_micros=maybe_penalty(chance),
    )

"""A quota of some requests, of resources and machines, some of it used."""

import numpy as np

from placement.constraints.quotas import Quotas
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some, some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Quotas:
    """Valid for any problem with a request and a provider."""
    limited = some(chance, (*problem.resource_classes, "machines"))
    most = {name: 4 if name == "machines" else 20 for name in limited}
    used = some(chance, limited, least=0)
    return Quotas(
        requests=some_requests(problem, chance),
        limits={name: int(chance.integers(0, most[name] + 1)) for name in limited},
        used={name: int(chance.integers(0, most[name] // 2 + 1)) for name in used},
    )

"""Some requests and some hosts or pools, in any relation."""

import numpy as np

from placement.constraints.host_groups import HostGroups
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import one_of, some_providers, some_requests


def sample(problem: PlacementProblem, chance: np.random.Generator) -> HostGroups:
    """Valid for any problem with a request and a provider."""
    relation = one_of(chance, ("must", "must_not", "should", "should_not"))
    penalty = int(chance.integers(1, 15)) if relation.startswith("should") else None
    return HostGroups(
        requests=some_requests(problem, chance),
        providers=some_providers(problem, chance),
        relation=relation,
        penalty_micros=penalty,
    )

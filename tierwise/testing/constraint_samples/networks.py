"""A few networks, reached by some providers, needed by some requests."""

import numpy as np

from placement.constraints.networks import Networks
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some, some_providers, some_requests

_NAMES = ("dmz", "lan", "vlan 12")


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Networks:
    """Valid for any problem with a request and a provider."""
    return Networks(
        providers={name: some(chance, _NAMES) for name in some_providers(problem, chance)},
        requests={name: some(chance, _NAMES[:2], least=0) for name in some_requests(problem, chance)},
    )

"""A few traits and capabilities, on some providers, wanted by some requests."""

import numpy as np

from placement.constraints.traits import Traits
from placement.problem import PlacementProblem
from tierwise.testing.constraints.chance import some, some_providers, some_requests

_NAMES = ("HW_GPU", "STORAGE_SSD", "ha_restart")


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Traits:
    """Valid for any problem with a request and a provider."""
    requests = some_requests(problem, chance)
    return Traits.model_validate(
        {
            "providers": {name: some(chance, _NAMES) for name in some_providers(problem, chance)},
            "requests": {name: _wanted(chance) for name in requests},
        }
    )


def _wanted(chance: np.random.Generator) -> dict[str, object]:
    first, second, third = chance.permutation(_NAMES).tolist()
    wanted: dict[str, object] = {}
    if chance.random() < 0.5:
        wanted["required"] = [first]
    if chance.random() < 0.3:
        wanted["forbidden"] = [second]
    if chance.random() < 0.4:
        wanted["any_of"] = [some(chance, (first, third))]
    return wanted

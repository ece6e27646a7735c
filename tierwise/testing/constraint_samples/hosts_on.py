"""Costs of hosts that are on, some running anyway, sometimes with a limit on how many."""

import numpy as np

from placement.constraints.hosts_on import HostsOn
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> HostsOn:
    """Any costs by pool and by host; the limit is never below those that run anyway."""
    names = problem.providers.ids
    running = tuple(name for name in names if chance.random() < 0.2)
    some = tuple(name for name in names if chance.random() < 0.7)
    named = [*chance.permutation(names)[:2].tolist(), *problem.pool_ids[:1]]
    return HostsOn(
        hosts=some if chance.random() < 0.3 else (),
        cost_micros={name: int(chance.integers(0, 40)) for name in named},
        default_cost_micros=int(chance.integers(0, 40)),
        already_on=running,
        most_on=int(chance.integers(len(running), len(names) + 1)) if chance.random() < 0.5 else None,
    )

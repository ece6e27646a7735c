"""One to three datastores of two tiers, each reached by a pool or some providers, and requests that any of them may suit."""

import numpy as np

from placement.constraints.datastores import Datastore, Datastores, Disk
from placement.problem import PlacementProblem

_TIERS = ("gold", "silver")


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Datastores:
    """For any small problem."""
    stores = {f"ds{n}": _store(problem, chance) for n in range(int(chance.integers(1, 4)))}
    tiers = sorted({store.tier for store in stores.values()})
    return Datastores(
        datastores=stores,
        requests={
            name: Disk(
                disk_gib=int(chance.integers(1, 6)),
                iops=int(chance.integers(0, 6)),
                tiers=(str(chance.choice(tiers)),) if chance.random() < 0.4 else (),
            )
            for name in problem.request_ids
            if chance.random() < 0.85
        },
    )


def _store(problem: PlacementProblem, chance: np.random.Generator) -> Datastore:
    some = [name for name in problem.providers.ids if chance.random() < 0.6]
    return Datastore(
        free_gib=int(chance.integers(2, 12)),
        free_iops=int(chance.integers(2, 12)),
        tier=str(chance.choice(_TIERS)),
        reached_by=(str(chance.choice(problem.pool_ids)),) if chance.random() < 0.4 else tuple(some),
    )

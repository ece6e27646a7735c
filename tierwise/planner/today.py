"""The estate as it runs today, as a planning problem in which nothing is decided but how licences are counted.

Everything stays where it is, all hosts are kept, and nobody asks whether there is room: how much is missing is told by
the same sums as for every plan (`tierwise.planner.rooms`).
"""

from dataclasses import replace

import numpy as np

from placement.arrays import Int64
from placement.planning.problem import PlanningProblem
from tierwise.planner.build import Built


def as_it_runs(built: Built) -> PlanningProblem:
    """Today's problem. Machines of no pool are left out; hosts of pools without machines too."""
    problem = built.problem
    groups, blocks, pools = problem.groups, problem.blocks, problem.pools
    here = groups.current >= 0
    at = np.flatnonzero(here)
    allowed = np.zeros_like(groups.allowed)
    allowed[at, groups.current[at]] = True
    used = np.isin(blocks.pool_of, groups.current[here])
    existing = np.where(used, blocks.existing, 0)
    enough = (groups.count[:, None] * groups.demand).sum(axis=0) + groups.demand.max(axis=0, initial=0) + 1
    return replace(
        problem,
        groups=replace(
            groups,
            ids=tuple(groups.ids[g] for g in at),
            count=groups.count[at],
            demand=groups.demand[at],
            current=groups.current[at],
            allowed=allowed[at],
            rejections={},
            costs={term: micros[at] for term, micros in groups.costs.items()},
            move_cost=None if groups.move_cost is None else groups.move_cost[at],
            restart=None if groups.restart is None else groups.restart[at],
        ),
        blocks=replace(
            blocks,
            existing=existing,
            most=existing,
            capacity=np.broadcast_to(enough, blocks.capacity.shape).copy(),
            largest=np.broadcast_to(enough, blocks.capacity.shape).copy(),
        ),
        pools=replace(
            pools,
            losses=np.zeros_like(pools.losses),
            shared=np.zeros_like(pools.shared),
            least_hosts=np.maximum(1, _by_pool(existing, blocks.pool_of, len(pools.ids))),
        ),
        products=tuple(replace(one, groups=one.groups[at], parts=False) for one in problem.products),
        sunk={},
        most_moves=None,
    )


def _by_pool(hosts: Int64, pool_of: Int64, pools: int) -> Int64:
    found = np.zeros(pools, dtype=np.int64)
    np.add.at(found, pool_of, hosts)
    return found

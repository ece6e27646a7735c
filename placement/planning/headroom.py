"""Room of each pool with its largest hosts lost, as plans tell it."""

from collections.abc import Iterator

from placement.arrays import Int64
from placement.planning.plan import Headroom
from placement.planning.problem import PlanningProblem


def headroom_of(problem: PlanningProblem, counts: Int64, hosts: Int64) -> tuple[Headroom, ...]:
    """Of each pool that has hosts or machines, by resource class; pools without are left out."""
    return tuple(one for p in range(len(problem.pools.ids)) for one in _of_pool(problem, counts, hosts, p))


def _of_pool(problem: PlanningProblem, counts: Int64, hosts: Int64, p: int) -> Iterator[Headroom]:
    groups, blocks, pools = problem.groups, problem.blocks, problem.pools
    inside = [b for b, of in enumerate(blocks.pool_of.tolist()) if of == p]
    if not any(int(hosts[b]) for b in inside) and not counts[:, p].any():
        return
    here = counts[:, p]
    again = here if groups.restart is None else here * groups.restart
    for k, resource in enumerate(problem.resource_classes):
        each = sorted(
            (int(blocks.capacity[b, k]) for b in inside for _ in range(int(hosts[b]))), reverse=True
        )
        shared = int(pools.shared[p, k])
        yield Headroom(
            pool=pools.ids[p],
            resource_class=resource,
            capacity=sum(each) + shared,
            without_losses=sum(each[int(pools.losses[p]) :]) + shared,
            load=int(here @ groups.demand[:, k]),
            restarting=int(again @ groups.demand[:, k]),
        )

"""Whether a plan's machines fit on actual hosts: the plan adds up what hosts give, and machines cannot be divided.

All machines of a pool are packed on all of its hosts. That those that restart fit on what remains after a failure is
counted in sums only: which hosts have room for whom then depends on where they were before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.wording import counted
from placement.arrays import Int64
from placement.hosts.greedy import best
from placement.hosts.kinds import kinds_of
from placement.hosts.problem import HostProblem
from placement.hosts.solve import solve as pack
from placement.plan import Limits
from placement.planning.plan import PlanningPlan
from placement.planning.problem import PlanningProblem

DEFAULT_LIMITS = Limits(deterministic_time=1.0, time_limit_s=10.0)
_MOST_MORE = 16


@dataclass(frozen=True)
class Packed:
    """How a pool's machines fit on its hosts."""

    pool: str
    machines: int
    hosts: int
    left_out: int
    """Machines that found no host; 0: it packs."""
    more_hosts: int
    """Hosts of its largest block with which it does; 0 where it packs already, -1 where none were found to be enough."""

    def __str__(self) -> str:
        """In words."""
        if not self.left_out:
            return f"pool '{self.pool}' packs onto its {counted(self.hosts, 'host')}"
        told = f"pool '{self.pool}': {self.left_out:,} of {counted(self.machines, 'machine')} did not pack onto {counted(self.hosts, 'host')}"
        if self.more_hosts < 0:
            return f"{told}; look at their sizes"
        return f"{told}; plan {self.more_hosts} more"


def packed(
    problem: PlanningProblem, plan: PlanningPlan, limits: Limits = DEFAULT_LIMITS
) -> tuple[Packed, ...]:
    """Of each pool with machines. That it packs is certain; that it does not, only that no packing was found."""
    pools = np.flatnonzero(plan.counts.any(axis=0)).tolist()
    return tuple(_of_pool(problem, plan, p, limits) for p in pools)


def _of_pool(problem: PlanningProblem, plan: PlanningPlan, p: int, limits: Limits) -> Packed:
    blocks = problem.blocks
    inside = np.flatnonzero(blocks.pool_of == p)
    given = np.flatnonzero((blocks.capacity[inside] > 0).any(axis=0))
    machines = np.repeat(problem.groups.demand[:, given], plan.counts[:, p], axis=0)
    capacity = blocks.capacity[np.ix_(inside, given)]
    largest = int(np.argmax((capacity / np.maximum(1, capacity.max(axis=0))).sum(axis=1)))
    hosts = plan.hosts[inside].copy()
    number = int(hosts.sum())
    out = first = _left_out(machines, capacity, hosts, limits)
    more = 0
    while out and more < _MOST_MORE:
        more += 1
        hosts[largest] += 1
        out = _left_out(machines, capacity, hosts, limits)
    return Packed(problem.pools.ids[p], len(machines), number, first, -1 if out else more)


def _left_out(machines: Int64, capacity: Int64, hosts: Sequence[int] | Int64, limits: Limits) -> int:
    """First fit in several orders; where that leaves any out, a search."""
    kind = np.repeat(np.arange(len(capacity), dtype=np.int64), hosts)
    if not capacity.shape[1]:
        return 0
    problem = HostProblem(
        demand=machines, capacity=capacity[kind], host_cost=np.ones_like(kind), host_type=kind
    )
    out = int((best(problem, kinds_of(problem)) < 0).sum())
    return pack(problem, limits).unplaced if out else 0

"""``kind: hosts``: machines to pack onto hosts that cost something to switch on."""

import time

from placement.hosts.files import read
from placement.hosts.solve import solve as solve_hosts
from placement.plan import Limits
from tierwise.instances.contract import Columns, Effort, Solved

_NEVER_FIRST = 100.0
"""Deterministic seconds per second of the limit: so many that the clock is what stops the search."""


def solve(columns: Columns, effort: Effort) -> Solved:
    """As many machines as fit, on hosts that together cost as little as the time allows."""
    limits = Limits(
        deterministic_time=effort.time_limit_s * _NEVER_FIRST,
        time_limit_s=effort.left_s,
        seed=effort.seed,
    )
    plan = solve_hosts(read(columns), limits, clock=time.monotonic)
    return Solved(plan.host_of, plan.objective, plan.unplaced, plan.bound)

"""``kind: pools``: requests on pools that cost something to open and to license."""

import time
from concurrent.futures import ThreadPoolExecutor

from placement.pool_instances.instance import from_columns
from placement.pool_instances.solve import PoolLimits
from placement.pool_instances.solve import solve as solve_pools
from tierwise.instances.contract import Columns, Effort, Solved


def solve(columns: Columns, effort: Effort) -> Solved:
    """The cheapest assignment that the time allows. Two threads: so many parts are searched at once."""
    instance = from_columns(columns)
    limits = PoolLimits(time_limit_s=effort.left_s, seed=effort.seed)
    with ThreadPoolExecutor(2) as threads:
        answer = solve_pools(instance, limits, time.monotonic, threads.map)
    return Solved(answer.assignment, answer.objective, answer.unplaced, answer.bound)

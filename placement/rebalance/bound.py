"""What no assignment costs less than: load and balance, each as if all machines were one."""

import numpy as np

from placement.rebalance.paying import rows
from placement.rebalance.reassignment import Reassignment


def lower_bound(problem: Reassignment) -> int:
    """Below or at the cost of every assignment; moves are counted as nothing.

    The sum over machines of max(0, use - safety) is at least max(0, sum of use - sum of safety), and the sums
    of use do not depend on where processes are. The same holds for max(0, target * free - free of the other).
    """
    machines, processes = np.arange(problem.machines), np.arange(problem.processes)
    return sum(row.least for row in rows(problem, machines, processes, problem.capacity))

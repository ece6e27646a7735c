"""What no assignment costs less than: load and balance, each as if all machines were one."""

import numpy as np

from placement.rebalance.reassignment import Reassignment


def lower_bound(problem: Reassignment) -> int:
    """Below or at the cost of every assignment; moves are counted as nothing.

    The sum over machines of max(0, use - safety) is at least max(0, sum of use - sum of safety), and the sums
    of use do not depend on where processes are. The same holds for max(0, target * free - free of the other).
    """
    used = problem.requirement.sum(axis=0)
    load = int((problem.load_weight * np.maximum(0, used - problem.safety.sum(axis=0))).sum())
    free = (problem.capacity.sum(axis=0) - used).tolist()
    for one, other, target, weight in problem.balance.tolist():
        load += int(weight * max(0, target * free[one] - free[other]))
    return load

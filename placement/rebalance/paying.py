"""What machines pay for their load, and what moves cost: one account for the bound, for parts and for their choice."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.rebalance.reassignment import Reassignment


@dataclass(frozen=True, eq=False)
class Row:
    """Each machine pays `weight * max(0, fixed + the changes of the processes that come to it)`."""

    fixed: Int64
    """[machines]."""
    change: Int64
    """[processes]."""
    weight: int

    @property
    def total(self) -> int:
        """Of all the machines, wherever the processes are."""
        return int(self.fixed.sum() + self.change.sum())

    @property
    def least(self) -> int:
        """The machines together pay no less."""
        return self.weight * max(0, self.total)

    @property
    def sign(self) -> int:
        """Where all of them together are above 0, -1: what they pay above the least is then what some are below it."""
        return -1 if self.total > 0 else 1


def rows(problem: Reassignment, machines: Int64, processes: Int64, free: Int64) -> list[Row]:
    """Use above the safety capacity, and free amounts out of proportion; `free` [machines, R] is without the processes."""
    needs = problem.requirement[processes]
    over = problem.capacity[machines] - free - problem.safety[machines]
    found = [Row(over[:, r], needs[:, r], weight) for r, weight in enumerate(problem.load_weight.tolist())]
    for one, other, target, weight in problem.balance.tolist():
        change = needs[:, other] - target * needs[:, one]
        found.append(Row(target * free[:, one] - free[:, other], change, weight))
    return [row for row in found if row.weight]


def moving(problem: Reassignment, processes: Int64, machines: Int64) -> Int64:
    """What it costs that processes are on machines, of shapes that go together; nothing where they were first."""
    home = problem.initial[processes]
    process, _, between = problem.weights.tolist()
    cost = (
        process * problem.process_move_cost[processes] + between * problem.machine_move_cost[home, machines]
    )
    return np.where(home == machines, 0, cost)

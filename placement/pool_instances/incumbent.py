"""The best assignment so far and what is proven of all, told whenever either gets better."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.pool_instances.check import cost
from placement.pool_instances.instance import PoolInstance


@dataclass(frozen=True)
class PoolProgress:
    """A cheaper assignment, or a higher bound, than what was told before."""

    objective: int
    bound: int
    unplaced: int


PoolListener = Callable[[PoolProgress], None]


class Incumbent:
    """At first nobody has a pool, and nothing is proven."""

    def __init__(self, instance: PoolInstance, tell: PoolListener | None) -> None:
        self.assignment: Int64 = np.full(len(instance.klass), -1, dtype=np.int64)
        self.objective, self.bound = cost(instance, self.assignment), 0
        self._instance, self._tell = instance, tell

    def offer(self, assignment: Int64) -> None:
        """Take an assignment that keeps every rule, if it costs less."""
        objective = cost(self._instance, assignment)
        if objective < self.objective:
            self.assignment, self.objective = assignment, objective
            self._report()

    def prove(self, bound: int) -> None:
        """No assignment costs less than this."""
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self._tell:
            unplaced = int((self.assignment < 0).sum())
            self._tell(PoolProgress(self.objective, min(self.bound, self.objective), unplaced))

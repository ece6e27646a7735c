"""What stands against one request on every provider, found once for all that is told of it."""

from dataclasses import dataclass

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.placed import Placed


@dataclass(frozen=True, eq=False)
class Against:
    """One request, in addition to everything else in a plan."""

    after: Placed
    request: int
    blocking: tuple[tuple[Constraint, Bool], ...]
    """Every constraint that blocks any provider, with those [V] that it blocks."""
    count: Int64
    """[V] how many constraints block each."""


def against(after: Placed, request: int) -> Against:
    """Ask every constraint."""
    count = np.zeros(len(after.problem.providers.ids), dtype=np.int64)
    blocking = []
    for one in constraints.of(after.problem):
        blocked = one.blocked(after, request)
        if blocked is not None and blocked.any():
            blocking.append((one, blocked))
            count += blocked
    return Against(after, request, tuple(blocking), count)

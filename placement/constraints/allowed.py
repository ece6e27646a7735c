"""A request goes only where policies allow it."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from placement.arrays import Bool
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.seats import Seats
from policies.decisions import Rejection


class Allowed(Constraint):
    """What the policies' rejections say; of hosts, those of their pool."""

    always: ClassVar[bool] = True

    def fact(self, problem: PlacementProblem) -> str:
        """As in a sentence."""
        return "policies and capabilities must allow the place of a machine"

    def post(self, model: Model) -> None:
        """Forbid every cell that policies refuse."""
        model.forbid(~model.classes.allowed)

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        kernel.forbid(~kernel.classes.allowed)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each request that stands where a policy refuses it."""
        for i, v in enumerate(seats.provider_of.tolist()):
            if v >= 0:
                pool = int(problem.providers.pool_of[v])
                for rejection in problem.rejections.get((i, pool), ()):
                    yield f"{problem.request_ids[i]}: {problem.pool_ids[pool]} is refused: {rejection.why}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider of a refused pool."""
        problem = after.problem
        pools = range(len(problem.pool_ids))
        refused = np.array([bool(problem.rejections.get((request, p))) for p in pools], dtype=np.bool_)
        return refused[problem.providers.pool_of] if refused.any() else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """The policies' own reasons."""
        yield from after.problem.rejections.get(
            (request, int(after.problem.providers.pool_of[provider])), ()
        )

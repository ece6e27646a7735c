"""A machine fits on one host: it takes no more of anything than its provider gives to one machine."""

from collections.abc import Iterator
from operator import le
from typing import ClassVar

from catalog.units import amount_of, format_amount
from placement.arrays import Bool
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed, exceeds
from placement.problem import PlacementProblem
from placement.seats import Seats
from policies.decisions import Rejection


class Largest(Constraint):
    """Overcommit shares a host between machines, not within one; of a pool, its largest usable host counts."""

    always: ClassVar[bool] = True

    def fact(self, problem: PlacementProblem) -> str:
        """As in a sentence."""
        return "a machine must fit on one host"

    def post(self, model: Model) -> None:
        """Forbid every cell whose requests are larger than the provider allows."""
        for k in range(len(model.problem.resource_classes)):
            demand = model.classes.demand[:, k]
            model.forbid(demand[:, None] > model.problem.providers.largest[None, :, k])

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        for k in range(len(kernel.problem.resource_classes)):
            demand = kernel.classes.demand[:, k]
            kernel.forbid(demand[:, None] > kernel.problem.providers.largest[None, :, k])

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine that is larger than its provider gives to one."""
        largest = problem.providers.largest.tolist()
        whose = "" if problem.providers.are_hosts else "one host of "
        for i, (v, demand) in enumerate(
            zip(seats.provider_of.tolist(), problem.demand.tolist(), strict=True)
        ):
            if v < 0:
                continue
            for name, need, limit in zip(problem.resource_classes, demand, largest[v], strict=True):
                if need > limit:
                    what = f"{whose}{problem.providers.ids[v]} has ({limit})"
                    yield f"{problem.request_ids[i]}: {name} {need} is more than {what}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider that is too small in anything."""
        demand, providers = after.problem.demand[request], after.problem.providers
        if all(map(le, demand.tolist(), providers.least_largest)):
            return None
        return exceeds(demand, providers.largest)

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each resource that is too large for a single machine there."""
        problem = after.problem
        providers = problem.providers
        name = providers.ids[provider]
        whose = "what it has" if providers.are_hosts else "its largest usable host"
        for k, resource_class in enumerate(problem.resource_classes):
            need, limit = int(problem.demand[request, k]), int(providers.largest[provider, k])
            if need > limit:
                yield Rejection(
                    rule_id="largest-host",
                    pool=problem.pool_ids[providers.pool_of[provider]],
                    dimension=resource_class,
                    limit=format_amount(resource_class, limit),
                    need=format_amount(resource_class, need),
                    why=f"{amount_of(resource_class, need)} is more than one machine can have on {name} "
                    f"({format_amount(resource_class, limit)}, {whose})",
                    remedy=f"order at most {amount_of(resource_class, limit)}, "
                    "or choose a pool with larger hosts",
                )

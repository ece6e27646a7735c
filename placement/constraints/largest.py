"""A machine fits on one host: it takes no more of anything than the pool's largest host has."""

from collections.abc import Iterator

from catalog.units import amount_of, format_amount
from placement.model import CountModel
from placement.placed import Placed
from placement.plan import Plan
from placement.problem import PlacementProblem
from policies.decisions import Rejection


def post(model: CountModel) -> None:
    """Forbid every cell whose requests are larger than any host of the pool."""
    for k in range(len(model.problem.resource_classes)):
        demand = model.classes.demand[:, k]
        model.forbid(demand[:, None] > model.problem.largest[None, :, k])


def check(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    """Each machine that is larger than any host of its pool."""
    largest_of = dict(zip(problem.pool_ids, problem.largest.tolist(), strict=True))
    for assignment, demand in zip(plan.assignments, problem.demand.tolist(), strict=True):
        if assignment.pool is None:
            continue
        largest = largest_of[assignment.pool]
        for name, need, limit in zip(problem.resource_classes, demand, largest, strict=True):
            if need > limit:
                yield (
                    f"{assignment.request_id}: {name} {need} is more than one host of "
                    f"{assignment.pool} has ({limit})"
                )


def why(after: Placed, request: int, pool: int) -> Iterator[Rejection]:
    """One reason for each resource that is too large for a single machine there."""
    problem = after.problem
    name = problem.pool_ids[pool]
    for k, resource_class in enumerate(problem.resource_classes):
        need, limit = int(problem.demand[request, k]), int(problem.largest[pool, k])
        if need > limit:
            yield Rejection(
                rule_id="largest-host",
                pool=name,
                dimension=resource_class,
                limit=format_amount(resource_class, limit),
                need=format_amount(resource_class, need),
                why=f"{amount_of(resource_class, need)} is more than one machine can have on {name} "
                f"({format_amount(resource_class, limit)}, its largest usable host)",
                remedy=f"order at most {amount_of(resource_class, limit)}, or choose a pool with larger hosts",
            )

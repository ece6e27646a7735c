"""A pool gives no more of any resource than it has free; overcommit and reserve are in that figure."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from catalog.units import amount_more, amount_of, format_amount
from placement.model import CountModel
from placement.placed import Placed
from placement.plan import Plan
from placement.problem import PlacementProblem
from policies.decisions import Rejection


def post(model: CountModel) -> None:
    """One row for each pool and resource."""
    classes, pools = model.shape
    for p in range(pools):
        cells = np.arange(classes, dtype=np.int64) * pools + p
        for k in range(len(model.problem.resource_classes)):
            model.at_most(cells, model.classes.demand[:, k], int(model.problem.free[p, k]))


def check(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    """Each resource of each pool of which more is taken than was free."""
    taken: Counter[tuple[str, str]] = Counter()
    for assignment, demand in zip(plan.assignments, problem.demand.tolist(), strict=True):
        if assignment.pool is not None:
            for name, amount in zip(problem.resource_classes, demand, strict=True):
                taken[assignment.pool, name] += amount
    for pool, free in zip(problem.pool_ids, problem.free.tolist(), strict=True):
        for name, limit in zip(problem.resource_classes, free, strict=True):
            if taken[pool, name] > limit:
                yield f"{pool}: {name} {taken[pool, name]} is more than the {limit} that is free"


def why(after: Placed, request: int, pool: int) -> Iterator[Rejection]:
    """One reason for each resource that is short once the plan is carried out.

    What is too large for a single machine there is left to `largest`: freeing room would not help.
    """
    problem = after.problem
    demand, largest = problem.demand[request], problem.largest[pool]
    short = (demand > after.free_after[pool]) & (demand <= largest)
    others = _others(after, request, pool) if short.any() else ""
    name = problem.pool_ids[pool]
    for k in np.flatnonzero(short).tolist():
        resource_class = problem.resource_classes[k]
        need, limit = int(demand[k]), int(after.free_after[pool, k])
        yield Rejection(
            rule_id="capacity",
            pool=name,
            dimension=resource_class,
            limit=format_amount(resource_class, max(0, limit)),
            need=format_amount(resource_class, need),
            why=f"{amount_more(resource_class, need - limit)} would have to be free on {name}{others}",
            remedy=f"free {amount_of(resource_class, need - limit)} on {name}, or order a smaller size",
        )


def _others(after: Placed, request: int, pool: int) -> str:
    """Whether the request lost to others of its batch, rather than to what was there before."""
    count = int(after.requests_in[pool])
    if not count or (after.problem.demand[request] > after.problem.free[pool]).any():
        return ""
    what = (
        "1 other request of this batch uses" if count == 1 else f"{count} other requests of this batch use"
    )
    return f": it would fit alone, but {what} the room"

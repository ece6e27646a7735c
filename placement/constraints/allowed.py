"""A request goes only where policies allow it."""

from collections.abc import Iterator

from placement.model import CountModel
from placement.placed import Placed
from placement.plan import Plan
from placement.problem import PlacementProblem
from policies.decisions import Rejection


def post(model: CountModel) -> None:
    """Forbid every cell that policies refuse."""
    model.forbid(model.classes.allowed == 0)


def check(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    """Each request that stands where a policy refuses it."""
    position = {name: j for j, name in enumerate(problem.pool_ids)}
    for i, assignment in enumerate(plan.assignments):
        if assignment.pool is not None:
            for rejection in problem.rejections.get((i, position[assignment.pool]), ()):
                yield f"{assignment.request_id}: {assignment.pool} is refused: {rejection.why}"


def why(after: Placed, request: int, pool: int) -> Iterator[Rejection]:
    """The policies' own reasons."""
    yield from after.problem.rejections.get((request, pool), ())

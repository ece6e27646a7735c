"""The door of the engine: a problem in, a verified plan out."""

from placement import constraints
from placement.classes import spread
from placement.explain import assignments
from placement.model import CountModel
from placement.placed import placed
from placement.plan import Limits, Plan, PlanStatus
from placement.problem import PlacementProblem
from placement.search import Outcome, search
from placement.verify import verified

DEFAULT_LIMITS = Limits()


def solve(problem: PlacementProblem, limits: Limits = DEFAULT_LIMITS) -> Plan:
    """Place as many requests as possible, as cheaply as possible.

    Whatever stops the search, there is a plan, its bounds are proven, and every part of it has been
    checked without the solver. The same problem and limits give the same plan; permuting requests
    permutes it, up to which of several identical requests has which of their places.
    """
    model = constraints.posted(problem)
    outcome = search(model, limits)
    return verified(problem, _plan(problem, model, outcome))


def _plan(problem: PlacementProblem, model: CountModel, outcome: Outcome) -> Plan:
    count = len(problem.request_ids)
    cost = int((outcome.counts * model.classes.cost).sum())
    without = count - int(outcome.counts.sum())
    proven = outcome.least_cost_micros == cost and without == count - outcome.most_placed
    return Plan(
        status=PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE,
        assignments=assignments(placed(problem, spread(problem, model.classes, outcome.counts))),
        cost_micros=cost,
        bound_micros=outcome.least_cost_micros,
        solver=outcome.solver,
        currency=problem.currency,
        horizon_hours=problem.horizon_hours,
        unplaced_bound=count - outcome.most_placed,
    )

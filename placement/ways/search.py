"""Problems of any size: plans by the online kernel, then parts made better by CP-SAT, with bounds for every stage."""

from placement.arrays import Bool
from placement.budget import Budget
from placement.large.begin import begin, begin_on, rebuild
from placement.large.bounds import Bounds
from placement.large.guess import closed_by
from placement.large.improve import improve
from placement.large.incumbent import Incumbent
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome
from placement.plan import Limits
from placement.solvers import exact

RANK = 3
_BOUND, _REBUILD, _KEPT = 0.2, 0.2, 0.1
"""Parts of the limits: for bounds, for ruin and recreate, and what is kept to prove what came out in the end."""


def fits(model: Model) -> bool:
    """Every model: what the other ways are not meant for."""
    return True


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The best counts that the limits allow. Raises Infeasible where no plan was found that keeps every constraint."""
    budget = Budget.of(limits)
    plan = Incumbent(model, budget, tell)
    begin(plan)
    if plan.state is None:
        raise exact.Infeasible
    if any(plan.values[: len(plan.values) - len(model.problem.objective)]):
        rebuild(plan, limits.seed, limits.deterministic_time * _REBUILD, until_placed=True)
    bounds = Bounds(plan.matrix, plan.cells, budget)
    whole = limits.deterministic_time
    closed = _prove(plan, bounds, whole * _BOUND)
    if not plan.done and closed is not None:
        begin_on(plan, closed, limits.seed)
    if not plan.done and not budget.spent:
        rebuild(plan, limits.seed, whole * _REBUILD)
    improve(plan, limits.seed, budget.deterministic_time - whole * _KEPT)
    _prove(plan, bounds, budget.deterministic_time)
    return plan.outcome()


def _prove(plan: Incumbent, bounds: Bounds, deterministic_time: float) -> Bool | None:
    """Bounds for the stages that are not proven; which providers the answer behind the last one leaves empty."""
    closed = None
    end = plan.budget.deterministic_time - deterministic_time
    for n, stage in enumerate(plan.stages):
        if plan.budget.spent or plan.budget.deterministic_time < end:
            break
        if plan.values[n] > plan.bounds[n]:
            before = plan.stages[:n], plan.values[:n]
            plan.prove(
                n, bounds.least(*before, stage, plan.values[n], plan.budget.deterministic_time - end)
            )
            closed = closed_by(plan, bounds.wanted) if stage.name == "level 1" else closed
    return closed

"""Problems of any size: plans by the online kernel, then parts made better by CP-SAT, with bounds for every stage."""

from placement.budget import Budget
from placement.large.begin import begin, rebuild
from placement.large.bounds import Bounds
from placement.large.improve import improve
from placement.large.incumbent import Incumbent
from placement.model import Model
from placement.outcome import Clock, Listener, Outcome
from placement.plan import Limits
from placement.solvers import exact

_BOUND, _KEPT = 0.15, 0.1
"""Parts of the limits: for bounds, and of these again to prove what came out in the end."""
_ENTRIES = 2_000_000
"""Entries of the matrix up to which CP-SAT is asked for a first plan, where the kernel finds none."""
_ROUNDS = ((0.3, 0.15), (0.2, 1.0))
"""Parts of the limits for ruin and recreate, and then for CP-SAT."""


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The best counts that the limits allow. Raises Infeasible where no plan was found that keeps every constraint."""
    budget, whole = Budget.of(limits, clock), limits.deterministic_time
    plan = Incumbent(model, budget, tell)
    begin(plan)
    if plan.state is None:
        _begin_exactly(plan)
    if any(plan.values[: len(plan.values) - len(model.problem.objective)]):
        rebuild(plan, limits.seed, whole * _ROUNDS[0][0], until_placed=True)
    bounds = Bounds(plan.matrix, model.shape, budget)
    _prove(plan, bounds, whole * _BOUND)
    for n, (rebuilding, improving) in enumerate(_ROUNDS):
        for made in (rebuild, improve):
            share = rebuilding if made is rebuild else improving
            left = budget.deterministic_time - whole * _KEPT
            if not plan.done and left > 0:
                made(plan, limits.seed + n, min(whole * share, left))
    _prove(plan, bounds, budget.deterministic_time)
    return plan.outcome()


def _begin_exactly(plan: Incumbent) -> None:
    """Any plan at all, where requests must be placed for whom the kernel, one after another, found no room."""
    if len(plan.matrix.column) > _ENTRIES:
        raise exact.Infeasible
    first = len(plan.stages) - len(plan.problem.objective)
    answer = exact.solve(plan.matrix, plan.stages[:first], plan.budget)
    if not plan.begin(answer.values, "cp-sat"):
        raise exact.Infeasible


def _prove(plan: Incumbent, bounds: Bounds, deterministic_time: float) -> None:
    """Bounds for the stages that are not proven."""
    end = plan.budget.deterministic_time - deterministic_time
    for n, stage in enumerate(plan.stages):
        if plan.budget.spent or plan.budget.deterministic_time < end:
            break
        if plan.values[n] > plan.bounds[n]:
            assert plan.state is not None, "there is no plan yet"
            left = plan.budget.deterministic_time - end
            before = plan.stages[:n], plan.values[:n]
            plan.prove(n, bounds.least(*before, stage, plan.values[n], left, plan.state.values))

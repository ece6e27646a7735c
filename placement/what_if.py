"""A running estate, a changed world, and what would then be best."""

from collections.abc import Sequence
from dataclasses import replace

from catalog.base import Value
from placement.arrays import Int64
from placement.bounds import least_cost_micros
from placement.diff import PlanDiff, diff
from placement.explain import assignments
from placement.packing import Packing
from placement.placed import placed
from placement.plan import Limits, Plan, PlanStatus
from placement.problem import COSTS, InvalidProblem, PlacementProblem
from placement.scenario import Change, apply
from placement.solve import DEFAULT_LIMITS, posted, solve
from placement.verify import broken_constraints, terms_of


class WhatIf(Value):
    """An estate as it runs, the best plan after the changes, and what moving alone would save.

    `base` is where everything runs today, unimproved. `rearranged` is the best plan without the
    changes, so that the difference of `changed` and `rearranged` is the changes' own. What the
    running estate breaks today is told in `already_broken`; `base` alone is not a verified plan.
    """

    base: Plan
    rearranged: Plan
    changed: Plan
    diff: PlanDiff
    already_broken: tuple[str, ...]


def what_if(
    problem: PlacementProblem,
    before: Int64,
    changes: Sequence[Change],
    limits: Limits = DEFAULT_LIMITS,
) -> WhatIf:
    """What changes would mean for an estate that runs as `before` says.

    `before` [R] is the provider of each request, -1 for none, and `problem.free` must not count as
    allocated what these requests take. After the changes everything may move; of plans that cost the
    same, one with few moves is found. Raises ScenarioInvalid, and InvalidProblem also for a problem with hosts,
    constraints or periods: changes are of pools.
    """
    if problem.hosts is not None or problem.constraints or problem.periods is not None:
        msg = "hosts, constraints, periods: changes are of pools alone; build the problem without them"
        raise InvalidProblem(msg)
    running = replace(problem, current=before)
    base = as_it_runs(running, before)
    changed = solve(apply(running, changes), limits)
    return WhatIf(
        base=base,
        rearranged=solve(running, limits),
        changed=changed,
        diff=diff(base, changed),
        already_broken=broken_constraints(running, base),
    )


def as_it_runs(problem: PlacementProblem, before: Int64) -> Plan:
    """Today's estate as a plan: its cost, and the least that counting says as many could cost."""
    after = placed(problem, before)
    terms = terms_of(problem, after.seats)
    cost = sum(terms.get(name, 0) for name in COSTS)
    model = posted(problem)
    bound = least_cost_micros(Packing(model), int((before >= 0).sum())) if model.plain else 0
    return Plan(
        status=PlanStatus.FEASIBLE,
        assignments=assignments(after, model.classes),
        cost_micros=cost,
        bound_micros=min(cost, bound),
        solver="as it runs",
        currency=problem.currency,
        horizon_hours=problem.horizon_hours,
        terms=terms,
    )

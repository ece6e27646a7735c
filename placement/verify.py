"""The checker: no plan is believed on a solver's word.

Shares no code with what builds models or plans. It counts in Python integers, pool by pool and
request by request, and finds every way in which a plan does not do what it says.
"""

from collections.abc import Iterable, Iterator

from placement import constraints
from placement.plan import Assignment, Candidate, Plan, PlanStatus
from placement.problem import PlacementProblem


def verified(problem: PlacementProblem, plan: Plan) -> Plan:
    """The plan, if nothing is wrong with it. Raises AssertionError with the values: that is a bug."""
    wrong = breaches(problem, plan)
    if wrong:
        more = f" (and {len(wrong) - 20} more)" if len(wrong) > 20 else ""
        msg = f"{plan.solver} made a plan that does not hold: {'; '.join(wrong[:20])}{more}"
        raise AssertionError(msg)
    return plan


def breaches(problem: PlacementProblem, plan: Plan) -> tuple[str, ...]:
    """Everything that is wrong with a plan, in words with the values; nothing when it holds."""
    misfits = tuple(_form(problem, plan))
    if misfits:
        return misfits  # Where rows do not belong to requests, counting them says nothing.
    return (*broken_constraints(problem, plan), *_accounts(problem, plan), *_explanations(problem, plan))


def broken_constraints(problem: PlacementProblem, plan: Plan) -> tuple[str, ...]:
    """What the assignments break, whoever made them; for a running estate that is no bug."""
    return tuple(text for one in constraints.ALL for text in one.check(problem, plan))


def _form(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    ids = tuple(assignment.request_id for assignment in plan.assignments)
    if ids != problem.request_ids:
        if len(ids) != len(problem.request_ids):
            yield f"{len(ids)} assignments for {len(problem.request_ids)} requests"
        else:
            yield "assignments are not in the order of the requests"
    known = set(problem.pool_ids)
    for assignment in plan.assignments:
        if assignment.pool is not None and assignment.pool not in known:
            yield f"{assignment.request_id}: there is no pool '{assignment.pool}'"
        if sorted(candidate.pool for candidate in assignment.candidates) != sorted(known):
            yield f"{assignment.request_id}: its candidates are not every pool once"
    if (plan.currency, plan.horizon_hours) != (problem.currency, problem.horizon_hours):
        yield (
            f"priced in {plan.currency} over {plan.horizon_hours} h, "
            f"not in {problem.currency} over {problem.horizon_hours} h"
        )


def _accounts(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    position = {name: j for j, name in enumerate(problem.pool_ids)}
    costs = problem.cost_micros.tolist()
    total = sum(costs[i][position[a.pool]] for i, a in enumerate(plan.assignments) if a.pool is not None)
    without = sum(assignment.pool is None for assignment in plan.assignments)
    if plan.cost_micros != total:
        yield f"cost {plan.cost_micros} is not the sum of its assignments, {total}"
    if not 0 <= plan.bound_micros <= total:
        yield f"bound {plan.bound_micros} must be within 0 and the cost {total}"
    if plan.unplaced_bound > without:
        yield f"at least {plan.unplaced_bound} are said to stay unplaced, but only {without} do"
    proven = plan.bound_micros == total and plan.unplaced_bound == without
    if proven != (plan.status is PlanStatus.OPTIMAL):
        yield (
            f"status {plan.status.value} with cost {total}, bound {plan.bound_micros}, "
            f"{without} unplaced, at least {plan.unplaced_bound}"
        )


def _explanations(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    free, demands, costs = _free_after(problem, plan), problem.demand.tolist(), problem.cost_micros.tolist()
    largest = dict(zip(problem.pool_ids, problem.largest.tolist(), strict=True))
    for i, assignment in enumerate(plan.assignments):
        by_pool = {candidate.pool: candidate for candidate in assignment.candidates}
        for j, pool in enumerate(problem.pool_ids):
            candidate, at = by_pool[pool], f"{assignment.request_id} on {pool}"
            if (candidate.cost_micros, candidate.tier) != (costs[i][j], problem.tier_of[j]):
                yield f"{at}: said to cost {candidate.cost_micros} on {candidate.tier}, not {costs[i][j]}"
            if pool == assignment.pool:
                yield from (f"{at}: chosen, and refused: {why}" for why in candidate.rejections)
                continue
            untold = [why for why in problem.rejections.get((i, j), ()) if why not in candidate.rejections]
            yield from (f"{at}: a policy's reason is not told: {why}" for why in untold)
            limits = zip(problem.resource_classes, demands[i], largest[pool], free[pool], strict=True)
            yield from (f"{at}: {text}" for text in _shortages(candidate, limits))
        yield from _choice(assignment)


def _shortages(candidate: Candidate, limits: Iterable[tuple[str, int, int, int]]) -> Iterator[str]:
    """Where what is told of a resource is not what (name, demand, largest, free after) say."""
    told = {(rejection.rule_id, rejection.dimension) for rejection in candidate.rejections}
    for name, demand, largest, free in limits:
        too_large = demand > largest
        short = demand > free and not too_large
        if (too_large, short) != (("largest-host", name) in told, ("capacity", name) in told):
            yield f"{name} {demand} of {free} free, at most {largest} each, is not what is told"


def _choice(assignment: Assignment) -> Iterator[str]:
    possible = [candidate for candidate in assignment.candidates if candidate.possible]
    if assignment.pool is None and possible:
        yield f"{assignment.request_id}: unplaced, though {possible[0].pool} could take it"
    if assignment.pool is not None:
        cheapest = min(possible, key=lambda candidate: candidate.cost_micros)
        paid = next(c.cost_micros for c in assignment.candidates if c.pool == assignment.pool)
        if cheapest.cost_micros < paid:
            yield f"{assignment.request_id}: {cheapest.pool} is cheaper and has room"


def _free_after(problem: PlacementProblem, plan: Plan) -> dict[str, list[int]]:
    free = {pool: list(row) for pool, row in zip(problem.pool_ids, problem.free.tolist(), strict=True)}
    for assignment, demand in zip(plan.assignments, problem.demand.tolist(), strict=True):
        if assignment.pool is not None:
            left = free[assignment.pool]
            for k, amount in enumerate(demand):
                left[k] -= amount
    return free

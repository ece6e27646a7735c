"""The checker: no plan is believed on a solver's word.

Shares no code with what builds models or plans, but for reading what a constraint's own data means. It
counts in Python integers, pool by pool and request by request, and finds every way in which a plan does
not do what it says.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from placement import constraints
from placement.plan import Assignment, Candidate, Plan, PlanStatus
from placement.problem import COSTS, PlacementProblem
from placement.seats import Seats


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
    looks_at_pools_alone = problem.hosts is None and not problem.constraints and problem.periods is None
    explanations = _explanations(problem, plan) if looks_at_pools_alone else _chosen_unrefused(plan)
    return (*broken_constraints(problem, plan), *_accounts(problem, plan), *explanations)


def broken_constraints(problem: PlacementProblem, plan: Plan) -> tuple[str, ...]:
    """What the assignments break, whoever made them; for a running estate that is no bug."""
    return broken(problem, seats_of(problem, plan))


def broken(problem: PlacementProblem, seats: Seats) -> tuple[str, ...]:
    """What seats break, constraint by constraint."""
    return tuple(text for one in constraints.of(problem) for text in one.check(problem, seats))


def seats_of(problem: PlacementProblem, plan: Plan) -> Seats:
    """The seats that a plan's names stand for."""
    position = {name: v for v, name in enumerate(problem.providers.ids)}
    named = [a.host if problem.providers.are_hosts else a.pool for a in plan.assignments]
    provider_of = [-1 if name is None else position[name] for name in named]
    return Seats(np.array(provider_of, dtype=np.int64), dict(_choices_of(problem, plan)))


def terms_of(problem: PlacementProblem, seats: Seats) -> dict[str, int]:
    """Every term of the objective, counted without the model; terms that nothing adds to are left out."""
    costs, pool_of = problem.cost_micros.tolist(), problem.providers.pool_of.tolist()
    terms = {"price": sum(costs[i][pool_of[v]] for i, v in enumerate(seats.provider_of.tolist()) if v >= 0)}
    if problem.current is not None:
        pairs = zip(problem.current.tolist(), seats.provider_of.tolist(), strict=True)
        terms["moves"] = sum(was >= 0 and now != was for was, now in pairs)
    for one in constraints.of(problem):
        for term, amount in one.cost(problem, seats).items():
            terms[term] = terms.get(term, 0) + amount
    return terms


def _choices_of(problem: PlacementProblem, plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
    for one in constraints.of(problem):
        name = type(one).__module__.rpartition(".")[2]
        said = [assignment.choices.get(name) for assignment in plan.assignments]
        if any(said):
            number = {one.choice_name(problem, c): c for c in range(one.choice_count(problem))}
            yield name, np.array([-1 if text is None else number[text] for text in said], dtype=np.int64)


def _chosen_unrefused(plan: Plan) -> Iterator[str]:
    for assignment in plan.assignments:
        for candidate in assignment.candidates:
            if candidate.pool == assignment.pool and candidate.rejections:
                yield f"{assignment.request_id} on {candidate.pool}: chosen, and refused"


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
        hosted = assignment.host is not None
        if hosted != (problem.providers.are_hosts and assignment.pool is not None):
            yield f"{assignment.request_id}: host {assignment.host} with pool {assignment.pool}"
        elif hosted and problem.providers.are_hosts:
            yield from _host_of_pool(problem, assignment)
        if sorted(candidate.pool for candidate in assignment.candidates) != sorted(known):
            yield f"{assignment.request_id}: its candidates are not every pool once"
    if (plan.currency, plan.horizon_hours) != (problem.currency, problem.horizon_hours):
        yield (
            f"priced in {plan.currency} over {plan.horizon_hours} h, "
            f"not in {problem.currency} over {problem.horizon_hours} h"
        )


def _host_of_pool(problem: PlacementProblem, assignment: Assignment) -> Iterator[str]:
    at = problem.provider_positions.get(str(assignment.host))
    if at is None:
        yield f"{assignment.request_id}: there is no host '{assignment.host}'"
    elif problem.pool_ids[int(problem.providers.pool_of[at])] != assignment.pool:
        yield f"{assignment.request_id}: {assignment.host} is not a host of {assignment.pool}"


def _accounts(problem: PlacementProblem, plan: Plan) -> Iterator[str]:
    terms = terms_of(problem, seats_of(problem, plan))
    total = sum(terms.get(name, 0) for name in COSTS)
    without = sum(assignment.pool is None for assignment in plan.assignments)
    if plan.terms and dict(plan.terms) != terms:
        yield f"terms {dict(plan.terms)} are not what is counted, {terms}"
    yield from _levels(plan, terms)
    if plan.cost_micros != total:
        yield f"cost {plan.cost_micros} is not the sum of its assignments, {total}"
    if not 0 <= plan.bound_micros <= total:
        yield f"bound {plan.bound_micros} must be within 0 and the cost {total}"
    if plan.unplaced_bound > without:
        yield f"at least {plan.unplaced_bound} are said to stay unplaced, but only {without} do"
    if plan.levels:
        return  # What is proven of them is in the levels.
    proven = plan.bound_micros == total and plan.unplaced_bound == without
    if proven != (plan.status is PlanStatus.OPTIMAL):
        yield (
            f"status {plan.status.value} with cost {total}, bound {plan.bound_micros}, "
            f"{without} unplaced, at least {plan.unplaced_bound}"
        )


def _levels(plan: Plan, terms: Mapping[str, int]) -> Iterator[str]:
    for n, level in enumerate(plan.levels):
        counted = sum(weight * terms.get(name, 0) for name, weight in level.terms.items())
        if level.value != counted:
            yield f"level {n + 1} {level.value} is not what is counted, {counted}"
        if level.bound > level.value:
            yield f"level {n + 1}: bound {level.bound} is above its value {level.value}"


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
        if plan.status is PlanStatus.OPTIMAL:
            yield from _choice(assignment, by_price=not plan.levels)


def _shortages(candidate: Candidate, limits: Iterable[tuple[str, int, int, int]]) -> Iterator[str]:
    """Where what is told of a resource is not what (name, demand, largest, free after) say."""
    told = {(rejection.rule_id, rejection.dimension) for rejection in candidate.rejections}
    for name, demand, largest, free in limits:
        too_large = demand > largest
        short = demand > free and not too_large
        if (too_large, short) != (("largest-host", name) in told, ("capacity", name) in told):
            yield f"{name} {demand} of {free} free, at most {largest} each, is not what is told"


def _choice(assignment: Assignment, *, by_price: bool) -> Iterator[str]:
    """What nobody could do better by one request alone, if the plan is the best; `by_price`: if that is the cheapest."""
    possible = [candidate for candidate in assignment.candidates if candidate.possible]
    if assignment.pool is None and possible:
        yield f"{assignment.request_id}: unplaced, though {possible[0].pool} could take it"
    if assignment.pool is not None and by_price:
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

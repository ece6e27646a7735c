"""The checker of host plans: no plan is believed on a solver's word.

Shares no code with the search; it counts in Python integers, request by request.
"""

from collections.abc import Iterator

from placement.hosts.problem import UNPLACED_COST, HostProblem
from placement.hosts.result import HostPlan


def verified(problem: HostProblem, plan: HostPlan) -> HostPlan:
    """The plan, if nothing is wrong with it. Raises AssertionError with the values: that is a bug."""
    wrong = breaches(problem, plan)
    if wrong:
        msg = f"{plan.solver} made a host plan that does not hold: {'; '.join(wrong[:20])}"
        raise AssertionError(msg)
    return plan


def breaches(problem: HostProblem, plan: HostPlan) -> tuple[str, ...]:
    """Everything that is wrong with a plan, in words with the values; nothing when it holds."""
    host_of = plan.host_of.tolist()
    if len(host_of) != len(problem.demand):
        return (f"{len(host_of)} places for {len(problem.demand)} requests",)
    hosts = len(problem.capacity)
    strange = [f"request {i}: there is no host {h}" for i, h in enumerate(host_of) if not -1 <= h < hosts]
    return tuple(strange) or (*_overfull(problem, host_of), *_accounts(problem, plan, host_of))


def _overfull(problem: HostProblem, host_of: list[int]) -> Iterator[str]:
    room = problem.capacity.tolist()
    for h, demand in zip(host_of, problem.demand.tolist(), strict=True):
        if h >= 0:
            room[h] = [left - amount for left, amount in zip(room[h], demand, strict=True)]
    for h, left in enumerate(room):
        for k, amount in enumerate(left):
            if amount < 0:
                yield f"host {h}: resource {k} is short of {-amount}"


def _accounts(problem: HostProblem, plan: HostPlan, host_of: list[int]) -> Iterator[str]:
    costs = problem.host_cost.tolist()
    cost = sum(costs[h] for h in set(host_of) if h >= 0)
    unplaced = host_of.count(-1)
    objective = cost + UNPLACED_COST * unplaced
    for name, said, counted in (
        ("cost", plan.cost, cost),
        ("unplaced", plan.unplaced, unplaced),
        ("objective", plan.objective, objective),
    ):
        if said != counted:
            yield f"{name} {said} is not what is counted, {counted}"
    if not 0 <= plan.bound <= objective:
        yield f"bound {plan.bound} must be within 0 and the objective {objective}"

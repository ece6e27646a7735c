"""The door: a host problem in, a verified plan with a proven bound out."""

from placement.hosts.problem import HostProblem
from placement.hosts.result import Clock, HostPlan, Listener
from placement.hosts.search import Search
from placement.hosts.verify import verified
from placement.plan import Limits

DEFAULT_LIMITS = Limits()


def solve(
    problem: HostProblem,
    limits: Limits = DEFAULT_LIMITS,
    *,
    tell: Listener | None = None,
    clock: Clock | None = None,
) -> HostPlan:
    """Place as many requests as possible, on hosts that together cost as little as possible.

    The same problem, seed and `deterministic_time` give the same plan, as long as `time_limit_s` is not
    what stopped it; without a `clock` (seconds) that limit counts the solvers' time only. `tell` is called
    with every better answer and every higher bound. Raises AssertionError where the search made a plan
    that does not hold: that is a bug.
    """
    search = Search(problem, limits, tell, clock)
    search.run()
    out, cost = search.rank
    plan = HostPlan(
        host_of=search.host_of,
        unplaced=out,
        cost=cost,
        objective=search.objective,
        bound=min(search.bound, search.objective),
        solver=search.solver,
    )
    return verified(problem, plan)

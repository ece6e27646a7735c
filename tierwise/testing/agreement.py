"""Whether the readers of one constraint agree: solver, checker, brute force, and what people are told."""

from dataclasses import replace

import numpy as np

from placement.constraint import Constraint
from placement.placed import placed
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.solvers.exact import Infeasible
from placement.verify import breaches, seats_of
from tierwise.testing.placement import best_by_trying, value_of_plan


def proven_best(problem: PlacementProblem) -> Seats | None:
    """The exact way's seats, which are those of a best plan by trying all; None where both find none."""
    best = best_by_trying(problem)
    try:
        plan = solve(problem, way="exact")
    except Infeasible:
        assert best is None, f"said to be infeasible, but {best} can be had"
        return None
    assert value_of_plan(problem, plan) == best
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()
    return seats_of(problem, plan)


def blocked_as_checked(problem: PlacementProblem, constraint: Constraint, seats: Seats) -> None:
    """Every request on every provider: blocked just where the checker finds a breach, and then with a reason."""
    after = placed(problem, seats.provider_of, seats.choices)
    for i in range(len(problem.request_ids)):
        blocked = constraint.blocked(after, i)
        for v in range(len(problem.providers.ids)):
            moved = seats.provider_of.copy()
            moved[i] = v
            breach = list(constraint.check(problem, replace(seats, provider_of=moved)))
            assert (blocked is not None and bool(blocked[v])) == bool(breach), (i, v, blocked, breach)
            assert bool(list(constraint.why(after, i, v))) == bool(breach), (i, v, breach)


def with_running(problem: PlacementProblem, seed: int, priorities: int = 2) -> PlacementProblem:
    """The same, with some requests running somewhere they may be today, and priorities from 0 up."""
    chance = np.random.default_rng([seed, 2])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    return replace(
        problem,
        current=chance.integers(-1, v, r).astype(np.int64),
        priority=chance.integers(0, priorities, r).astype(np.int64),
    )

"""Whether the readers of one constraint agree: solver, checker, brute force, and what people are told."""

from dataclasses import replace

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.classes import Classes, spread
from placement.constraint import Constraint
from placement.periods import Periods
from placement.placed import placed
from placement.plan import Limits, PlanStatus
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import posted, solve
from placement.solvers import exact
from placement.stages import level_stages
from placement.verify import breaches, broken, seats_of
from tierwise.testing.placement import best_by_trying, value, value_of_plan


def proven_best(problem: PlacementProblem) -> Seats | None:
    """The exact way's seats, which are those of a best plan by trying all; None where both find none."""
    best = best_by_trying(problem)
    try:
        plan = solve(problem, way="exact")
    except exact.Infeasible:
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


def posted_as_counted(problem: PlacementProblem, seed: int, plans: int = 3) -> None:
    """Of plans at random: the model has just those that the checker passes, at the cost that is counted of them.

    Each plan's cells are fixed, so that only what constraints add beyond cells is left for the solver. Not for
    problems with choices, where a plan is more than its cells.
    """
    chance = np.random.default_rng([seed, 3])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    for _ in range(plans):
        placed_share = chance.random()
        provider_of = np.where(chance.random(r) < placed_share, chance.integers(0, v, r), -1)
        _posted_as_counted(problem, provider_of.astype(np.int64))


def _posted_as_counted(problem: PlacementProblem, provider_of: Int64) -> None:
    model = posted(problem)
    counts = _counts(model.classes, provider_of, model.shape)
    seats = Seats(spread(problem, model.classes, counts))
    found = broken(problem, seats)
    matrix, cells = model.matrix(), counts.reshape(-1)
    if (cells > matrix.upper[: len(cells)]).any():
        assert found, "the model forbids what the checker passes"
        return
    fixed = replace(
        matrix,
        lower=np.concatenate([cells, matrix.lower[len(cells) :]]),
        upper=np.concatenate([cells, matrix.upper[len(cells) :]]),
    )
    try:
        answer = exact.solve(fixed, level_stages(model, fixed), Budget.of(Limits()))
    except exact.Infeasible:
        assert found, "the model has no room for what the checker passes"
        return
    assert not found, found
    assert [(one.value, one.bound) for one in answer.proven] == [
        (n, n) for n in value(problem, seats)[-len(problem.objective) :]
    ]


def _counts(classes: Classes, provider_of: Int64, shape: tuple[int, int]) -> Int64:
    counts = np.zeros(shape, dtype=np.int64)
    seated = np.flatnonzero(provider_of >= 0)
    np.add.at(counts, (classes.of[seated], provider_of[seated]), 1)
    return counts


def with_times(problem: PlacementProblem, seed: int) -> PlacementProblem:
    """The same over two slots of time, in which others hold some of the room."""
    chance = np.random.default_rng([seed, 1])
    r, v, k = len(problem.request_ids), len(problem.providers.ids), len(problem.resource_classes)
    first = chance.integers(0, 2, r)
    taken = chance.integers(0, 3, (2, v, k))
    return replace(
        problem,
        periods=Periods(
            names=("in May", "in June"),
            first=first.astype(np.int64),
            end=np.maximum(first + 1, chance.integers(1, 3, r)).astype(np.int64),
            taken=np.minimum(taken, problem.providers.free).astype(np.int64),
        ),
    )


def with_running(problem: PlacementProblem, seed: int, priorities: int = 2) -> PlacementProblem:
    """The same, with some requests running somewhere they may be today, and priorities from 0 up."""
    chance = np.random.default_rng([seed, 2])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    return replace(
        problem,
        current=chance.integers(-1, v, r).astype(np.int64),
        priority=chance.integers(0, priorities, r).astype(np.int64),
    )

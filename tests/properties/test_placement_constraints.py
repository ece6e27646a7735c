"""Every constraint at once, on problems that are small enough to try all their plans."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.periods import Periods
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.solve import solve
from placement.verify import breaches
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

OFTEN = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def with_times(problem: PlacementProblem, seed: int) -> PlacementProblem:
    chance = np.random.default_rng([seed, 1])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    first = chance.integers(0, 3, r)
    taken = chance.integers(0, 4, (3, v, 2)) * (chance.random((3, v, 1)) < 0.4)
    return replace(
        problem,
        periods=Periods(
            names=("in May", "in June", "in July"),
            first=first.astype(np.int64),
            end=(first + chance.integers(1, 3, r)).clip(max=3).astype(np.int64),
            taken=np.minimum(taken, problem.providers.free).astype(np.int64),
        ),
    )


def with_running(problem: PlacementProblem, seed: int) -> PlacementProblem:
    chance = np.random.default_rng([seed, 2])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    return replace(
        problem,
        current=chance.integers(-1, v, r).astype(np.int64),
        priority=chance.integers(0, 2, r).astype(np.int64),
    )


@pytest.mark.parametrize("hosts", [True, False])
@OFTEN
@given(seeds)
def test_no_plan_is_better_than_the_exact_one(hosts: bool, seed: int) -> None:
    problem = small_problem(seed, hosts=hosts)
    plan = solve(problem, way="exact")
    assert value_of_plan(problem, plan) == best_by_trying(problem)
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()


@OFTEN
@given(seeds)
def test_no_plan_is_better_in_time_with_priorities_and_moves(seed: int) -> None:
    problem = with_running(with_times(small_problem(seed), seed), seed)
    plan = solve(problem, way="exact")
    assert value_of_plan(problem, plan) == best_by_trying(problem)
    assert plan.status is PlanStatus.OPTIMAL


@OFTEN
@given(seeds)
def test_counting_and_the_exact_way_agree_where_both_are_meant(seed: int) -> None:
    problem = small_problem(seed)
    exact, counted = (value_of_plan(problem, solve(problem, way=way)) for way in ("exact", "counts"))
    assert exact == counted

"""Moving costs money: a machine changes pools only where that saves more."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.move_cost import MoveCost
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.move_cost import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting

ProblemOf = Callable[..., PlacementProblem]


def seats(*providers: int) -> Seats:
    return Seats(np.array(providers, dtype=np.int64))


@pytest.mark.parametrize(
    ("cost", "pools", "moving"),
    [(3, ["b", "b", "b"], 6), (5, ["a", "a", "b"], 0)],  # b is cheaper by 4
)
def test_a_machine_moves_just_where_that_saves_more_than_it_costs(
    problem_of: ProblemOf, cost: int, pools: list[str], moving: int
) -> None:
    rule = MoveCost(default_cost_micros=cost)
    problem = problem_of(
        [[1]] * 3, [[9]] * 2, [[6, 2]] * 3, current=[0, 0, -1], more={"constraints": (rule,)}
    )
    plan = solve(problem, way="exact")
    assert [a.pool for a in plan.assignments] == pools
    assert plan.terms["moving"] == moving


def test_a_requests_own_cost_goes_before_its_groups_and_the_default(problem_of: ProblemOf) -> None:
    rule = MoveCost(cost_micros={"r0": 1, "db": 10, "all": 40}, default_cost_micros=100)
    problem = problem_of(
        [[1]] * 4,
        [[9]] * 2,
        [[0, 0]] * 4,
        current=[0, 0, 0, -1],
        more={"constraints": (rule,), "groups": {"db": ("r0", "r1"), "all": ("r0",)}},
    )
    assert rule.cost(problem, seats(1, 0, 0, 1)) == {"moving": 1}
    assert rule.cost(problem, seats(0, 1, 0, 1)) == {"moving": 10}
    assert rule.cost(problem, seats(0, 0, 1, 1)) == {"moving": 100}
    assert rule.cost(problem, seats(0, 0, -1, -1)) == {"moving": 100}
    assert rule.labels(problem).tolist() == [1, 10, 100, 0]


def test_of_machines_that_are_alike_the_one_that_runs_there_stays(problem_of: ProblemOf) -> None:
    rule = MoveCost(default_cost_micros=50)
    problem = problem_of([[1]] * 2, [[1], [1]], [[1, 1]] * 2, current=[1, 0], more={"constraints": (rule,)})
    plan = solve(problem, way="exact")
    assert [a.pool for a in plan.assignments] == ["b", "a"]
    assert plan.terms["moving"] == 0


def test_an_unknown_request_is_refused_with_its_path(problem_of: ProblemOf) -> None:
    words = r"constraints\[0\].cost_micros.r9: there is no request or group 'r9'"
    with pytest.raises(InvalidProblem, match=words):
        problem_of([[1]], [[1]], [[1]], more={"constraints": (MoveCost(cost_micros={"r9": 1}),)})


@pytest.mark.parametrize("wrong", [{"default_cost_micros": -1}, {"cost_micros": {"r0": True}}])
def test_negative_and_broken_numbers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MoveCost.model_validate(wrong)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(running=True, told_costs="no more", quiet=True))

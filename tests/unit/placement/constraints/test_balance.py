"""Balance and headroom: the most loaded host counts, and what must stay free does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.balance import Balance
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.balance import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.placement import small_problem

ProblemOf = Callable[..., PlacementProblem]
FIRST: Any = ({"balance": 1}, {"price": 1})
seeds = st.integers(0, 2**32 - 1)


def seats(*providers: int) -> Seats:
    return Seats(np.array(providers, dtype=np.int64))


def test_the_load_of_the_most_loaded_is_in_parts_of_a_million_rounded_up(problem_of: ProblemOf) -> None:
    problem = problem_of([[2, 1], [1, 1], [1, 0]], [[3, 9], [8, 4]], [[0, 0]] * 3)
    assert Balance().cost(problem, seats(0, 1, -1)) == {"balance": 666_667}
    assert Balance().cost(problem, seats(1, 1, 1)) == {"balance": 500_000}
    assert Balance(hosts=("b",)).cost(problem, seats(0, 1, -1)) == {"balance": 250_000}
    assert Balance(resource_classes=("memory_mib",)).cost(problem, seats(0, 1, -1)) == {"balance": 250_000}
    assert Balance().cost(problem, seats(-1, -1, -1)) == {"balance": 0}


def test_a_plan_is_balanced_only_where_the_objective_says_so(problem_of: ProblemOf) -> None:
    more: dict[str, Any] = {"constraints": (Balance(),)}
    cheapest = problem_of([[1]] * 4, [[4], [4]], [[1, 2]] * 4, more=more)
    even = replace(cheapest, objective=FIRST)
    assert [a.pool for a in solve(cheapest, way="exact").assignments] == ["a"] * 4
    plan = solve(even, way="exact")
    assert [a.pool for a in plan.assignments].count("a") == 2
    assert plan.levels[0].value == plan.terms["balance"] == 500_000


def test_headroom_stays_free_and_who_would_take_it_is_told(problem_of: ProblemOf) -> None:
    rule = Balance(headroom_ppm={"vcpu": 250_000})
    problem = problem_of([[3], [3], [1]], [[9], [5]], [[1, 2]] * 3, more={"constraints": (rule,)})
    plan = solve(problem)  # 6 of 9 and 3 of 5, whatever way is chosen
    assert [a.pool for a in plan.assignments] in (["a", "a", "b"], ["a", "b", "a"], ["b", "a", "a"])
    assert list(rule.check(problem, seats(0, 0, 0))) == [
        "balance: a: vcpu 7 is more than 6, where 3 of 9 stay free"
    ]
    (reason,) = rule.why(placed(problem, np.array([0, 0, -1], dtype=np.int64)), 2, 0)
    assert (reason.limit, reason.need, reason.dimension) == ("0 vCPU", "1 vCPU", "vcpu")
    assert str(reason) == (
        "1 more vCPU would have to be free on a, where 25 % stay free; "
        "free 1 vCPU on a, order a smaller size, or keep less free"
    )


def test_what_hosts_share_is_the_load_and_the_headroom_of_their_pool() -> None:
    problem = small_problem(5)
    assert problem.hosts is not None
    rule = Balance(resource_classes=("memory_mib",), headroom_ppm={"memory_mib": 500_000})
    hosts = replace(
        problem.hosts,
        shared=frozenset({"memory_mib"}),
        free=problem.hosts.free * np.array([1, 0], dtype=np.int64),
    )
    problem = replace(
        problem,
        hosts=hosts,
        request_ids=("r0", "r1"),
        demand=np.array([[1, 4], [1, 5]], dtype=np.int64),
        cost_micros=np.zeros((2, 2), dtype=np.int64),
        free=np.array([[99, 16], [99, 16]], dtype=np.int64),
    )
    in_a = np.flatnonzero(problem.providers.pool_of == 0)
    both = seats(int(in_a[0]), int(in_a[-1]))
    assert rule.cost(problem, both) == {"balance": 562_500}
    assert list(rule.check(problem, both)) == [
        "balance: a: memory_mib 9 is more than 8, where 8 of 16 stay free"
    ]


def test_loads_that_do_not_fit_are_refused_and_headroom_of_any_amount_is_not(problem_of: ProblemOf) -> None:
    large = problem_of([[2**41]], [[2**60]], [[1]])
    rule = Balance(headroom_ppm={"vcpu": 1})
    assert list(rule.check(replace(large, constraints=(rule,)), seats(0))) == []
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].resource_classes: loads of vcpu are too large"
    ):
        replace(large, constraints=(rule,), objective=FIRST)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Balance(hosts=("x",)), r"constraints\[0\].hosts\[0\]: there is no host or pool 'x'"),
        (Balance(resource_classes=("cpu",)), r"resource_classes\[0\]: there is no resource class 'cpu'"),
        (
            Balance(headroom_ppm={"cpu": 1}),
            r"headroom_ppm.cpu: there is no resource class 'cpu'; there are vcpu",
        ),
    ],
)
def test_unknown_names_are_refused_with_their_path(
    problem_of: ProblemOf, rule: Balance, words: str
) -> None:
    with pytest.raises(InvalidProblem, match=words):
        problem_of([[1]], [[1]], [[1]], more={"constraints": (rule,)})


@pytest.mark.parametrize("share", [-1, 1_000_001, 0.5])
def test_headroom_is_a_share_of_a_whole(share: float) -> None:
    with pytest.raises(ValidationError):
        Balance.model_validate({"headroom_ppm": {"vcpu": share}})


@pytest.mark.parametrize("times", [False, True])
@settings(max_examples=25, deadline=None)
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(times: bool, seed: int) -> None:
    keeps_promises(sample, seed, Setting(times=times, objective=FIRST, told_costs="no more", quiet=True))

"""Costs of hosts that are on: one host is cheaper than two, unless it runs anyway."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.hosts_on import HostsOn
from placement.placed import Placed, placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.hosts_on import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.placement import small_problem

ProblemOf = Callable[..., PlacementProblem]


def seats(*providers: int) -> Seats:
    return Seats(np.array(providers, dtype=np.int64))


def after(problem: PlacementProblem, *providers: int) -> Placed:
    return placed(problem, np.array(providers, dtype=np.int64))


@pytest.fixture
def three_pools(problem_of: ProblemOf) -> Callable[[HostsOn], PlacementProblem]:
    """Three requests that fit on one pool, each cheapest on another one."""
    return lambda one: problem_of(
        [[1]] * 3, [[9]] * 3, [[1, 6, 7], [5, 1, 6], [5, 6, 1]], more={"constraints": (one,)}
    )


@pytest.mark.parametrize(
    ("rule", "pools", "hosts_on"),
    [
        (HostsOn(default_cost_micros=2), ["a", "b", "c"], 6),  # one pool for all would save 4 and cost 8
        (HostsOn(default_cost_micros=9), ["a", "a", "a"], 9),
        (HostsOn(default_cost_micros=9, cost_micros={"c": 5}), ["c", "c", "c"], 5),
        (HostsOn(default_cost_micros=9, already_on=("b",)), ["b", "b", "b"], 0),
        (HostsOn(default_cost_micros=9, hosts=("a",)), ["b", "b", "c"], 0),
        (HostsOn(most_on=1), ["a", "a", "a"], 0),
        (HostsOn(already_on=("c",), most_on=1), ["c", "c", "c"], 0),
        (HostsOn(already_on=("c",), most_on=2), ["a", "a", "c"], 0),
    ],
)
def test_a_host_is_switched_on_just_where_it_pays(
    three_pools: Callable[[HostsOn], PlacementProblem], rule: HostsOn, pools: list[str], hosts_on: int
) -> None:
    plan = solve(three_pools(rule), way="exact")
    assert [a.pool for a in plan.assignments] == pools
    assert plan.terms["hosts_on"] == hosts_on


def test_a_pools_cost_is_that_of_each_of_its_hosts_that_is_not_named() -> None:
    problem = small_problem(3)
    problem = replace(
        problem,
        request_ids=("r0", "r1"),
        demand=np.ones((2, 2), dtype=np.int64),
        cost_micros=np.ones((2, 2), dtype=np.int64),
    )
    hosts, pool_of = problem.providers.ids, problem.providers.pool_of.tolist()
    first, other = pool_of.index(0), pool_of.index(1)
    rule = HostsOn(cost_micros={hosts[first]: 5, "a": 7, "b": 11}, default_cost_micros=99)
    assert rule.cost(problem, seats(first, other)) == {"hosts_on": 16}
    assert rule.cost(problem, seats(first, first)) == {"hosts_on": 5}
    assert rule.cost(problem, seats(-1, -1)) == {"hosts_on": 0}


def test_a_machine_that_takes_no_room_switches_its_host_on_too(problem_of: ProblemOf) -> None:
    rule = HostsOn(default_cost_micros=9, already_on=("b",))
    problem = problem_of([[0], [2]], [[2], [1]], [[1, 5]] * 2, more={"constraints": (rule,)})
    without = replace(problem, demand=np.zeros((2, 1), dtype=np.int64))
    assert [a.pool for a in solve(without, way="exact").assignments] == ["b", "b"]
    plan = solve(problem, way="exact")
    assert ([a.pool for a in plan.assignments], plan.terms["hosts_on"]) == (["a", "a"], 9)


def test_more_than_may_be_on_is_told_by_name(three_pools: Callable[[HostsOn], PlacementProblem]) -> None:
    rule = HostsOn(most_on=1)
    problem = three_pools(rule)
    assert list(rule.check(problem, seats(0, 1, 1))) == ["hosts_on: 2 are on (a, b), more than 1"]
    assert not list(rule.check(problem, seats(1, 1, -1)))


def test_who_cannot_be_switched_on_is_told_what_runs(
    three_pools: Callable[[HostsOn], PlacementProblem],
) -> None:
    rule = HostsOn(most_on=1)
    (reason,) = rule.why(after(three_pools(rule), 0, 0, -1), 2, 2)
    assert (reason.rule_id, reason.pool, reason.limit, reason.need) == (
        "hosts-on",
        "c",
        "1 pools",
        "2 pools",
    )
    assert str(reason) == "c is off, and 1 of at most 1 pools are on; free room on a, or let 2 be on"


def test_a_machine_alone_on_its_host_may_change_hosts(
    three_pools: Callable[[HostsOn], PlacementProblem],
) -> None:
    rule = HostsOn(most_on=1)
    blocked = rule.blocked(after(three_pools(rule), 0, -1, -1), 0)
    assert blocked is None or not blocked.any()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (HostsOn(hosts=("aa",)), r"constraints\[0\].hosts\[0\]: there is no host or pool 'aa'"),
        (HostsOn(cost_micros={"zz": 1}), r"constraints\[0\].cost_micros.zz: there is no host or pool 'zz'"),
        (
            HostsOn(already_on=("a", "zz")),
            r"constraints\[0\].already_on\[1\]: there is no host or pool 'zz'",
        ),
        (
            HostsOn(already_on=("a", "b"), most_on=1),
            r"most_on: 1 is less than the 2 of already_on; name fewer",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(
    three_pools: Callable[[HostsOn], PlacementProblem], rule: HostsOn, words: str
) -> None:
    with pytest.raises(InvalidProblem, match=words):
        three_pools(rule)


@pytest.mark.parametrize(
    "wrong", [{"default_cost_micros": -1}, {"cost_micros": {"a": 1.5}}, {"most_on": -1}]
)
def test_negative_and_broken_numbers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HostsOn.model_validate(wrong)


@pytest.mark.parametrize("times", [False, True])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(times: bool, seed: int) -> None:
    keeps_promises(sample, seed, Setting(times=times, told_rules="no more", quiet=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_without_a_limit_the_kernel_is_told_all(seed: int) -> None:
    keeps_promises(lambda *of: sample(*of).model_copy(update={"most_on": None}), seed)

"""Preemption: the fewest of the lowest lose their places, and only those that may."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.constraints.preemption import Preemption
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.solvers.exact import Infeasible
from tierwise.testing.constraint_samples.preemption import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting

ProblemOf = Callable[..., PlacementProblem]


def full_pool(problem_of: ProblemOf, rule: Preemption, urgent_vcpu: int) -> PlacementProblem:
    """Pool a of 8 vCPU is full of machines r0 to r2 of 2, 2 and 4; r3 is new, and of higher priority."""
    more: dict[str, Any] = {
        "constraints": (rule,),
        "priority": np.array([0, 0, 0, 1], dtype=np.int64),
        "groups": {"small": ("r0", "r1")},
    }
    return problem_of([[2], [2], [4], [urgent_vcpu]], [[8]], [[1]] * 4, current=[0, 0, 0, -1], more=more)


@pytest.mark.parametrize(
    ("preemptible", "urgent_vcpu", "lost"),
    [
        (("small", "r2"), 4, {("r2",)}),  # one of 4 goes, not two of 2
        (("small",), 4, {("r0", "r1")}),
        (("small",), 2, {("r0",), ("r1",)}),
        (("r1", "r2"), 2, {("r1",), ("r2",)}),
        (("r0",), 4, {()}),  # then the new one waits
        ((), 1, {()}),
        (("small", "r2"), 8, {("r0", "r1", "r2")}),
    ],
)
def test_a_high_priority_takes_the_fewest_places_from_those_who_may_lose_them(
    problem_of: ProblemOf, preemptible: tuple[str, ...], urgent_vcpu: int, lost: set[tuple[str, ...]]
) -> None:
    plan = solve(full_pool(problem_of, Preemption(preemptible=preemptible), urgent_vcpu))
    assert plan.preempted in lost
    assert (plan.assignments[3].pool is None) == (lost == {()})


def test_there_is_no_plan_where_machines_that_must_stay_do_not_fit(problem_of: ProblemOf) -> None:
    problem = full_pool(problem_of, Preemption(preemptible=("r0",)), 1)
    crowded = replace(problem, free=np.array([[5]], dtype=np.int64))
    with pytest.raises(Infeasible):
        solve(crowded)
    assert solve(replace(crowded, constraints=(Preemption(preemptible=("small",)),)))


def test_who_lost_a_place_without_leave_is_told_by_name(problem_of: ProblemOf) -> None:
    rule = Preemption(preemptible=("small",))
    problem = full_pool(problem_of, rule, 1)
    none = Seats(np.array([-1, -1, -1, -1], dtype=np.int64))
    assert list(rule.check(problem, none)) == ["r2: runs on a, is not preemptible, and has no place"]
    assert not list(rule.check(replace(problem, current=None), none))


def test_an_unknown_request_is_refused_with_its_path(problem_of: ProblemOf) -> None:
    with pytest.raises(InvalidProblem, match=r"preemptible\[1\]: there is no request or group 'r9'"):
        full_pool(problem_of, Preemption(preemptible=("r0", "r9")), 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_plan_is_better_or_there_is_none_and_nothing_is_blocked(seed: int) -> None:
    keeps_promises(sample, seed, Setting(running=True, told_rules="no more", quiet=True))

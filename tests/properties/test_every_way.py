"""What holds of every way to solve a problem: more room or a rule less raises no bound, and order changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import ways
from placement.constraints.anti_affinity import AntiAffinity
from placement.constraints.hosts_on import HostsOn
from placement.plan import Limits, Plan, PlanStatus
from placement.problem import PlacementProblem
from placement.solve import posted, solve
from policies.decisions import Rejection
from tierwise.testing.placement import small_problem

SHORT = Limits(deterministic_time=0.1)
PROVING = {"counts", "exact", "packing"}
"""Ways that prove what they find for problems of this size, so that what they find is the same in any order."""


def problem_for(way: str, seed: int) -> PlacementProblem:
    """A small problem that the way is meant for, with a policy and another rule that could be left out."""
    chance = np.random.default_rng([seed, 9])
    problem = small_problem(seed, hosts=way not in {"counts", "pools"})
    costs = HostsOn(cost_micros={name: int(chance.integers(0, 9)) for name in problem.providers.ids})
    if way == "packing":
        assert problem.hosts is not None
        cost = np.repeat(problem.cost_micros[:, :1], 2, axis=1)
        hosts = replace(problem.hosts, largest=np.full_like(problem.hosts.largest, 99))
        return replace(problem, cost_micros=cost, hosts=hosts, constraints=(costs,))
    refused = {(i, 0): (refusal(),) for i in range(len(problem.request_ids)) if chance.random() < 0.3}
    problem = replace(problem, rejections=refused)
    if way == "counts":
        return problem
    label = "pool" if way == "pools" else "host"
    most = int(chance.integers(1, 3))
    apart = AntiAffinity(requests=problem.request_ids, label=label, most=most)
    return replace(problem, constraints=(costs, apart))


def refusal() -> Rejection:
    return Rejection(
        rule_id="rule", pool="a", dimension="x", limit="y", need="z", why="not there", remedy="elsewhere"
    )


def roomier(problem: PlacementProblem) -> PlacementProblem:
    hosts = problem.hosts and replace(problem.hosts, free=problem.hosts.free + 3)
    return replace(problem, free=problem.free + 99, largest=problem.largest + 3, hosts=hosts)


def turned(problem: PlacementProblem) -> PlacementProblem:
    """The same, its last request first."""
    last = len(problem.request_ids) - 1
    return replace(
        problem,
        request_ids=problem.request_ids[::-1],
        demand=problem.demand[::-1].copy(),
        cost_micros=problem.cost_micros[::-1].copy(),
        rejections={(last - i, p): why for (i, p), why in problem.rejections.items()},
    )


def assert_no_higher(bounded: Plan, found: Plan) -> None:
    """What one plan says that no plan is below is not above the other plan, which would be one."""
    assert bounded.unplaced_bound <= len(found.unplaced)
    if len(bounded.unplaced) == bounded.unplaced_bound == len(found.unplaced):
        assert bounded.bound_micros <= found.cost_micros


def worth(plan: Plan) -> tuple[int, int]:
    return len(plan.unplaced), plan.cost_micros


def solved(way: str, problem: PlacementProblem) -> Plan:
    """The pools' way is meant for large problems alone, and does the same for small ones."""
    assert way == "pools" or ways.way(way).fits(posted(problem))
    return solve(problem, SHORT, way=way)


@pytest.mark.parametrize("way", ways.names())
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_room_or_a_rule_less_never_raises_the_bound(way: str, seed: int) -> None:
    problem = problem_for(way, seed)
    before = solved(way, problem)
    easier = [roomier(problem), replace(problem, rejections={})]
    if way not in {"counts", "packing"}:
        easier.append(replace(problem, constraints=problem.constraints[:1]))
    for other in easier:
        after = solved(way, other)
        assert_no_higher(after, before)
        if before.status is after.status is PlanStatus.OPTIMAL:
            assert worth(after) <= worth(before)


@pytest.mark.parametrize("way", ways.names())
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_requests_changes_neither_what_is_best_nor_what_is_proven(way: str, seed: int) -> None:
    problem = problem_for(way, seed)
    plan, other = solved(way, problem), solved(way, turned(problem))
    assert_no_higher(plan, other)
    assert_no_higher(other, plan)
    if way in PROVING and plan.status is PlanStatus.OPTIMAL:
        assert worth(plan) == worth(other)

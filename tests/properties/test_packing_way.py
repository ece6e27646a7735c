"""Packing onto hosts, as a way to solve a problem: as good as trying every plan, where it is meant to be used."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import ways
from placement.constraints.hosts_on import HostsOn
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.solve import posted, solve
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan


def packable(seed: int) -> PlacementProblem:
    problem = small_problem(seed)
    assert problem.hosts is not None
    chance = np.random.default_rng([seed, 4])
    costs = {name: int(chance.integers(0, 9)) * 10**6 for name in problem.hosts.ids}
    return replace(
        problem,
        cost_micros=np.repeat(problem.cost_micros[:, :1], 2, axis=1),
        hosts=replace(problem.hosts, largest=np.full_like(problem.hosts.largest, 99)),
        constraints=(HostsOn(cost_micros=costs),),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_plan_is_better_than_the_packed_one_and_no_bound_is_above_it(seed: int) -> None:
    problem = packable(seed)
    assert ways.way("packing").fits(posted(problem))
    plan = solve(problem, way="packing")
    best = best_by_trying(problem)
    assert best is not None
    found = value_of_plan(problem, plan)
    assert plan.unplaced_bound <= best[0] <= found[0]
    if found[0] == best[0]:
        assert plan.bound_micros <= best[1]
    if best[0] == 0:
        assert found == best
        assert plan.status is PlanStatus.OPTIMAL


def test_a_problem_that_asks_for_more_is_not_packed() -> None:
    problem = packable(3)
    dearer = problem.cost_micros.copy()
    dearer[0, 1] += 1
    for other in (
        replace(problem, cost_micros=dearer),
        replace(problem, constraints=(*problem.constraints, HostsOn(most_on=1))),
        replace(problem, constraints=(HostsOn(most_on=1),)),
        replace(problem, current=np.zeros(len(problem.request_ids), dtype=np.int64)),
    ):
        assert not ways.way("packing").fits(posted(other))

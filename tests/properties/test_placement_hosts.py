"""Host plans against brute force over every assignment, and the checker against planted breaches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from placement.hosts import loops
from placement.hosts.bounds import Bounds
from placement.hosts.problem import UNPLACED_COST, HostProblem
from placement.hosts.search import Search
from placement.hosts.solve import solve
from placement.hosts.verify import breaches
from placement.plan import Limits, PlanStatus

QUICK = Limits(deterministic_time=0.2)


@st.composite
def problems(draw: st.DrawFn) -> HostProblem:
    resources = draw(st.integers(1, 3))
    types = draw(st.integers(1, 3))
    amounts = st.lists(st.integers(0, 9), min_size=resources, max_size=resources)
    requests = draw(st.lists(amounts, max_size=7))
    kinds = draw(
        st.lists(
            st.tuples(
                st.lists(st.integers(0, 14), min_size=resources, max_size=resources), st.integers(0, 9)
            ),
            min_size=types,
            max_size=types,
        )
    )
    host_type = draw(st.lists(st.integers(0, types - 1), max_size=3))
    return HostProblem(
        np.array(requests, dtype=np.int64).reshape(-1, resources),
        np.array([kinds[t][0] for t in host_type], dtype=np.int64).reshape(-1, resources),
        np.array([kinds[t][1] for t in host_type], dtype=np.int64),
        np.array(host_type, dtype=np.int64),
    )


def brute_force(problem: HostProblem) -> int:
    """The objective of the best of all (H + 1) ** R assignments, in plain Python."""
    demand, capacity = problem.demand.tolist(), problem.capacity.tolist()
    cost, hosts = problem.host_cost.tolist(), range(len(problem.capacity))
    best = UNPLACED_COST * len(demand)
    for places in itertools.product([-1, *hosts], repeat=len(demand)):
        objective = UNPLACED_COST * places.count(-1) + sum(cost[h] for h in set(places) if h >= 0)
        if objective < best and all(
            sum(demand[i][k] for i, at in enumerate(places) if at == h) <= has
            for h in hosts
            for k, has in enumerate(capacity[h])
        ):
            best = objective
    return best


@settings(max_examples=120, deadline=None)
@given(problems())
def test_a_small_problem_is_solved_to_the_optimum_and_proven(problem: HostProblem) -> None:
    plan = solve(problem, QUICK)
    best = brute_force(problem)
    assert (plan.objective, plan.bound, plan.status) == (best, best, PlanStatus.OPTIMAL)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_what_counting_proves_is_never_above_the_optimum(problem: HostProblem) -> None:
    search = Search(problem, QUICK, None, None)
    bounds = Bounds(search.kinds, search.budget)
    out = bounds.least_unplaced()
    bound = (out + search.kinds.impossible) * UNPLACED_COST + bounds.cheapest(out, 0).bound
    assert bound <= brute_force(problem)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_what_fillings_prove_is_never_above_the_optimum(problem: HostProblem) -> None:
    search = Search(problem, QUICK, None, None)
    out = search.bounds.least_unplaced()
    filled = search.bounds.fill(search.host_of, out, 0, lambda: False)
    assert (out + search.kinds.impossible) * UNPLACED_COST + filled.bound <= brute_force(problem)


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.int64, (3, 2), elements=st.integers(0, 5)),
    arrays(np.int64, 3, elements=st.integers(0, 3)),
    arrays(np.int64, 2, elements=st.integers(0, 12)),
    arrays(np.int64, 3, elements=st.integers(1, 9)),
)
def test_no_filling_of_a_host_is_worth_more(
    demand: np.ndarray, limit: np.ndarray, room: np.ndarray, worth: np.ndarray
) -> None:
    fillings = (np.array(n) for n in itertools.product(*(range(n + 1) for n in limit.tolist())))
    best = max(int(n @ worth) for n in fillings if (n @ demand <= room).all())
    before = room.copy()
    most, filling, _ = loops.fullest(demand, limit, room, worth, 10**6)
    assert (most, int(filling @ worth), room.tolist()) == (best, best, before.tolist())
    assert (filling @ demand <= room).all()
    assert (filling <= limit).all()


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 1000))
def test_without_the_exact_model_the_bound_and_the_plan_still_hold(problem: HostProblem, seed: int) -> None:
    search = Search(problem, Limits(deterministic_time=0.05, seed=seed), None, None)
    search._prove()
    search._fit(search.least_out, search.bounds.cheapest(search.least_out, 0), 4)
    search._improve_parts()
    assert search.bound <= brute_force(problem) <= search.objective


@settings(max_examples=40, deadline=None)
@given(problems(), st.data())
def test_each_planted_breach_is_found(problem: HostProblem, data: st.DataObject) -> None:
    plan = solve(problem, QUICK)
    assert breaches(problem, plan) == ()
    lies = [
        replace(plan, cost=plan.cost + 1),
        replace(plan, unplaced=plan.unplaced + 1),
        replace(plan, objective=plan.objective + 1),
        replace(plan, bound=plan.objective + 1),
        replace(plan, bound=-1),
        replace(plan, host_of=np.append(plan.host_of, 0)),
    ]
    if len(plan.host_of):
        strange = plan.host_of.copy()
        strange[data.draw(st.integers(0, len(strange) - 1))] = len(problem.capacity)
        lies.append(replace(plan, host_of=strange))
    assert [lie for lie in lies if not breaches(problem, lie)] == []


def test_a_host_that_is_too_full_is_found() -> None:
    problem = HostProblem(np.array([[3], [3]]), np.array([[5], [5]]), np.array([7, 7]), np.array([0, 0]))
    plan = solve(problem)
    crowded = replace(plan, host_of=np.array([1, 1]), cost=7, objective=7, bound=7)
    assert breaches(problem, crowded) == ("host 1: resource 0 is short of 1",)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_seed_gives_the_same_plan(seed: int) -> None:
    chance = np.random.default_rng(3)
    problem = HostProblem(
        chance.integers(100, 550, (60, 3)),
        np.repeat(chance.integers(800, 1600, (2, 3)), 17, axis=0),
        np.repeat(np.array([100, 130]), 17),
        np.repeat(np.arange(2), 17),
    )
    limits = Limits(deterministic_time=0.5, seed=seed)
    first, second = solve(problem, limits), solve(problem, limits)
    assert first.host_of.tolist() == second.host_of.tolist()
    assert (first.objective, first.bound, first.solver) == (second.objective, second.bound, second.solver)

"""Constraints of every kind at once: no plan is better than the exact one, and each provider's refusal is true."""

import pkgutil
from dataclasses import replace
from importlib import import_module
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import constraints
from placement.explain import name_of
from placement.online import Online
from placement.plan import Limits, PlanStatus
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.solvers.exact import Infeasible
from placement.verify import breaches, broken
from tierwise.testing import constraint_samples
from tierwise.testing.placement import Value, best_by_trying, small_problem, value_of_plan

SAMPLES = {
    module.name: import_module(f"{constraint_samples.__name__}.{module.name}").sample
    for module in pkgutil.iter_modules(constraint_samples.__path__)
}
SHORT = Limits(deterministic_time=0.2)
CHOOSING = frozenset({"numa", "devices", "datastores"})
"""Kinds whose choices multiply the plans that must be tried: one of them at a time where all are."""


CAREFUL = frozenset({"ha_reserve"})
"""Kinds that the kernel keeps by a plan of its own, so that it may refuse what another plan would allow."""


def constrained(seed: int, most: int, *, choosing_together: bool = False) -> PlacementProblem:
    """A small problem with up to so many constraints of different kinds."""
    chance = np.random.default_rng([seed, 5])
    kinds = [str(kind) for kind in chance.permutation(sorted(SAMPLES))[:most]]
    choosing = [kind for kind in kinds if kind in CHOOSING]
    problem = small_problem(seed)
    while choosing and len(problem.request_ids) > 3:
        problem = small_problem(int(chance.integers(0, 2**32)))
    r, v = len(problem.request_ids), len(problem.providers.ids)
    if chance.random() < 0.5:
        problem = replace(
            problem,
            current=chance.integers(-1, v, r).astype(np.int64),
            priority=chance.integers(0, 2, r).astype(np.int64),
        )
    chosen = [kind for kind in kinds if choosing_together or kind not in choosing[1:]]
    return replace(problem, constraints=tuple(SAMPLES[kind](problem, chance) for kind in chosen))


def test_every_kind_has_samples() -> None:
    assert set(SAMPLES) == {name for name, kind in constraints.kinds().items() if not kind.always}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_no_plan_is_better_than_the_exact_one_whatever_is_asked_at_once(seed: int, most: int) -> None:
    problem = constrained(seed, most)
    best = best_by_trying(problem)
    try:
        plan = solve(problem, way="exact")
    except Infeasible:
        assert best is None
        return
    assert value_of_plan(problem, plan) == best
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_online_kernel_lets_a_request_go_just_where_the_checker_finds_nothing_wrong(
    seed: int, most: int
) -> None:
    problem = constrained(seed, most, choosing_together=True)
    careful = any(one.kind in CAREFUL for one in problem.constraints)
    blind = any(getattr(one, "most_on", None) is not None for one in problem.constraints)
    kernel, chance = Online(problem), np.random.default_rng([seed, 6])
    for i in chance.permutation(len(problem.request_ids)).tolist():
        fine = np.array([fits(problem, kernel.seats, i, v) for v in range(len(problem.providers.ids))])
        mask = kernel.mask(i)
        assert blind or not (mask & ~fine).any(), (i, mask, fine)
        assert careful or not (fine & ~mask).any(), (i, mask, fine)
        if (mask & fine).any():
            kernel.place(i, int(chance.choice(np.flatnonzero(mask & fine))))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_what_is_decided_one_after_another_breaks_nothing(seed: int, most: int) -> None:
    problem = known_online(constrained(seed, most, choosing_together=True))
    online, chance = Online(problem), np.random.default_rng([seed, 7])
    for i in chance.permutation(len(problem.request_ids)).tolist():
        online.decide(i)
        assert broken(problem, online.seats) == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_search_way_proves_nothing_that_the_best_plan_refutes(seed: int, most: int) -> None:
    problem = constrained(seed, most, choosing_together=True)
    best = best_of(problem)
    try:
        plan = solve(problem, SHORT, way="search")
    except Infeasible:
        assert best is None
        return
    assert best is not None
    assert breaches(problem, plan) == ()
    levels = len(best) - len(problem.objective)
    assert plan.unplaced_bound <= sum(best[:levels])
    if value_of_plan(problem, plan)[:levels] == best[:levels]:
        assert plan.bound_micros <= best[levels]


def best_of(problem: PlacementProblem) -> Value | None:
    """By trying; where too many choices multiply, by the exact way, which the property above compares with that."""
    if sum(one.kind in CHOOSING for one in problem.constraints) <= 1:
        return best_by_trying(problem)
    try:
        return value_of_plan(problem, solve(problem, way="exact"))
    except Infeasible:
        return None


def known_online(problem: PlacementProblem) -> PlacementProblem:
    """Without what the kernel does not know: who must keep a place, and how many hosts may be on."""
    unknown = [
        one
        for one in problem.constraints
        if name_of(one) == "preemption" or getattr(one, "most_on", None) is not None
    ]
    return replace(problem, constraints=tuple(one for one in problem.constraints if one not in unknown))


def fits(problem: PlacementProblem, seats: Seats, request: int, provider: int) -> bool:
    """Whether the plan with the request there, with whatever choice, breaks nothing but what must be placed."""
    provider_of = seats.provider_of.copy()
    provider_of[request] = provider
    looked_at = [one for one in constraints.of(problem) if name_of(one) != "preemption"]
    asking = [(name_of(one), one.choice_count(problem)) for one in looked_at if one.choice_count(problem)]
    for picks in product(*(range(-1, count) for _, count in asking)):
        choices = {}
        for (name, _), pick in zip(asking, picks, strict=True):
            choices[name] = np.array(seats.choices.get(name, np.full(len(provider_of), -1)))
            choices[name][request] = pick
        after = Seats(provider_of, choices)
        if not any(True for one in looked_at for _ in one.check(problem, after)):
            return True
    return False


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_no_plan_of_eight_requests_on_four_hosts_is_better_with_every_kind_that_asks_for_no_choice(
    seed: int,
) -> None:
    chance = np.random.default_rng([seed, 7])
    problem = small_problem(seed, size=(8, 4))
    kinds = sorted(
        set(SAMPLES) - CHOOSING - {"ha_reserve"}
    )  # Together with N+1, few would have a place at all.
    everything = replace(problem, constraints=tuple(SAMPLES[kind](problem, chance) for kind in kinds))
    plan = solve(everything, way="exact")
    assert value_of_plan(everything, plan) == best_by_trying(everything)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_constraint_less_or_more_room_is_never_worse_and_the_order_of_requests_changes_nothing(
    seed: int, most: int
) -> None:
    problem = constrained(seed, most)
    try:
        before = value_of_plan(problem, solve(problem, way="exact"))
    except Infeasible:
        return
    free = problem.constraints
    kept = [
        one for one in free if not one.terms
    ]  # Without its costs, a constraint's plans cannot be compared.
    for one in kept:
        less = replace(problem, constraints=tuple(other for other in free if other is not one))
        assert value_of_plan(less, solve(less, way="exact")) <= before
    turned = reversed_requests(problem)
    assert value_of_plan(turned, solve(turned, way="exact")) == before
    assert problem.hosts is not None
    roomier = replace(
        problem,
        free=problem.free + 2,
        largest=problem.largest + 2,
        hosts=replace(problem.hosts, free=problem.hosts.free + 1),
    )
    assert value_of_plan(roomier, solve(roomier, way="exact")) <= before


def reversed_requests(problem: PlacementProblem) -> PlacementProblem:
    """The same problem, its last request first."""
    return replace(
        problem,
        request_ids=problem.request_ids[::-1],
        demand=problem.demand[::-1].copy(),
        cost_micros=problem.cost_micros[::-1].copy(),
        current=None if problem.current is None else problem.current[::-1].copy(),
        priority=None if problem.priority is None else problem.priority[::-1].copy(),
    )

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
from placement.arrays import Int64
from placement.constraint import Constraint
from placement.explain import name_of
from placement.online import Online
from placement.periods import Periods
from placement.plan import Limits, PlanStatus
from placement.problem import TERMS, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.solvers.exact import Infeasible
from placement.verify import breaches, broken
from tierwise.testing import constraint_samples
from tierwise.testing.all_plans import WHOLE, best_of_all, keeps
from tierwise.testing.constraints.promises import Sample, plans_by_chance
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

SAMPLES = {
    module.name: import_module(f"{constraint_samples.__name__}.{module.name}").sample
    for module in pkgutil.iter_modules(constraint_samples.__path__)
}
EIGHT_ON_FOUR = (1, 3, 5, 6, 7, 8)
SHORT = Limits(deterministic_time=0.2)
CAREFUL = frozenset({"ha_reserve"})
"""Kinds that the kernel keeps by a plan of its own, so that it may refuse what another plan would allow."""


def constrained(seed: int, most: int, *, size: tuple[int, int] | None = None) -> PlacementProblem:
    """A small problem with up to so many constraints of different kinds."""
    chance = np.random.default_rng([seed, 5])
    kinds = [str(kind) for kind in chance.permutation(sorted(SAMPLES))[:most]]
    problem = small_problem(seed, size=size)
    r, v = len(problem.request_ids), len(problem.providers.ids)
    if chance.random() < 0.5:
        problem = replace(
            problem,
            current=chance.integers(-1, v, r).astype(np.int64),
            priority=chance.integers(0, 2, r).astype(np.int64),
        )
    problem = replace(problem, constraints=tuple(SAMPLES[kind](problem, chance) for kind in kinds))
    return replace(problem, objective=weighed(chance)) if chance.random() < 0.4 else problem


def weighed(chance: np.random.Generator) -> tuple[dict[str, int], ...]:
    """One to three levels of some terms with small weights, 0 among them."""
    return tuple(
        {
            str(term): int(chance.integers(0, 5))
            for term in chance.permutation(TERMS)[: chance.integers(1, 6)]
        }
        for _ in range(int(chance.integers(1, 4)))
    )


def with_everything(seed: int) -> PlacementProblem:
    """Eight requests on four hosts with a constraint of every kind; odd seeds have times.

    Rules by chance alone would leave no plan at all, so each is drawn until it allows one plan, planted before, of most
    requests; the best one is mostly another.
    """
    chance = np.random.default_rng([seed, 7])
    problem = roomy(small_problem(seed, size=(8, 4)), chance, times=seed % 2 == 1)
    planted = next(
        plan
        for plan in (np.where(chance.random(8) < 0.85, chance.integers(0, 4, 8), -1) for _ in range(1000))
        if not broken(problem, Seats(plan))
    )
    problem = replace(
        problem,
        current=np.where(chance.random(8) < 0.5, chance.integers(-1, 4, 8), planted).astype(np.int64),
        priority=chance.integers(0, 2, 8).astype(np.int64),
    )
    rules = (drawn(SAMPLES[kind], problem, planted, chance) for kind in sorted(SAMPLES))
    return replace(problem, constraints=tuple(rules))


def roomy(problem: PlacementProblem, chance: np.random.Generator, *, times: bool) -> PlacementProblem:
    """The problem with hosts that can do without one another, and sometimes with requests that come and go."""
    assert problem.hosts is not None
    hosts = replace(problem.hosts, free=problem.hosts.free * 2, largest=problem.hosts.largest + 4)
    first = chance.integers(0, 2, len(problem.request_ids))
    end = first + chance.integers(1, 3 - first)
    taken = chance.integers(0, 3, (2, *hosts.free.shape))
    periods = Periods(("in May", "in June"), first, end, taken) if times else None
    return replace(problem, free=problem.free * 2, hosts=hosts, periods=periods)


def drawn(
    sample: Sample, problem: PlacementProblem, planted: Int64, chance: np.random.Generator
) -> Constraint:
    """The first of its samples that lets the plan be."""
    for _ in range(300):
        one = sample(problem, chance)
        if keeps(problem, one, planted):
            return one
    msg = f"{sample.__module__} never allows {planted}"
    raise AssertionError(msg)


def test_every_kind_has_samples() -> None:
    assert set(SAMPLES) == {name for name, kind in constraints.kinds().items() if not kind.always}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_striking_what_is_refused_once_finds_what_looking_at_every_choice_finds(
    seed: int, most: int
) -> None:
    problem = constrained(seed, most, size=(3, 3))
    assert best_of_all(problem) == best_by_trying(problem)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_who_leaves_a_plan_breaks_nothing_but_what_is_asked_of_whole_plans(seed: int, times: bool) -> None:
    chance = np.random.default_rng([seed, 8])
    problem = roomy(small_problem(seed), chance, times=times)
    problem = replace(
        problem, current=chance.integers(-1, len(problem.providers.ids), len(problem.request_ids))
    )
    problem = replace(
        problem, constraints=tuple(SAMPLES[kind](problem, chance) for kind in sorted(SAMPLES))
    )
    for one in constraints.of(problem):
        for seats in () if name_of(one) in WHOLE else plans_by_chance(problem, one, chance, 5):
            if any(True for _ in one.check(problem, seats)):
                continue
            for i in np.flatnonzero(seats.provider_of >= 0).tolist():
                choices = {name: without(chosen, i) for name, chosen in seats.choices.items()}
                left = Seats(without(seats.provider_of, i), choices)
                assert list(one.check(problem, left)) == [], (name_of(one), seats, i)


def without(chosen: Int64, request: int) -> Int64:
    left = chosen.copy()
    left[request] = -1
    return left


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_no_plan_is_better_than_the_exact_one_whatever_is_asked_at_once(seed: int, most: int) -> None:
    assert_exact(constrained(seed, most))


@pytest.mark.parametrize("seed", EIGHT_ON_FOUR)
def test_no_plan_of_eight_requests_on_four_hosts_is_better_with_every_kind_at_once(seed: int) -> None:
    problem = with_everything(seed)
    assert {name_of(one) for one in problem.constraints} == set(SAMPLES)
    assert_exact(problem)


def assert_exact(problem: PlacementProblem) -> None:
    """The exact way finds what trying all plans finds, and says so."""
    best = best_of_all(problem)
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
    problem = constrained(seed, most)
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
    problem = known_online(constrained(seed, most))
    online, chance = Online(problem), np.random.default_rng([seed, 7])
    for i in chance.permutation(len(problem.request_ids)).tolist():
        online.decide(i)
        assert broken(problem, online.seats) == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_search_way_proves_nothing_that_the_best_plan_refutes(seed: int, most: int) -> None:
    problem = constrained(seed, most)
    best = best_of_all(problem)
    try:
        plan = solve(problem, SHORT, way="search")
    except Infeasible:
        assert best is None
        return
    assert best is not None
    assert breaches(problem, plan) == ()
    levels = len(best) - len(problem.objective)
    assert plan.unplaced_bound <= sum(best[:levels])
    proven = [level.bound for level in plan.levels] or [plan.bound_micros]
    for n, bound in enumerate(proven, start=levels):
        if value_of_plan(problem, plan)[:n] == best[:n]:
            assert bound <= best[n]


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

"""The way for large problems on problems that are small enough to try all their plans."""

import pkgutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.constraint import Constraint
from placement.plan import Limits, Plan
from placement.problem import InvalidProblem, PlacementProblem
from placement.solve import solve
from placement.solvers.exact import Infeasible
from placement.verify import breaches
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

SHORT = Limits(deterministic_time=0.4)
SAMPLES = "tierwise.testing.constraint_samples"
SEEDS = range(10)
CHOOSING = {"numa", "devices", "datastores"}

Sample = Callable[[PlacementProblem, np.random.Generator], Constraint]


def samples() -> dict[str, Sample]:
    """What makes valid data of each constraint that is installed."""
    if find_spec(SAMPLES) is None:
        return {}
    found = pkgutil.iter_modules(import_module(SAMPLES).__path__)
    return {module.name: import_module(f"{SAMPLES}.{module.name}").sample for module in found}


def running(seed: int) -> PlacementProblem:
    problem = small_problem(seed)
    chance = np.random.default_rng([seed, 2])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    return replace(
        problem,
        current=chance.integers(-1, v, r).astype(np.int64),
        priority=chance.integers(0, 2, r).astype(np.int64),
    )


def constrained(kind: str, seed: int) -> PlacementProblem | None:
    """A problem with one constraint, beside hosts that cost money; None where the sample does not suit it."""
    problem = running(seed) if kind in {"move_cost", "preemption", "maintenance"} else small_problem(seed)
    constraint = samples()[kind](problem, np.random.default_rng([seed, 5]))
    try:
        return replace(problem, constraints=(constraint,))
    except InvalidProblem:
        return None


def bounded(problem: PlacementProblem, plan: Plan, best: tuple[int, ...]) -> bool:
    """Whether nothing is said to be proven that the best plan refutes."""
    value = value_of_plan(problem, plan)
    below = plan.unplaced_bound <= sum(best[: len(best) - len(problem.objective)])
    levels = len(best) - len(problem.objective)
    return below and (value[:levels] != best[:levels] or plan.bound_micros <= best[levels])


@pytest.mark.parametrize("make", [small_problem, running])
def test_nine_in_ten_small_problems_are_solved_to_the_optimum(
    make: Callable[[int], PlacementProblem],
) -> None:
    missed = []
    for seed in SEEDS:
        problem = make(seed)
        best = best_by_trying(problem)
        assert best is not None
        plan = solve(problem, SHORT, way="search")
        assert breaches(problem, plan) == ()
        assert bounded(problem, plan, best), seed
        missed += [seed] if value_of_plan(problem, plan) != best else []
    assert len(missed) <= max(1, len(SEEDS) // 10), missed


@pytest.mark.parametrize(
    "kind", sorted(samples()) or [pytest.param("", marks=pytest.mark.skip("no samples"))]
)
def test_nine_in_ten_problems_with_a_constraint_are_solved_to_the_optimum(kind: str) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        problem = constrained(kind, seed)
        if problem is None:
            continue
        if kind in CHOOSING and len(problem.request_ids) > 3:
            continue  # Trying every choice of more takes long.
        best = best_by_trying(problem)
        try:
            plan = solve(problem, SHORT, way="search")
        except Infeasible:
            seen["refused"] += best is not None
            continue
        assert best is not None, seed
        assert breaches(problem, plan) == ()
        assert bounded(problem, plan, best), seed
        seen["solved"] += value_of_plan(problem, plan) == best
        seen["missed"] += value_of_plan(problem, plan) != best
    assert seen["refused"] + seen["missed"] <= max(1, sum(seen.values()) // 10), seen


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_problem_seed_and_limits_give_the_same_plan(seed: int) -> None:
    problem = running(seed)
    limits = Limits(deterministic_time=0.3, seed=seed % 100)
    assert solve(problem, limits, way="search") == solve(problem, limits, way="search")

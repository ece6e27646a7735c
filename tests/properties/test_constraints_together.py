"""Constraints of every kind at once: no plan is better than the exact one, and each provider's refusal is true."""

import pkgutil
from dataclasses import replace
from importlib import import_module

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import constraints
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.solve import solve
from placement.solvers.exact import Infeasible
from placement.verify import breaches
from tierwise.testing import constraint_samples
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

SAMPLES = {
    module.name: import_module(f"{constraint_samples.__name__}.{module.name}").sample
    for module in pkgutil.iter_modules(constraint_samples.__path__)
}
CHOOSING = frozenset({"numa", "devices", "datastores"})
"""Kinds whose choices multiply the plans that must be tried: one of them at a time."""


def constrained(seed: int, most: int) -> PlacementProblem:
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
    chosen = [kind for kind in kinds if kind not in choosing[1:]]
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

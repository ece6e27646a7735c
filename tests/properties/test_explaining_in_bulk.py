"""What explanations find for many at once is what asking each constraint for each provider finds."""

import pkgutil
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import constraints
from placement.against import against
from placement.explain import explained, name_of
from placement.placed import Placed, placed
from placement.problem import PlacementProblem
from tierwise.testing import constraint_samples
from tierwise.testing.constraints.promises import Setting, problem_with

KINDS = sorted(module.name for module in pkgutil.iter_modules(constraint_samples.__path__))


def some_plan(kind: str, seed: int) -> Placed:
    """A small problem with a constraint of this kind, and requests on hosts by chance, some on none."""
    sample = import_module(f"{constraint_samples.__name__}.{kind}").sample
    problem = problem_with(sample, seed, Setting(hosts=True, times=seed % 3 == 0))
    chance = np.random.default_rng([seed, 9])
    provider_of = chance.integers(-1, len(problem.providers.ids), len(problem.request_ids)).astype(np.int64)
    return placed(problem, provider_of, choices_on(problem, provider_of))


def choices_on(problem: PlacementProblem, provider_of: np.ndarray) -> dict[str, np.ndarray]:
    """The first of every choice that a constraint asks for."""
    asking = [name_of(one) for one in constraints.of(problem) if one.choice_count(problem)]
    return {name: np.where(provider_of >= 0, 0, -1).astype(np.int64) for name in asking}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whom_a_constraint_does_not_concern_it_blocks_nowhere(kind: str, seed: int) -> None:
    after = some_plan(kind, seed)
    for one in constraints.of(after.problem):
        concerned = one.concerns(after.problem)
        for i in range(len(after.problem.request_ids)):
            blocked = one.blocked(after, i)
            assert concerned is None or concerned[i] or blocked is None or not blocked.any()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_asking_those_that_a_request_concerns_finds_all_that_blocks(kind: str, seed: int) -> None:
    after = some_plan(kind, seed)
    for i in range(len(after.problem.request_ids)):
        every = ((one, one.blocked(after, i)) for one in constraints.of(after.problem))
        blocking = [
            (one, blocked.tolist()) for one, blocked in every if blocked is not None and blocked.any()
        ]
        found = against(after, i)
        assert [(one, blocked.tolist()) for one, blocked in found.blocking] == blocking
        assert found.count.tolist() == [
            sum(blocked[v] for _, blocked in blocking) for v in range(len(after.problem.providers.ids))
        ]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reasons_of_several_providers_are_those_of_each(kind: str, seed: int) -> None:
    after = some_plan(kind, seed)
    for i in range(len(after.problem.request_ids)):
        for one, blocked in against(after, i).blocking:
            providers = np.flatnonzero(blocked)[::-1].tolist()
            each = [tuple(one.why(after, i, v)) for v in providers]
            assert list(one.why_each(after, i, providers)) == each


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_reasons_of_a_pool_are_of_the_host_with_the_fewest_and_then_the_most_room(seed: int) -> None:
    after = some_plan(KINDS[seed % len(KINDS)], seed)
    problem = after.problem
    for i in range(len(problem.request_ids)):
        standing = against(after, i)
        room = after.left(i).min(axis=1).tolist()
        by_pool = {one.pool: one for one in explained(after, i)[0]}
        for p, name in enumerate(problem.pool_ids):
            inside = np.flatnonzero(problem.providers.pool_of == p).tolist()
            nearest = min(inside, key=lambda v: (standing.count[v], -room[v], v))
            reasons = [one.why(after, i, nearest) for one, blocked in standing.blocking if blocked[nearest]]
            assert list(by_pool[name].rejections) == [one for several in reasons for one in several]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_left_for_a_request_does_not_depend_on_who_was_asked_before(seed: int) -> None:
    after = some_plan("quotas", seed)
    order = [*range(len(after.problem.request_ids)), *reversed(range(len(after.problem.request_ids)))]
    for i in order:
        alone = placed(after.problem, after.provider_of)
        assert after.left(i).tolist() == alone.left(i).tolist()
        assert after.least_left(i).tolist() == alone.left(i).min(axis=1).tolist()

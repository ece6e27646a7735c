"""The online kernel against counting everything anew, in plain Python, after each of many comings and goings."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.online import Online, failover, memory, rules, scan
from placement.verify import broken
from tierwise.testing.kernel import MAKE, SAID, Recount, Said, Says, a_problem, same, with_primitives
from tierwise.testing.placement import small_problem

SEED = 4
"""A small problem whose first request fits on some hosts and not on others."""
OFTEN = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def walk(online: Online, chance: np.random.Generator, steps: int, look: Any) -> None:
    """Requests come and go by chance; `look` at some request that is not placed before each step."""
    for _ in range(steps):
        i = int(chance.integers(0, len(online.problem.request_ids)))
        if online.provider_of[i] >= 0 and chance.random() < 0.6:
            online.remove(i)
        if online.provider_of[i] >= 0:
            continue
        look(i)
        could = np.flatnonzero(online.mask(i))
        if len(could):
            online.place(i, int(chance.choice(could)))


@pytest.mark.parametrize(
    "names", [[name] for name in MAKE] + [list(MAKE)], ids=lambda n: n[0] if len(n) == 1 else "all"
)
@settings(max_examples=25, deadline=None)
@given(seeds)
def test_the_mask_is_what_counting_anew_says(names: list[str], seed: int) -> None:
    chance = np.random.default_rng(seed)
    online = Online(with_primitives(a_problem(chance), chance, names))
    recount = Recount(online)

    def look(i: int) -> None:
        counted = [recount.could(i, v) for v in range(len(online.problem.providers.ids))]
        assert online.mask(i).tolist() == counted

    walk(online, chance, 20, look)


@pytest.mark.parametrize("names", [["even", "per_excess", "at_most"], list(MAKE)], ids=["some", "all"])
@OFTEN
@given(seeds)
def test_no_provider_is_better_than_the_best(names: list[str], seed: int) -> None:
    chance = np.random.default_rng(seed)
    online = Online(with_primitives(a_problem(chance), chance, names))
    recount = Recount(online)

    def look(i: int) -> None:
        best = online.best(i)
        assert best == recount.best(i)
        if best >= 0:
            seats = online.provider_of.tolist()
            after = [*seats[:i], best, *seats[i + 1 :]]
            assert online.cost(i, best) == recount.costs(after) - recount.costs(seats)

    walk(online, chance, 12, look)


@OFTEN
@given(seeds)
def test_numpy_answers_what_compiled_code_answers(seed: int) -> None:
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    fast, plain = Online(problem), Online(problem, compiled=False)

    def look(i: int) -> None:
        assert fast.mask(i).tolist() == plain.mask(i).tolist()
        assert fast.best(i) == plain.best(i)

    for _ in range(15):
        i = int(chance.integers(0, len(problem.request_ids)))
        if fast.remove(i) >= 0:
            plain.remove(i)
        look(i)
        assert fast.decide(i) == plain.decide(i)
    assert same(fast, plain)


@OFTEN
@given(seeds)
def test_who_comes_and_goes_leaves_nothing_behind(seed: int) -> None:
    chance = np.random.default_rng(seed)
    online = Online(with_primitives(a_problem(chance), chance, list(MAKE)))
    walk(online, chance, 10, lambda _: None)

    def look(i: int) -> None:
        before = Online(online.problem)
        before.memory[:] = online.memory
        if online.decide(i) >= 0:
            online.remove(i)
        assert same(online, before)

    walk(online, chance, 6, look)


@OFTEN
@given(seeds)
def test_many_are_decided_as_one_after_another(seed: int) -> None:
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    order = chance.permutation(len(problem.request_ids))
    together, alone = Online(problem), Online(problem)
    assert together.decide_many(order).tolist() == [alone.decide(int(i)) for i in order]
    assert same(together, alone)
    assert together.uneven() == 0


@OFTEN
@given(seeds)
def test_what_is_decided_keeps_the_problems_own_constraints(seed: int) -> None:
    problem = small_problem(seed, hosts=bool(seed % 2))
    online = Online(problem)
    online.decide_many(range(len(problem.request_ids)))
    assert broken(problem, online.seats) == ()


@OFTEN
@given(seeds)
def test_asking_about_a_placed_request_changes_nothing(seed: int) -> None:
    chance = np.random.default_rng(seed)
    online = Online(with_primitives(a_problem(chance), chance, list(MAKE)))
    walk(online, chance, 10, lambda _: None)
    again = Online(online.problem)
    again.memory[:] = online.memory
    for i in range(len(online.problem.request_ids)):
        at = int(online.provider_of[i])
        online.mask(i)
        online.best(i)
        if at >= 0:
            online.cost(i, at)
    assert same(online, again)


def test_a_move_that_is_not_possible_leaves_the_request_where_it_was() -> None:
    online = Online(small_problem(SEED))
    at = online.decide(0)
    elsewhere = np.flatnonzero(~online.mask(0)).tolist()
    assert at >= 0
    with pytest.raises(ValueError, match="cannot move to 'h"):
        online.move(0, elsewhere[0])
    assert online.provider_of[0] == at


def test_what_runs_today_may_be_placed_against_the_rules() -> None:
    online = Online(small_problem(SEED))
    wrong = int(np.flatnonzero(~online.mask(0))[0])
    with pytest.raises(ValueError, match="cannot go to"):
        online.place(0, wrong)
    online.place(0, wrong, force=True)
    assert online.provider_of[0] == wrong
    with pytest.raises(ValueError, match="placed already"):
        online.place(0, wrong, force=True)
    assert online.remove(0) == wrong
    assert online.remove(0) == -1


def test_a_plan_of_restarts_that_is_too_large_is_refused_with_its_size() -> None:
    chance = np.random.default_rng(0)
    problem = a_problem(chance)
    said = Said(
        np.zeros(10, dtype=np.int64),
        [("failover", {"pool": 0, "losses": 2, "weight": np.ones(10, np.int64)})],
    )
    SAID[-1] = said
    most = failover.MOST_ENTRIES
    failover.MOST_ENTRIES = 47
    try:
        with pytest.raises(ValueError, match=r"48 amounts, at most 47.*fewer losses"):
            Online(replace(problem, constraints=(Says(number=-1),)))
    finally:
        failover.MOST_ENTRIES = most


def test_everything_is_the_same_where_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(5)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    fast = Online(problem)
    order = list(range(len(problem.request_ids)))
    found = fast.decide_many(order).tolist()
    for one in (2, 5, 7):
        fast.remove(one)
    plain = uncompiled(monkeypatch)(problem, compiled=False)
    assert plain.decide_many(order).tolist() == found
    for one in (2, 5, 7):
        plain.remove(one)
    assert same(fast, plain)


def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`Online` with every compiled function in its place replaced by the Python that it was made from."""
    for module in (memory, failover, rules, scan):
        for name, one in list(vars(module).items()):
            if hasattr(one, "py_func"):
                monkeypatch.setattr(module, name, one.py_func)
    return partial(Online)

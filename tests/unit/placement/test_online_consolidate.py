"""Ruin and recreate: what it promises of every plan that it has touched."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.online import Online, consolidate
from placement.verify import broken
from tierwise.testing.kernel import MAKE, Recount, a_problem, same, with_primitives

OFTEN = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@OFTEN
@given(seeds)
def test_a_consolidated_plan_keeps_every_rule_and_is_no_worse(seed: int) -> None:
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    online = Online(problem)
    online.decide_many(chance.permutation(len(problem.request_ids)))
    recount = Recount(online)
    cost, without = recount.costs(online.provider_of.tolist()), int((online.provider_of < 0).sum())
    saved = consolidate(online, steps=12, seed=seed)
    after = recount.costs(online.provider_of.tolist())
    assert broken(problem, online.seats) == ()
    assert online.uneven() == 0
    left = int((online.provider_of < 0).sum())
    assert left <= without
    if left == without:
        assert after == cost - saved
        assert after <= cost
    seated = online.provider_of.tolist()
    for i, v in enumerate(seated):
        if v >= 0:
            online.remove(i)
            assert (
                recount.could(i, v) or recount.calls[2][1]["members"][i]
            )  # Spread alone may stand on who left.
            online.place(i, v, force=True)


@OFTEN
@given(seeds)
def test_what_is_restored_is_what_was_remembered(seed: int) -> None:
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    online, other = Online(problem), Online(problem)
    order = chance.permutation(len(problem.request_ids))
    online.decide_many(order)
    other.decide_many(order)
    some = order[: int(chance.integers(1, len(order)))]
    kept = online.remembered(some)
    saved = online.pull(some)
    online.put(chance.permutation(some))
    online.restore(kept)
    assert same(online, other)
    recount = Recount(online)
    seats = online.provider_of
    without = np.where(np.isin(np.arange(len(seats)), some), -1, seats)
    assert saved == recount.costs(seats.tolist()) - recount.costs(without.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_makes_the_same_plan(seed: int) -> None:
    plans = []
    for _ in range(2):
        chance = np.random.default_rng(seed)
        online = Online(with_primitives(a_problem(chance), chance, list(MAKE)))
        online.decide_many(range(10))
        consolidate(online, steps=20, seed=seed)
        plans.append(online.provider_of.tolist())
    assert plans[0] == plans[1]


@OFTEN
@given(seeds)
def test_a_plan_that_saves_nothing_leaves_its_room_no_more_scattered(seed: int) -> None:
    """With no step let through by chance; what is left of each provider is taken as the kernel tells it."""
    chance = np.random.default_rng(seed)
    problem = with_primitives(a_problem(chance), chance, list(MAKE))
    online = Online(problem)
    online.decide_many(chance.permutation(len(problem.request_ids)))
    left, before = online.fit.astype(object), int((online.provider_of < 0).sum())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys.modules[consolidate.__module__], "_EVEN", 0.0)
        saved = consolidate(online, steps=12, seed=seed)
    if before == int((online.provider_of < 0).sum()) == 0 and saved == 0:
        after = online.fit.astype(object)
        assert (after * after).sum() >= (left * left).sum() * (1 - 1e-12)

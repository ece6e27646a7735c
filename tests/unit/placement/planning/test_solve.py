"""Plans of tiny problems are the best there are; found by trying every plan."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from placement.planning import solve as solving
from placement.planning.solve import solve
from placement.problem import InvalidProblem
from tierwise.testing.tiny_planning import least, random_problem


@pytest.mark.parametrize("products", [0, 1, 2])
@pytest.mark.parametrize("seed", range(25))
def test_no_other_plan_of_a_tiny_problem_is_better(seed: int, products: int) -> None:
    problem = random_problem(seed, products=products)
    plan = solve(problem)
    assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == least(problem)
    assert plan.bound_micros == plan.cost_micros


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_hosts_that_must_be_kept_are_and_no_other_plan_that_keeps_them_is_better(
    seed: int, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = random_problem(seed, products=1)
    kept = np.minimum(plain.blocks.most, np.random.default_rng(seed).integers(0, 3, 3))
    # With more hosts that a pool has at least, some of these would have no plan.
    pools = replace(plain.pools, least_hosts=np.ones(2, dtype=np.int64))
    problem = replace(plain, blocks=replace(plain.blocks, least=kept), pools=pools)
    if in_parts:
        monkeypatch.setattr(solving, "_SMALL", -1)
    plan = solve(problem)
    assert bool((plan.hosts >= kept).all())
    best = least(problem)
    assert plan.unplaced_bound <= best[0]
    if not in_parts:
        assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == best
    elif int(plan.unplaced.sum()) == best[0]:
        assert plan.bound_micros <= best[1] <= plan.cost_micros


def test_no_more_hosts_can_be_kept_than_there_may_be() -> None:
    blocks = random_problem(0).blocks
    with pytest.raises(
        InvalidProblem, match=r"blocks\.least: is more than blocks\.most; keep no more hosts"
    ):
        replace(random_problem(0), blocks=replace(blocks, least=blocks.most + 1))


def test_problems_and_plans_go_to_other_processes_and_come_back_the_same() -> None:
    problem = random_problem(1, products=1)
    plan = solve(pickle.loads(pickle.dumps(problem)))
    back = pickle.loads(pickle.dumps(plan))
    assert (back.terms, back.licences, back.counts.tolist()) == (
        plan.terms,
        plan.licences,
        plan.counts.tolist(),
    )
    again = solve(problem)
    assert (again.counts.tolist(), again.hosts.tolist()) == (plan.counts.tolist(), plan.hosts.tolist())

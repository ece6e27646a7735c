"""Plans of tiny problems are the best there are; found by trying every plan."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from placement.planning import solve as solving
from placement.planning.problem import Blocks, Groups, PlannedProduct, PlanningProblem, Pools
from placement.planning.solve import solve
from placement.problem import InvalidProblem
from tierwise.testing.tiny_planning import at_two_prices, in_parts, least, random_problem, way


@pytest.mark.parametrize("products", [0, 1, 2])
@pytest.mark.parametrize("seed", range(25))
def test_no_other_plan_of_a_tiny_problem_is_better(seed: int, products: int) -> None:
    problem = random_problem(seed, products=products)
    plan = solve(problem)
    assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == least(problem)
    assert plan.bound_micros == plan.cost_micros


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("products", [0, 1, 2])
@pytest.mark.parametrize("seed", range(25))
def test_prices_in_parts_of_a_micro_unit_are_rounded_where_plans_are_compared(
    seed: int, products: int, crowds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no products are those of one order at two prices."""
    if crowds:
        monkeypatch.setattr(solving, "_SMALL", -1)
    problem = in_parts(
        random_problem(seed, products=products) if products else at_two_prices(seed), seed + 100
    )
    plan, best = solve(problem), least(problem)
    if not crowds:
        assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == best
        assert plan.bound_micros == plan.cost_micros
    elif int(plan.unplaced.sum()) == best[0]:
        assert plan.bound_micros <= best[1] <= plan.cost_micros


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_minimums_of_an_order_at_two_prices_are_asked_once(
    seed: int, crowds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if crowds:
        monkeypatch.setattr(solving, "_SMALL", -1)
    problem = at_two_prices(seed)
    plan, best = solve(problem), least(problem)
    assert plan.unplaced_bound <= best[0]
    if not crowds:
        assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == best
        assert plan.bound_micros == plan.cost_micros
    elif int(plan.unplaced.sum()) == best[0]:
        assert plan.bound_micros <= best[1] <= plan.cost_micros


def test_covers_that_a_minimum_pays_for_anyway_are_used() -> None:
    """Covering p once and q 25 times takes 45 units of the 100 that must be bought, so that r at 3 does not pay off."""
    one = np.ones(3, dtype=np.int64)
    problem = PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=("a", "b"),
            count=np.array([1, 50]),
            demand=np.zeros((2, 1), dtype=np.int64),
            current=np.array([0, -1]),
            allowed=np.array([[True, False, False], [False, True, True]]),
        ),
        pools=Pools(
            ids=("p", "q", "r"),
            tier_of=("t", "t", "t"),
            losses=0 * one,
            shared=0 * one[:, None],
            open_costs={"manager": np.array([0, 0, 3])},
        ),
        blocks=Blocks(
            ids=("p0", "q0", "r0"),
            pool_of=np.arange(3),
            existing=one,
            most=one,
            capacity=one[:, None],
            largest=one[:, None],
            sockets=one,
            cores_per_socket=np.array([20, 1, 1]),
        ),
        products=(
            PlannedProduct(
                name="product",
                groups=np.ones(2, dtype=np.bool_),
                alternatives=(
                    way("stacked", {"metric": "per_core", "covers": 2, "order_minimum": 100, "price": 1}),
                    way("flat", {"metric": "per_core", "price": 6}),
                ),
                pools=np.array([True, True, False]),
            ),
        ),
    )
    plan = solve(problem)
    assert (plan.cost_micros, plan.bound_micros) == (100, 100)


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

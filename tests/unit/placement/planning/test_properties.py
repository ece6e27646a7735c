"""What the best plan must do when the problem changes, and what bounds promise where plans are not proven best."""

from dataclasses import replace

import numpy as np
import pytest

from placement.planning import solve as solving
from placement.planning.problem import PlanningProblem
from placement.planning.solve import solve
from tierwise.testing.tiny_planning import WAYS, least, random_problem, way

SEEDS = range(12)


def best(problem: PlanningProblem) -> tuple[int, int]:
    plan = solve(problem)
    assert plan.bound_micros == plan.cost_micros
    return int(plan.unplaced.sum()), plan.cost_micros


@pytest.mark.parametrize("seed", SEEDS)
def test_one_more_alternative_never_costs_more(seed: int) -> None:
    problem = random_problem(seed, products=1)
    (product,) = problem.products
    more = replace(product, alternatives=(*product.alternatives, way("one more", WAYS[seed])))
    assert best(replace(problem, products=(more,))) <= best(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rule_that_vendors_accept_never_costs_more(seed: int) -> None:
    problem = random_problem(seed, products=1)
    (product,) = problem.products
    without = replace(problem, products=(replace(product, parts=False, whole_pool=False),))
    accepted = replace(problem, products=(replace(product, parts=True, whole_pool=False),))
    assert best(accepted) <= best(without)


@pytest.mark.parametrize("seed", SEEDS)
def test_hosts_that_could_be_bought_never_cost_more(seed: int) -> None:
    problem = random_problem(seed, products=1)
    more = replace(problem, blocks=replace(problem.blocks, most=problem.blocks.most + np.array([1, 0, 1])))
    assert best(more) <= best(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_more_machines_never_cost_less(seed: int) -> None:
    problem = random_problem(seed, products=1)
    one = np.array([1, 0, 0])
    more = replace(problem, groups=replace(problem.groups, count=problem.groups.count + one))
    assert best(more) >= best(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_more_moves_never_cost_more(seed: int) -> None:
    problem = replace(random_problem(seed, products=1), most_moves=1)
    assert best(replace(problem, most_moves=2)) <= best(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_groups_does_not_matter(seed: int) -> None:
    problem = random_problem(seed, products=1)
    order = np.array([2, 0, 1])
    groups = problem.groups
    assert groups.move_cost is not None
    assert groups.restart is not None
    turned = replace(
        groups,
        ids=tuple(groups.ids[g] for g in order.tolist()),
        count=groups.count[order],
        demand=groups.demand[order],
        current=groups.current[order],
        allowed=groups.allowed[order],
        costs={term: micros[order] for term, micros in groups.costs.items()},
        move_cost=groups.move_cost[order],
        restart=groups.restart[order],
    )
    (product,) = problem.products
    named = replace(product, groups=product.groups[order])
    assert best(replace(problem, groups=turned, products=(named,))) == best(problem)


@pytest.mark.parametrize("seed", range(40))
def test_what_prices_prove_is_never_above_the_best_plan(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "_SMALL", -1)  # As large problems are solved.
    problem = random_problem(seed, products=1)
    plan, (out, cost, _) = solve(problem), least(problem)
    assert plan.solver == "crowds"
    assert plan.unplaced_bound <= out <= int(plan.unplaced.sum())
    if int(plan.unplaced.sum()) == out:
        assert plan.bound_micros <= cost <= plan.cost_micros


@pytest.mark.parametrize("seed", [61, 155])
def test_what_prices_prove_holds_where_all_have_a_place_in_parts_only(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solving, "_SMALL", -1)
    problem = random_problem(seed, products=2)
    plan, (out, cost, _) = solve(problem), least(problem)
    assert int(plan.unplaced.sum()) == out == 1
    assert plan.bound_micros <= cost <= plan.cost_micros


@pytest.mark.parametrize("seed", [1, 10, 14, 18, 24, 45, 61])
def test_prices_prove_how_many_have_no_place(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "_SMALL", -1)
    problem = random_problem(seed, products=1)
    out, _, _ = least(problem)
    assert out > 0
    assert solve(problem).unplaced_bound == out


def test_no_plan_that_costs_no_more_moves_fewer_than_prices_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "_SMALL", -1)
    proven = 0
    for seed in range(24):
        plain = random_problem(seed, products=seed % 2)
        problem = replace(plain, most_moves=None)
        plan = solve(problem)
        if not plan.moves:
            continue
        out, _, moves = least(problem)
        # The cheapest plan costs no more than this one, if it leaves out no more.
        if out == int(plan.unplaced.sum()):
            assert plan.moves_bound <= moves, seed
            proven += int(plan.moves_bound == moves > 0)
    assert proven > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_of_the_best_plans_none_moves_fewer_than_is_told(seed: int) -> None:
    problem = random_problem(seed, products=1)
    plan = solve(problem)
    assert plan.moves_bound == plan.moves == least(problem)[2]

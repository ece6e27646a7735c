"""Plans of tiny problems are the best there are; found by trying every plan."""

import pickle

import pytest

from placement.planning.solve import solve
from tierwise.testing.tiny_planning import least, random_problem


@pytest.mark.parametrize("products", [0, 1, 2])
@pytest.mark.parametrize("seed", range(25))
def test_no_other_plan_of_a_tiny_problem_is_better(seed: int, products: int) -> None:
    problem = random_problem(seed, products=products)
    plan = solve(problem)
    assert (int(plan.unplaced.sum()), plan.cost_micros, plan.moves) == least(problem)
    assert plan.bound_micros == plan.cost_micros


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

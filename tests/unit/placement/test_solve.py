"""The door: as many as possible, as cheaply as possible, with an honest bound."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from placement.plan import Limits, Plan, PlanStatus
from placement.problem import PlacementProblem
from placement.solve import solve


def pools_of(plan: Plan) -> list[str | None]:
    return [assignment.pool for assignment in plan.assignments]


def test_each_request_goes_to_its_cheapest_pool_where_there_is_room(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    plan = solve(problem_of([[1], [2]], [[9], [9]], [[5, 3], [4, 8]]))
    assert pools_of(plan) == ["b", "a"]
    assert (plan.cost_micros, plan.bound_micros, plan.status) == (7, 7, PlanStatus.OPTIMAL)


def test_placing_one_more_is_worth_any_cost(problem_of: Callable[..., PlacementProblem]) -> None:
    # r0 alone would be cheapest in a; but r1 fits only there, and r0 must pay 1,000 more to make room.
    plan = solve(problem_of([[4], [4]], [[4], [4]], [[1, 1001], [1, 1]], refused=[(1, 1)]))
    assert pools_of(plan) == ["b", "a"]
    assert plan.cost_micros == 1002


def test_the_cheapest_for_each_is_not_the_cheapest_for_all(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    # Only one fits into a. Moving r0 away costs 1 more, moving r1 away 50 more.
    plan = solve(problem_of([[4], [4]], [[4], [8]], [[10, 11], [10, 60]]))
    assert pools_of(plan) == ["b", "a"]
    assert (plan.cost_micros, plan.gap) == (21, 0.0)


def test_equal_costs_go_to_the_pool_that_stands_first(problem_of: Callable[..., PlacementProblem]) -> None:
    plan = solve(problem_of([[1]] * 3, [[2], [9], [9]], [[7, 7, 7]] * 3))
    assert pools_of(plan) == ["a", "a", "b"]


def test_of_identical_requests_the_first_get_the_cheapest_places_and_the_last_go_without(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    plan = solve(problem_of([[2]] * 4, [[2], [4]], [[9, 5]] * 4))
    assert pools_of(plan) == ["b", "b", "a", None]
    assert (len(plan.unplaced), plan.unplaced_bound, plan.status) == (1, 1, PlanStatus.OPTIMAL)


def test_machines_stay_where_they_run_when_that_costs_no_more(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    plan = solve(problem_of([[1]] * 4, [[2], [2]], [[7, 7]] * 4, current=[1, 0, 1, 0]))
    assert pools_of(plan) == ["b", "a", "b", "a"]


def test_a_swap_that_costs_nothing_keeps_different_machines_at_home(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    # Sizes differ, so that no single move between the two full pools is possible.
    plan = solve(
        problem_of([[3], [2], [3], [2]], [[5], [5]], [[6, 6], [4, 4], [6, 6], [4, 4]], current=[1, 0, 0, 1])
    )
    assert pools_of(plan) == ["b", "a", "a", "b"]


@pytest.mark.parametrize("way", ["counts", "packing", "pools"])
def test_a_way_that_does_not_see_the_objective_is_refused(
    problem_of: Callable[..., PlacementProblem], way: str
) -> None:
    moves_first = {"objective": ({"moves": 1}, {"price": 1})}
    with pytest.raises(AssertionError, match="only problems that fit"):
        solve(problem_of([[1]], [[4], [4]], [[3, 5]], current=[1], more=moves_first), way=way)


@pytest.mark.parametrize("way", ["counts", "exact", "search"])
@pytest.mark.parametrize(
    ("requests", "pools"), [(0, 2), (2, 0), (0, 0)], ids=["no requests", "no pools", "nothing"]
)
def test_an_empty_problem_has_an_empty_plan(
    problem_of: Callable[..., PlacementProblem], requests: int, pools: int, way: str
) -> None:
    problem = problem_of([[1, 1, 1]] * requests, [[4, 4, 4]] * pools, [[1] * pools] * requests)
    plan = solve(problem, way=way)
    assert pools_of(plan) == [None] * requests
    assert (plan.cost_micros, plan.bound_micros, plan.unplaced_bound) == (0, 0, requests)


def test_costs_near_the_limit_of_integers_stay_exact(problem_of: Callable[..., PlacementProblem]) -> None:
    big = 2**59
    plan = solve(problem_of([[3], [3], [4]], [[6], [4]], [[big, big + 1], [big - 1, big + 3], [big, big]]))
    # r2 alone in b, or r2 in a with 2 left over, which takes neither of the others: three placed.
    assert (len(plan.unplaced), plan.cost_micros, plan.bound_micros) == (0, 3 * big - 1, 3 * big - 1)


def packed(requests: int, pools: int, seed: int, fill: float) -> PlacementProblem:
    """Distinct sizes on pools that are full to about `fill`, cheaper pools first in demand."""
    rng = np.random.default_rng(seed)
    demand = np.stack(
        [
            rng.integers(1, 33, requests),
            rng.integers(1, 257, requests) * 512,
            rng.integers(20, 500, requests),
        ],
        axis=1,
    )
    rate = np.sort(rng.integers(50, 200, pools))
    share = rng.dirichlet(np.ones(pools) * 5)
    free = np.ceil(share[:, None] * demand.sum(axis=0) / fill).astype(np.int64)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib", "disk_gib"),
        request_ids=tuple(f"r{i}" for i in range(requests)),
        demand=demand,
        pool_ids=tuple(f"p{j}" for j in range(pools)),
        tier_of=tuple(f"tier-{1 + j % 3}" for j in range(pools)),
        free=free,
        largest=free,
        cost_micros=(demand @ np.array([9000, 2, 150]))[:, None] * rate,
    )


@pytest.mark.parametrize("effort", [1e-6, 1e-3, 0.05])
def test_a_search_that_is_stopped_early_still_gives_a_verified_plan_with_a_bound(effort: float) -> None:
    problem = packed(80, 5, seed=3, fill=1.05)
    plan = solve(problem, Limits(deterministic_time=effort))
    thorough = solve(problem, Limits(deterministic_time=2.0))
    assert plan.status is PlanStatus.FEASIBLE
    assert 0 < plan.bound_micros <= plan.cost_micros
    # Each of two runs bounds the other: none can beat what was proven of all plans.
    assert plan.unplaced_bound <= len(thorough.unplaced) <= len(plan.unplaced)
    if len(thorough.unplaced) == len(plan.unplaced):
        assert plan.bound_micros <= thorough.cost_micros <= plan.cost_micros


def test_two_runs_give_equal_plans() -> None:
    problem, limits = packed(60, 4, seed=5, fill=0.95), Limits(deterministic_time=0.3)
    assert solve(problem, limits) == solve(problem, limits)


def test_a_large_batch_of_few_kinds_is_placed_within_one_percent_of_its_bound() -> None:
    kinds = packed(30, 20, seed=7, fill=1.0)
    rows = np.arange(2000) % 30
    problem = PlacementProblem(
        resource_classes=kinds.resource_classes,
        request_ids=tuple(f"r{i}" for i in range(2000)),
        demand=kinds.demand[rows],
        pool_ids=kinds.pool_ids,
        tier_of=kinds.tier_of,
        free=kinds.free * 85,
        largest=kinds.free * 85,
        cost_micros=kinds.cost_micros[rows],
    )
    plan = solve(problem, Limits(deterministic_time=0.3))
    assert not plan.unplaced
    assert plan.gap < 0.01


def test_a_single_order_does_not_load_the_solver() -> None:
    program = (
        "import sys, numpy as np\n"
        "from placement.problem import PlacementProblem\n"
        "from placement.solve import solve\n"
        "one = lambda *v: np.array([v], dtype=np.int64)\n"
        "plan = solve(PlacementProblem(('vcpu',), ('r',), one(1), ('a',), ('t',), one(2), one(2), one(3)))\n"
        "print(plan.status.value, 'ortools' in sys.modules, 'numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["optimal", "False", "False"]

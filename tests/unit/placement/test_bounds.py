"""Bounds by counting, with and without prices of the rows, against figures worked by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from placement.bounds import least_cost_micros, most_placed
from placement.budget import Budget
from placement.packing import Packing
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.solve import posted
from placement.solvers.lp import relax


@pytest.fixture
def one_of_two(problem_of: Callable[..., PlacementProblem]) -> Packing:
    """Two machines of 4 vCPU cost 1 each in a, which has room for one, and 11 each in b."""
    return Packing(posted(problem_of([[4], [4]], [[4], [8]], [[1, 11], [2, 12]])))


@pytest.mark.parametrize(
    ("price", "bound"),
    [
        (None, 1 + 2),
        (0.0, 1 + 2),
        (1.0, 5 + 6 - 4),
        (2.5, 11 + 12 - 10),  # the best price: both machines then are indifferent
        (100.0, 0),  # 11 + 12 - 400 is below what any plan costs anyway
        (-7.0, 1 + 2),  # no price is negative
    ],
)
def test_a_price_of_the_full_pool_gives_the_bound_worked_by_hand(
    one_of_two: Packing, price: float | None, bound: int
) -> None:
    assert least_cost_micros(one_of_two, 2, None if price is None else [price]) == bound


def test_a_bound_is_of_the_cheapest_so_many(one_of_two: Packing) -> None:
    assert [least_cost_micros(one_of_two, n) for n in (0, 1, 2)] == [0, 1, 3]


def test_no_more_are_placed_than_pools_can_take_alone(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[4]] * 5, [[9], [3]], [[1, 1]] * 5)
    assert most_placed(Packing(posted(problem))) == 2


def test_prices_of_the_linear_program_give_its_own_bound(one_of_two: Packing) -> None:
    relaxed = relax(one_of_two, one_of_two.classes.cost, 2, Budget.of(Limits()), 1.0)
    assert relaxed is not None
    assert least_cost_micros(one_of_two, 2, relaxed.prices) == 13
    assert np.array_equal(relaxed.counts.sum(axis=0), [1, 1])


def test_prices_prove_how_many_go_without(problem_of: Callable[..., PlacementProblem]) -> None:
    # Two sizes that each fill the pool alone: counting says 3 + 2, the row says three of the small.
    packing = Packing(posted(problem_of([[2]] * 3 + [[3]] * 2, [[6]], [[1]] * 5)))
    value = np.full_like(packing.upper, -1)
    relaxed = relax(packing, value, 0, Budget.of(Limits()), 1.0)
    assert relaxed is not None
    assert most_placed(packing) == 5
    assert most_placed(packing, relaxed.prices) == 3


def test_a_linear_program_without_time_says_nothing(one_of_two: Packing) -> None:
    budget = Budget(seed=0, deterministic_time=1e-12, time_limit_s=60)
    assert relax(one_of_two, one_of_two.classes.cost, 2, budget, 1.0) is None

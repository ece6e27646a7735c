"""The search way's parts, on matrices and problems small enough to count by hand."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.budget import Budget
from placement.large.improve import joined
from placement.large.incumbent import Incumbent
from placement.large.part import Columns, Part, State, part_of
from placement.large.relevant import views
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.outcome import Progress
from placement.plan import Limits
from placement.seats import Seats
from placement.solve import posted, solve
from placement.stages import Stage
from tierwise.testing.placement import every_plan, small_problem

seeds = st.integers(0, 2**32 - 1)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def matrix() -> Matrix:
    # a + b <= 5, 2 b + 3 c <= 12, c - d >= -1; all from 0 to 4.
    return Matrix(
        lower=numbers(0, 0, 0, 0),
        upper=numbers(4, 4, 4, 4),
        start=numbers(0, 2, 4, 6),
        column=numbers(0, 1, 1, 2, 2, 3),
        coefficient=numbers(1, 1, 2, 3, 1, -1),
        row_lower=numbers(-NO_LIMIT, -NO_LIMIT, -1),
        row_upper=numbers(5, 12, NO_LIMIT),
        terms={},
    )


def state(*values: int) -> State:
    return State.of(matrix(), Columns.of(matrix()), numbers(*values))


def test_what_is_fixed_moves_to_the_limits_of_the_rows() -> None:
    part = part_of(state(3, 2, 1, 1), numbers(1, 2))
    # b <= 5 - 3; 2 b + 3 c <= 12 stays; c >= -1 + 1 says nothing.
    assert part.matrix.upper.tolist() == [2, 4]
    assert part.matrix.lower.tolist() == [0, 0]
    assert part.matrix.column.tolist() == [0, 1]
    assert part.matrix.row_upper.tolist() == [12]


def test_rows_follow_the_columns_that_are_given_other_values() -> None:
    now = state(3, 2, 1, 1)
    now.take(numbers(0, 2), numbers(0, 2))
    assert now.values.tolist() == [0, 2, 2, 1]
    assert now.activity.tolist() == matrix().activity(now.values).tolist() == [2, 10, 1]


def test_an_earlier_stage_counts_more_than_all_that_later_ones_can() -> None:
    part = Part(numbers(0, 1, 2, 3), matrix())
    first = Stage("unplaced", Expression(numbers(0), numbers(-10)))
    second = Stage("level 1", Expression(numbers(1, 2), numbers(6, 9)))
    both = joined([first, second], part)
    assert both is not None
    # Steps of 3 in the second, which then reaches 2 * 4 + 3 * 4 = 20: a step of the first is worth 21.
    assert dict(
        zip(both.expression.column.tolist(), both.expression.coefficient.tolist(), strict=True)
    ) == {
        0: -21,
        1: 2,
        2: 3,
    }


def test_stages_that_do_not_fit_into_one_number_are_not_joined() -> None:
    part = Part(numbers(0, 1, 2, 3), matrix())
    wide = Stage("level 1", Expression(numbers(1, 2), numbers(2**50, 2**50 + 1)))
    assert joined([wide, wide], part) is None


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_seats_are_taken_just_where_they_keep_every_constraint(seed: int) -> None:
    problem = small_problem(seed)
    model = posted(problem)
    chance = np.random.default_rng([seed, 8])
    fine = {tuple(seats.provider_of.tolist()) for seats in every_plan(problem)}
    for _ in range(5):
        seats = chance.integers(-1, len(problem.providers.ids), len(problem.request_ids)).astype(np.int64)
        plan = Incumbent(model, Budget.of(Limits()), None)
        assert plan.holds(Seats(seats)) == (tuple(seats.tolist()) in fine)
        assert plan.offer(Seats(seats), "test") == (tuple(seats.tolist()) in fine)


def test_what_the_checker_refuses_is_taken_back() -> None:
    problem = small_problem(0)
    told: list[Progress] = []
    plan = Incumbent(posted(problem), Budget.of(Limits()), told.append)
    assert plan.offer(Seats(np.full(len(problem.request_ids), -1, dtype=np.int64)), "nobody")
    before = plan.values
    assert plan.state is not None
    crowded = np.arange(plan.cells, dtype=np.int64)
    plan.state.take(crowded, np.full(len(crowded), 9, dtype=np.int64))
    assert not plan.check()
    assert plan.values == before
    assert plan.counts.sum() == 0
    assert told


def test_columns_that_only_loosen_nothing_are_left_out_of_a_bound() -> None:
    # d only tightens its row when it rises, and costs nothing.
    all_rows = next(views(matrix(), numbers(1, 1, 1, 0), (1, 2)))
    assert all_rows.matrix.upper.tolist() == [0, 0, 4, 0]
    assert all_rows.whole(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0]


def test_progress_never_tells_a_bound_above_a_value() -> None:
    told: list[Progress] = []
    problem = replace(small_problem(5), priority=None)
    solve(problem, Limits(deterministic_time=0.4), way="search", tell=told.append)
    assert told
    assert all(one.bound <= one.value for one in told)

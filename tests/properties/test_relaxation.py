"""Bounds that linear programs suggest, against every plan of small problems and against whole-number optima."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.budget import Budget
from placement.constraints import kinds
from placement.large import alike
from placement.large.bounds import Bounds
from placement.linear import SOLVERS
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.relaxation import Solver, Sums, program_of, proven, with_row
from placement.solve import posted
from placement.stages import Stage, level_stages, unplaced_stages
from tierwise.testing.placement import best_by_trying, small_problem

OFTEN = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def with_more(seed: int) -> PlacementProblem:
    """Priorities and running machines; hosts that cost money, where that constraint is installed."""
    problem = small_problem(seed)
    chance = np.random.default_rng([seed, 3])
    r, v = len(problem.request_ids), len(problem.providers.ids)
    costs = {name: int(chance.integers(0, 40)) for name in problem.providers.ids}
    hosts_on = (
        (kinds()["hosts_on"].model_validate({"cost_micros": costs}),) if "hosts_on" in kinds() else ()
    )
    return replace(
        problem,
        priority=chance.integers(0, 2, r).astype(np.int64),
        current=chance.integers(-1, v, r).astype(np.int64),
        constraints=hosts_on,
    )


@OFTEN
@given(seeds)
def test_no_stage_of_the_best_plan_is_below_its_bound(seed: int) -> None:
    problem = with_more(seed)
    best = best_by_trying(problem)
    assert best is not None
    model = posted(problem)
    matrix = model.matrix()
    stages = (*unplaced_stages(model), *level_stages(model, matrix))
    bounds = Bounds(matrix, model.shape, Budget.of(Limits()))
    for n, stage in enumerate(stages):
        assert bounds.least(stages[:n], best[:n], stage, best[n] + 7, 1.0) <= best[n], stage.name


@OFTEN
@given(seeds)
def test_no_prices_whatever_prove_more_than_the_optimum(seed: int) -> None:
    problem = small_problem(seed)
    best = best_by_trying(problem)
    assert best is not None
    model = posted(problem)
    matrix = model.matrix()
    chance = np.random.default_rng([seed, 4])
    prices = chance.normal(0, 10.0 ** chance.integers(-3, 12), len(matrix.row_lower))
    (stage,) = unplaced_stages(model)
    assert proven(matrix, stage.expression, prices) + stage.constant <= best[0]
    g, v = model.shape
    classes = Sums(np.repeat(np.arange(g), v), np.zeros(g, dtype=np.int64), model.classes.count)
    assert proven(matrix, stage.expression, prices, classes) + stage.constant <= best[0]


@OFTEN
@given(seeds)
def test_the_prices_of_the_linear_program_prove_its_value_but_for_rounding(seed: int) -> None:
    model = posted(small_problem(seed))
    matrix = model.matrix()
    (stage,) = unplaced_stages(model)
    answer = Solver(program_of(matrix, stage.expression)).solve(60.0, 10**6)
    assert answer is not None
    exact = proven(matrix, stage.expression, answer.prices)
    assert exact >= answer.objective - 1e-4
    assert exact <= np.ceil(answer.objective + 1e-4)


@pytest.mark.parametrize("named", sorted(SOLVERS))
def test_the_prices_of_each_solver_prove_about_as_much_and_never_more_than_the_optimum(
    named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(25):
        problem = small_problem(seed)
        best = best_by_trying(problem)
        assert best is not None
        model = posted(problem)
        matrix = model.matrix()
        stages = (*unplaced_stages(model), *level_stages(model, matrix))
        for n, stage in enumerate(stages[:2]):
            rows = matrix
            for one, most in zip(stages[:n], best, strict=False):
                rows = with_row(rows, one.expression, -NO_LIMIT, most - one.constant)
            program = program_of(rows, stage.expression)
            usual, answer = (
                Solver(program).solve(60.0, 10**6),
                Solver(program, named=named).solve(60.0, 10**6),
            )
            assert usual is not None
            assert answer is not None
            exact = proven(rows, stage.expression, answer.prices) + stage.constant
            assert exact <= best[n]
            # PDLP ends within a millionth of the sums it compares, of which small differences may be left.
            near = 1e-5 * (1.0 + np.abs(program.cost) @ program.upper)
            assert exact >= usual.objective + stage.constant - near
    assert capfd.readouterr().out == ""


def test_each_solver_takes_new_bounds_of_a_column() -> None:
    for named in SOLVERS:
        solver = Solver(
            program_of(by_hand([9, 9], [([1, 1], 6, NO_LIMIT)]), all_columns(2, 3)), named=named
        )
        first = solver.solve(60.0, 10**6)
        solver.bound(0, 0.0, 4.0)
        then = solver.solve(60.0, 10**6)
        assert first is not None
        assert then is not None
        # Six of the first column; then four of it and two of the other.
        assert (first.objective, then.objective) == pytest.approx((12.0, 14.0), rel=1e-4), named


def by_hand(upper: list[int], rows: list[tuple[list[int], int, int]]) -> Matrix:
    """Columns from 0 to `upper`; rows as coefficients of all columns, and limits."""
    coefficients = np.array([row for row, _, _ in rows], dtype=np.int64)
    return Matrix(
        lower=np.zeros(len(upper), dtype=np.int64),
        upper=np.array(upper, dtype=np.int64),
        start=np.arange(len(rows) + 1, dtype=np.int64) * len(upper),
        column=np.tile(np.arange(len(upper), dtype=np.int64), len(rows)),
        coefficient=coefficients.reshape(-1),
        row_lower=np.array([low for _, low, _ in rows], dtype=np.int64),
        row_upper=np.array([high for _, _, high in rows], dtype=np.int64),
        terms={},
    )


def all_columns(*coefficients: int) -> Expression:
    return Expression(np.arange(len(coefficients)), np.array(coefficients, dtype=np.int64))


def test_prices_of_both_sides_of_a_row_count_against_the_side_that_they_speak_of() -> None:
    # x + y >= 3, x - y <= 1: 5 x + 4 y is least at (0, 3), and 12 = 4 * 3.
    matrix = by_hand([9, 9], [([1, 1], 3, NO_LIMIT), ([1, -1], -NO_LIMIT, 1)])
    assert proven(matrix, all_columns(5, 4), np.array([4.0, 0.0])) == 12
    assert proven(matrix, all_columns(5, 4), np.array([0.0, 0.0])) == 0
    # The wrong sign speaks of a side that is open, and proves nothing.
    assert proven(matrix, all_columns(5, 4), np.array([4.0, 3.0])) == 12
    # A price of -1 of the second row makes it 6 x - 5 y - 1, which is least at (0, 9).
    assert proven(matrix, all_columns(5, -4), np.array([0.0, -1.0])) == -46


def test_sums_that_leave_64_bits_are_still_exact() -> None:
    matrix = by_hand([2**40, 2**40], [([1, 1], -NO_LIMIT, 2**41)])
    assert proven(matrix, all_columns(-(2**40), -(2**40) - 1), np.array([0.0])) == -(2**81) - 2**40


@pytest.mark.parametrize("hosts", [2, 5])
def test_hosts_that_are_alike_are_one_column_with_the_same_optimum(hosts: int) -> None:
    # Cells of one class on `hosts` hosts of 4 places each, and a column for each host that is on and costs 10.
    n = hosts
    rows = [([1] * n + [0] * n, 5, 5)]
    rows += [
        ([int(v == h) for v in range(n)] + [-4 * int(v == h) for v in range(n)], -NO_LIMIT, 0)
        for h in range(n)
    ]
    matrix, costs = by_hand([5] * n + [1] * n, rows), np.array([0] * n + [10] * n, dtype=np.int64)
    found = alike.alike(matrix, costs)
    assert found is not None
    assert (found.columns, found.rows) == (2, 2)
    small = Solver(alike.program_of(matrix, costs, found)).solve(60.0, 10**6)
    large = Solver(program_of(matrix, all_columns(*costs.tolist()))).solve(60.0, 10**6)
    assert small is not None
    assert large is not None
    assert small.objective == pytest.approx(large.objective) == pytest.approx(12.5)
    spread = alike.prices_of(found, small.prices)
    assert proven(matrix, all_columns(*costs.tolist()), spread) == 13


def test_branching_on_how_many_hosts_are_on_proves_what_rounding_cannot() -> None:
    # Five requests of 1 each on hosts of four places and 10 each: 5 + 12.5 where hosts need not be whole, 5 + 20 in fact.
    n = 3
    rows = [([1] * n + [0] * n, 5, 5)]
    rows += [
        ([int(v == h) for v in range(n)] + [-4 * int(v == h) for v in range(n)], -NO_LIMIT, 0)
        for h in range(n)
    ]
    matrix = by_hand([5] * n + [1] * n, rows)
    stage = Stage("level 1", all_columns(*[1] * n, *[10] * n))
    assert Bounds(matrix, (1, n), Budget.of(Limits())).least((), (), stage, 40, 1.0) == 25
    rounded = Solver(program_of(matrix, stage.expression)).solve(60.0, 10**6)
    assert rounded is not None
    assert proven(matrix, stage.expression, rounded.prices) == 18


def test_whole_columns_are_whole() -> None:
    matrix = by_hand([3, 3], [([2, 2], 3, NO_LIMIT)])
    program = program_of(matrix, all_columns(1, 1))
    answer = Solver(program, whole=np.array([True, True])).solve(60.0, 0)
    assert answer is not None
    assert (answer.objective, answer.values.sum()) == pytest.approx((2.0, 2.0))

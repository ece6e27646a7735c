"""Rows that are posted in any order come out row after row, as they were posted."""

from collections.abc import Callable

import numpy as np
import pytest

from placement.arrays import Int64
from placement.model import Model
from placement.problem import PlacementProblem


def entries(model: Model, row: int) -> list[tuple[int, int]]:
    """Column and coefficient of each entry of one posted row."""
    matrix = model.matrix()
    row += len(model.classes.count)
    inside = slice(matrix.start[row], matrix.start[row + 1])
    return list(zip(matrix.column[inside].tolist(), matrix.coefficient[inside].tolist(), strict=True))


def numbers(*values: int) -> Int64:
    return np.array(values, dtype=np.int64)


@pytest.fixture
def model(problem_of: Callable[..., PlacementProblem]) -> Model:
    return Model(problem_of([[1], [2]], [[9], [9]], [[1, 1], [1, 1]]))


def test_entries_of_a_row_stay_in_the_order_posted_and_zeros_are_dropped(model: Model) -> None:
    model.rows(numbers(1, 0, 1, 0), numbers(3, 2, 0, 1), numbers(5, 7, 6, 0), numbers(0, 0), numbers(9, 9))
    assert entries(model, 0) == [(2, 7)]
    assert entries(model, 1) == [(3, 5), (0, 6)]


def test_a_row_without_entries_is_a_row(model: Model) -> None:
    model.rows(numbers(2, 0), numbers(0, 1), numbers(1, 2), numbers(0, 0, 0), numbers(4, 5, 6))
    model.row(numbers(3), numbers(8), 0, 7)
    assert [entries(model, row) for row in range(4)] == [[(1, 2)], [], [(0, 1)], [(3, 8)]]
    assert model.matrix().row_upper.tolist()[-4:] == [4, 5, 6, 7]


@pytest.mark.parametrize("count", [2**16 - 1, 2**16, 2**16 + 1])
def test_the_last_of_many_rows_is_not_taken_for_the_first(model: Model, count: int) -> None:
    zeros = np.zeros(count, dtype=np.int64)
    model.rows(numbers(count - 1, 0), numbers(1, 2), numbers(3, 4), zeros, zeros + 9)
    assert entries(model, 0) == [(2, 4)]
    assert entries(model, count - 1) == [(1, 3)]


def test_nobody_can_change_what_cells_are_called(model: Model) -> None:
    with pytest.raises(ValueError, match="read-only"):
        model.cells()[0, 0] = 5

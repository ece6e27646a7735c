"""A problem that cannot be solved as written is refused with the path of what is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from placement.periods import Periods
from placement.problem import InvalidProblem, PlacementProblem
from placement.providers import Hosts


def int64(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def held(*taken: list[int]) -> Periods:
    """One slot, in which others take so much."""
    return Periods(("now",), np.array([0, 0]), np.array([1, 1]), int64(*taken)[None])


BAD: list[tuple[dict[str, Any], str]] = [
    ({"demand": int64([1, 1])}, r"demand: shape \(1, 2\) must be \(2, 2\)"),
    ({"demand": np.ones((2, 2))}, "demand: must be a numpy array of int64"),
    ({"demand": [[1, 1], [1, 1]]}, "demand: must be a numpy array of int64"),
    ({"demand": int64([1, 1], [1, -3])}, r"demand\[1\]\[1\]: -3 must not be negative"),
    ({"free": int64([-1, 1], [1, 1])}, r"free\[0\]\[0\]: -1 must not be negative"),
    ({"largest": int64([1, 1])}, "largest: shape"),
    ({"cost_micros": int64([2**62, 1], [1, 1])}, "cost_micros: the sum .* 62 bits"),
    ({"cost_micros": int64([2**61, 1], [1, 2**61])}, "cost_micros: the sum .* 62 bits"),
    ({"tier_of": ("tier-1",)}, "tier_of: 1 tiers for 2 pools"),
    ({"request_ids": ("x", "x")}, "request_ids: 'x' stands twice"),
    ({"pool_ids": ("p", "p")}, "pool_ids: 'p' stands twice"),
    ({"resource_classes": ("vcpu", "vcpu")}, "resource_classes: 'vcpu' stands twice"),
    ({"rejections": {(0, 2): ()}}, r"rejections: no such pair \(0, 2\)"),
    ({"rejections": {(-1, 0): ()}}, r"rejections: no such pair \(-1, 0\)"),
    ({"current": np.array([0, 2])}, r"current\[1\]: 2 must be a provider's position, 0 to 1, or -1"),
    ({"periods": held([3, 4], [4, 5])}, r"periods.taken\[0\]\[1\]\[1\]: 5 is more than the 4 that is free"),
    (
        {"periods": held([2, 2], [3, 2]), "hosts": Hosts(("h", "i"), np.array([0, 0]), int64([4, 4], [4, 4]), int64([9, 9], [9, 9]))},
        r"periods.taken\[0\]: hosts of 'a' hold 5 of vcpu, more than the 4 that is free",
    ),
    ({"current": np.array([0])}, "current: must be a numpy array of int64 of shape"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=[m for _, m in BAD])
def test_a_bad_problem_is_refused_with_its_path(
    problem_of: Callable[..., PlacementProblem], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidProblem, match=f"^{message}"):
        problem_of([[1, 1], [1, 1]], [[4, 4], [4, 4]], [[1, 2], [1, 2]], more=wrong)


def test_arrays_of_a_problem_cannot_be_changed(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = problem_of([[1]], [[4]], [[1]])
    with pytest.raises(ValueError, match="read-only"):
        problem.free[0, 0] = 5


def test_a_pair_with_an_empty_reason_is_allowed(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = problem_of([[1]], [[4], [4]], [[1, 1]], refused=[(0, 1)])
    assert problem.allowed().tolist() == [[True, False]]
    empty = problem_of([[1]], [[4], [4]], [[1, 1]], more={"rejections": {(0, 1): ()}})
    assert empty.allowed().tolist() == [[True, True]]

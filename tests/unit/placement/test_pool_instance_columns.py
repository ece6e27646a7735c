"""A pool instance says no to columns that cannot be one, and where."""

from typing import Any

import numpy as np
import pytest

from placement.pool_instances.instance import from_columns
from placement.problem import InvalidProblem


def columns(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "demand": np.array([[2, 8], [4, 8]]),
        "klass": np.array([0, 1, 1]),
        "app": np.array([0, 0, 1]),
        "capacity": np.array([[8, 64], [16, 64]]),
        "allowed": np.array([[True, True], [False, True]]),
        "unit_cost": np.array([[5, 7], [9, 8]]),
        "open_cost": np.array([10, 20]),
        "windows": np.array([0, 1]),
        "app_spread": np.array([True, False]),
        "licence_pack_vcpus": np.array(16),
        "licence_pack_cost": np.array(900),
        "app_max_share": np.array(0.6),
        "unplaced_cost": np.array(1000),
    }
    return plain | changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"demand": np.array([[2, -8], [4, 8]])}, "demand[0][1]: -8 must not be negative"),
        ({"klass": np.array([0, 2, 1])}, "klass[1]: 2 must be below 2"),
        ({"app": np.array([0, 0])}, "app: shape (2,) must be (3,)"),
        ({"capacity": np.array([8, 16])}, "capacity: shape (2,) must have 2 axes"),
        ({"unit_cost": np.array([[5.5, 7], [9, 8]])}, "unit_cost[0][0]: 5.5 must be a whole number"),
        ({"demand": np.array([[2, 8], [4, np.nan]])}, "demand[1][1]: nan must be a whole number"),
        ({"capacity": np.array([[8, -np.inf], [1, 1]])}, "capacity[0][1]: -inf must be a whole number"),
        (
            {"unit_cost": np.array([[5.0, 7], [9, 8]])},
            "unit_cost: must be whole numbers, not float64; save",
        ),
        ({"allowed": np.array([[2, 1], [0, 1]])}, "allowed[0][0]: 2 must be true or false"),
        (
            {"allowed": np.array([[1.0, 1], [0, 1]])},
            "allowed: must be true or false everywhere, not float64",
        ),
        ({"licence_pack_vcpus": np.array(0)}, "licence_pack_vcpus: 0 must be above 0"),
        ({"licence_pack_vcpus": np.array([16])}, "licence_pack_vcpus: must be one whole number"),
        ({"app_max_share": np.array(1.5)}, "app_max_share: 1.5 must be from 0 to 1"),
        ({"app_max_share": np.array(np.nan)}, "app_max_share: nan must be from 0 to 1"),
        (
            {"unplaced_cost": np.array(2**52)},
            "unplaced_cost: a sum of 1.35e+16 over 3 requests does not fit",
        ),
        (
            {"open_cost": np.array([2**63, 1], dtype=np.uint64)},
            "open_cost[0]: 9223372036854775808 does not fit into 63 bits",
        ),
    ],
)
def test_a_wrong_column_is_refused_with_the_path_of_its_first_wrong_value(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidProblem) as refused:
        from_columns(columns(**changed))
    assert str(refused.value).startswith(message)


def test_a_missing_column_is_named() -> None:
    short = columns()
    del short["open_cost"], short["app"]
    with pytest.raises(InvalidProblem, match=r"^app: there is no such column, and none of open_cost$"):
        from_columns(short)


def test_an_instance_cannot_be_changed_afterwards() -> None:
    instance = from_columns(columns())
    with pytest.raises(ValueError, match="read-only"):
        instance.demand[0, 0] = 1


def test_an_application_may_have_its_share_rounded_up_and_a_lone_request_anywhere() -> None:
    spread = {"app": np.array([0, 0, 1]), "app_spread": np.array([True, True])}
    assert from_columns(columns(**spread)).group_limits().tolist() == [2, 1]
    assert from_columns(columns(**spread, app_max_share=np.array(0.5))).group_limits().tolist() == [1, 1]

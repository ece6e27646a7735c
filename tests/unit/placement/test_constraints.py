"""Each constraint by itself: what it posts, what it finds in a plan, and what it says."""

from collections.abc import Callable

import numpy as np
import pytest

from placement import constraints
from placement.constraint import Constraint
from placement.constraints.allowed import Allowed
from placement.constraints.capacity import Capacity
from placement.constraints.largest import Largest
from placement.model import Model
from placement.placed import Placed, placed
from placement.problem import PlacementProblem
from placement.seats import Seats

allowed, capacity, largest = Allowed(), Capacity(), Largest()


def plan_of(problem: PlacementProblem, *pools: str | None) -> Seats:
    """Where requests go, by the names of pools."""
    position = {None: -1} | {name: p for p, name in enumerate(problem.pool_ids)}
    return Seats(np.array([position[pool] for pool in pools], dtype=np.int64))


def after(problem: PlacementProblem, *pools: int) -> Placed:
    return placed(problem, np.array(pools, dtype=np.int64))


def upper_with(problem: PlacementProblem, constraint: Constraint) -> list[list[int]]:
    model = Model(problem)
    constraint.post(model)
    return model.packing_rows().upper.tolist()


def test_every_file_of_the_folder_is_a_constraint_and_says_what_it_keeps() -> None:
    always = {"allowed", "capacity", "largest"}
    assert {name for name, kind in constraints.kinds().items() if kind.always} == always
    assert always == set(constraints._ALWAYS)
    for name, kind in constraints.kinds().items():
        assert kind.__doc__
        assert ("kind" in kind.model_fields) == (name not in always)
        assert {"post", "admit", "check"} <= set(vars(kind))


def test_allowed_keeps_requests_out_of_refused_pools(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = problem_of([[1], [2]], [[9], [9]], [[1, 1], [1, 1]], refused=[(0, 1)])
    assert upper_with(problem, allowed) == [[1, 0], [1, 1]]
    assert list(allowed.check(problem, plan_of(problem, "b", "b"))) == [
        "r0: b is refused: confidential data must stay in DE"
    ]
    assert not list(allowed.check(problem, plan_of(problem, "a", "b")))
    assert [r.rule_id for r in allowed.why(after(problem, -1, -1), 0, 1)] == ["data-residency"]


def test_largest_keeps_machines_off_hosts_that_are_too_small(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[8, 4096]], [[99, 99999]] * 2, [[1, 1]], largest=[[8, 4095], [7, 4096]])
    assert upper_with(problem, largest) == [[0, 0]]
    assert list(largest.check(problem, plan_of(problem, "a"))) == [
        "r0: memory_mib 4096 is more than one host of a has (4095)"
    ]
    assert list(largest.check(problem, plan_of(problem, "b"))) == [
        "r0: vcpu 8 is more than one host of b has (7)"
    ]
    (reason,) = largest.why(after(problem, -1), 0, 1)
    assert (reason.limit, reason.need) == ("7 vCPU", "8 vCPU")
    assert str(reason) == (
        "8 vCPU is more than one machine can have on b (7 vCPU, its largest usable host); "
        "order at most 7 vCPU, or choose a pool with larger hosts"
    )


def test_capacity_counts_all_requests_of_a_pool_together(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[3], [3], [4]], [[6], [9]], [[1, 1]] * 3)
    assert not list(capacity.check(problem, plan_of(problem, "a", "a", "b")))
    assert list(capacity.check(problem, plan_of(problem, "a", "b", "a"))) == [
        "a: vcpu 7 is more than the 6 that is free"
    ]
    assert upper_with(problem, capacity) == [[2, 2], [1, 1]]


def test_capacity_says_how_much_is_missing_and_who_has_it(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[2, 16384], [2, 16384]], [[9, 20480], [9, 4096]], [[1, 1]] * 2)
    (lost,) = capacity.why(after(problem, 0, -1), 1, 0)
    assert (lost.dimension, lost.limit, lost.need) == ("memory_mib", "4 GiB", "16 GiB")
    assert str(lost) == (
        "12 GiB more memory would have to be free on a: "
        "it would fit alone, but 1 other request of this batch uses the room; "
        "free 12 GiB of memory on a, or order a smaller size"
    )
    (never,) = capacity.why(after(problem, 0, -1), 1, 1)
    assert never.why == "12 GiB more memory would have to be free on b"


def test_what_is_too_large_for_a_host_is_not_told_to_free_room(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[8]], [[4]], [[1]], largest=[[6]])
    assert not list(capacity.why(after(problem, -1), 0, 0))
    assert [r.rule_id for r in largest.why(after(problem, -1), 0, 0)] == ["largest-host"]


def test_an_overfull_pool_lacks_what_it_owes_as_well(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = problem_of([[8], [4]], [[6]], [[1], [1]])
    (reason,) = capacity.why(after(problem, 0, -1), 1, 0)
    assert (reason.limit, reason.why[:25]) == ("0 vCPU", "6 more vCPU would have to")


def test_a_packing_row_refuses_negative_values(problem_of: Callable[..., PlacementProblem]) -> None:
    model = Model(problem_of([[1]], [[1]], [[1]]))
    cell = np.array([0], dtype=np.int64)
    with pytest.raises(AssertionError, match="no negative values"):
        model.at_most(cell, np.array([-1], dtype=np.int64), 3)
    with pytest.raises(AssertionError, match="no negative values"):
        model.at_most(cell, np.array([1], dtype=np.int64), -1)

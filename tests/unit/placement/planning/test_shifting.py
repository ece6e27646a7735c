"""A machine makes way where that gives another one a place: worked out by hand."""

import numpy as np

from placement.planning.facts import Facts
from placement.planning.problem import Blocks, Groups, PlanningProblem, Pools
from placement.planning.seating import Decided, Seating
from placement.planning.shifting import shift


def seating(*, most_moves: int | None = None) -> Seating:
    """Pool a is full of small machines, which may be anywhere; a large one waits that may be there only."""
    ints = lambda *values: np.array(values, dtype=np.int64)  # noqa: E731 - one word for all the arrays below
    problem = PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=("small", "large"),
            count=ints(4, 1),
            demand=ints([3], [3]),
            current=ints(0, -1),
            allowed=np.array([[True, True], [True, False]]),
        ),
        pools=Pools(ids=("a", "b"), tier_of=("t1", "t1"), losses=ints(0, 0), shared=ints([0], [0])),
        blocks=Blocks(
            ids=("a0", "b0"),
            pool_of=ints(0, 1),
            existing=ints(1, 1),
            most=ints(1, 1),
            capacity=ints([12], [3]),
            largest=ints([12], [3]),
        ),
        most_moves=most_moves,
    )
    return Seating(Facts(problem), (), Decided(ints(1, 1), [], []), ints([4, 0], [0, 0]))


def test_one_machine_makes_way_for_another() -> None:
    found = seating()
    assert not found.room(1, 0)
    shift(found)
    assert found.counts.tolist() == [[3, 1], [1, 0]]
    assert found.holds


def test_nobody_makes_way_where_no_move_is_left() -> None:
    found = seating(most_moves=0)
    shift(found)
    assert found.counts.tolist() == [[4, 0], [0, 0]]
    assert found.moves_left == 0

"""The challenge's text: what is written is read as the same, and each mistake is told with its line."""

from dataclasses import fields

import numpy as np
import pytest

from placement.problem import InvalidProblem
from placement.rebalance.bound import lower_bound
from placement.rebalance.check import breaches, terms
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.roadef import read, read_assignment, write_assignment, write_model
from placement.rebalance.solve import Effort, rebalance
from tests.rebalance_instances import Size, instance

MODEL = """\
2
1 100
0 10
4
0 0 30 400 16 80 0 1 4 5
0 0 10 240 8 160 1 0 3 4
1 1 15 100 12 80 4 3 0 2
1 2 10 100 8 80 5 4 2 0
2
2 0
1 1 0
3
0 12 10 1000
0 10 20 100
1 6 200 1
1
0 1 20
10
1 10 100
"""
"""Two resources (the first used twice), four machines, two services, three processes, a balance."""
FIRST = "0 3 0"


def test_a_model_is_read_as_its_columns_say() -> None:
    problem = read(MODEL, FIRST)
    assert problem.transient.tolist() == [True, False]
    assert problem.load_weight.tolist() == [100, 10]
    assert (problem.location.tolist(), problem.neighbourhood.tolist()) == ([0, 0, 1, 2], [0, 0, 1, 1])
    assert problem.capacity[1].tolist() == [10, 240]
    assert problem.safety[2].tolist() == [12, 80]
    assert problem.machine_move_cost[3].tolist() == [5, 4, 2, 0]
    assert problem.spread.tolist() == [2, 1]
    assert problem.dependency.tolist() == [[1, 0]]
    assert problem.balance.tolist() == [[0, 1, 20, 10]]
    assert problem.initial.tolist() == [0, 3, 0]


def test_costs_are_those_counted_by_hand() -> None:
    problem = read(MODEL, FIRST)
    # Machine 0 uses 18 of 16 and 210 of 80, machine 3 uses 10 of 8 and 20 of 80: (2 + 2) x 100 + 130 x 10.
    # Free are (12, 190), (10, 240), (15, 100), (0, 80): 20 x free of the first exceeds by 50, 0, 200 and 0.
    expected = {"load": 1700, "balance": 2500, "process_moves": 0, "service_moves": 0, "machine_moves": 0}
    assert dict(terms(problem, problem.initial)) == expected
    moved = np.array([0, 2, 0])
    # Process 1 goes from 3 to 2: uses 10 of 12 there. Free are (5, 80) and (10, 100): 20 and 100 too much.
    expected = {
        "load": 1500,
        "balance": 1700,
        "process_moves": 100,
        "service_moves": 10,
        "machine_moves": 200,
    }
    assert dict(terms(problem, moved)) == expected
    # Of 28 of 44 and 230 of 400 nothing must be above safety; free are (37, 610): 130 too much.
    assert lower_bound(problem) == 1300


def test_each_broken_rule_is_told_with_its_numbers() -> None:
    problem = read(MODEL, FIRST)
    assert breaches(problem, np.array([1, 3, 0])) == (
        "machine 1 has 10 of resource 0, and 12 are used; move processes away",
    )
    assert "service 0 has 2 processes on machine 0; each must be on its own" in breaches(
        problem, np.array([0, 0, 0])
    )
    assert "service 0 is in 1 locations; it must be in at least 2" in breaches(problem, np.array([0, 1, 0]))
    assert breaches(problem, np.array([2, 3, 0]))[-1].startswith(
        "service 1 depends on service 0, which is not"
    )


def test_what_is_written_is_read_as_the_same() -> None:
    for seed in range(5):
        problem = instance(seed, Size(30, 6, 4, 12, 9, 2))
        again = read(write_model(problem), write_assignment(problem.initial))
        for field in fields(Reassignment):
            assert np.array_equal(getattr(again, field.name), getattr(problem, field.name)), field.name


MISTAKES = [
    ("", FIRST, "m, line 1: the file ends in the number of resources: a number is needed, none left"),
    (MODEL.replace("0 10\n4", "0 ten\n4"), FIRST, "m, line 3: 'ten' is no whole number"),
    (MODEL.replace("0 10\n4", "0 99999999999999999999\n4"), FIRST, "m, line 3: '99999999999999999999' is no"),
    (MODEL.replace("0 10\n4", "0 1_0\n4"), FIRST, "m, line 3: '1_0' is no whole number"),
    (MODEL.replace("\n4\n", "\n2147483648\n"), FIRST, "m, line 4: the number of machines is 2147483648; it must be from 1 to "),
    (MODEL.replace("1 10 100\n", "1 10"), FIRST, "m, line 19: the file ends in the weights: 3 numbers are needed, 2 left"),
    (MODEL.replace("0 10\n4", "2 10\n4"), FIRST, "m, line 3: the resources: 2 must be one of 2 values"),
    (MODEL.replace("0 10\n4", "0 -10\n4"), FIRST, "m, line 3: the resources: -10 must not be negative"),
    (MODEL.replace("\n4\n", "\n400000\n"), FIRST, "m, line 19: the file ends in the machines"),
    (MODEL.replace("1 1 0\n", "1 1 2\n"), FIRST, "m, line 11: what service 1 depends on: 2 must be one of 2 services"),
    (MODEL.replace("1 6 200 1\n", "2 6 200 1\n"), FIRST, "m, line 15: the processes: 2 must be one of 2 services"),
    (MODEL.replace("0 1 20\n", "0 2 20\n"), FIRST, "m, line 17: the balances: 2 must be one of 2 resources"),
    (MODEL + "7\n", FIRST, "m, line 20: 1 more numbers follow"),
    (MODEL, "0 3", "a, line 1: there are 2 numbers; the model has 3 processes"),
    (MODEL, "0 3\n4", "a, line 2: the assignment: 4 must be one of 4 machines"),
    (MODEL, "0 3\n-1", "a, line 2: the assignment: -1 must be one of 4 machines"),
    (MODEL.replace("1 10 100", "1 10 4611686018427387904"), FIRST, "m: weights: a cost of"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "assignment", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_file_and_line(model: str, assignment: str, said: str) -> None:
    with pytest.raises(InvalidProblem) as caught:
        read(model, assignment, names=("m", "a"))
    assert str(caught.value).startswith(said)


def test_an_estate_that_breaks_a_rule_today_is_refused_with_the_rule() -> None:
    problem = read(MODEL, "0 0 0")
    with pytest.raises(InvalidProblem, match="service 0 has 2 processes on machine 0"):
        rebalance(problem, Effort(moves=10))


def test_an_assignment_alone_is_read_against_its_numbers() -> None:
    assert read_assignment("2\n1 0\n", 3, 4).tolist() == [2, 1, 0]

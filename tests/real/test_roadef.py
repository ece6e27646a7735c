"""The instances of the ROADEF/EURO challenge 2012, where they are present; the checker is one that shares no code of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from placement.rebalance.bound import lower_bound
from placement.rebalance.check import breaches, terms
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.roadef import read, write_assignment
from placement.rebalance.solve import Effort, rebalance

SHARED = Path(__file__).parents[2] / ".." / "shared"
FOLDER = SHARED / "data" / "roadef"
NAMES = ("a1_1", "a1_2", "a1_3", "a1_4", "a1_5", "a2_1", "a2_2", "a2_3", "a2_4", "a2_5", "b_01", "b_02")

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="the challenge's instances are not in ../shared/data/roadef"
)


def _text(kind: str, name: str) -> str:
    return (FOLDER / name[0].upper() / f"{kind}_{name}.txt").read_text()


def _problem(name: str) -> Reassignment:
    return read(_text("model", name), _text("assignment", name))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_costs_today_and_the_bound_are_those_that_are_published(name: str) -> None:
    problem = _problem(name)
    assert sum(terms(problem, problem.initial).values()) == int(_text("original_cost", name))
    assert breaches(problem, problem.initial) == ()
    if (FOLDER / name[0].upper() / f"lb_{name}.txt").exists():
        assert lower_bound(problem) == int(_text("lb", name).split()[0])


@pytest.mark.parametrize(("name", "percent"), [("a1_3", 99.9), ("a2_2", 75.0), ("b_01", 60.0)])
def test_a_short_search_saves_and_the_independent_checker_agrees(
    tmp_path: Path, name: str, percent: float
) -> None:
    checker = SHARED / "tools" / "roadef_check.py"
    if not checker.exists():
        pytest.skip("the independent checker is not in ../shared/tools")
    found = rebalance(_problem(name), Effort(1, moves=1_000_000))
    result = tmp_path / "result.txt"
    result.write_text(write_assignment(found.machine))
    folder = FOLDER / name[0].upper()
    files = [folder / f"model_{name}.txt", folder / f"assignment_{name}.txt", result]
    command = [sys.executable, checker, *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert done.stdout == f"objective {found.objective}\n"
    assert 100 * found.objective <= percent * found.initial

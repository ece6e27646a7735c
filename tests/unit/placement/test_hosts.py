"""Host packing beside what shares nothing with it: another checker, another interpreter of the loops."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from placement.hosts import files, kernels
from placement.hosts.problem import HostProblem
from placement.hosts.result import Progress
from placement.hosts.solve import solve
from placement.plan import Limits
from placement.problem import InvalidProblem

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "../shared/tools/placement_instances.py"
SHIPPED = ROOT / "../shared/data/placement"

IN_ANOTHER_PROCESS = """
import json, sys
if sys.argv[1] == "without":
    sys.modules["numba"] = None
import numpy as np
from placement.hosts import annealing, greedy, kernels
from placement.hosts.kinds import kinds_of
from placement.hosts.problem import HostProblem
from placement.hosts.solve import solve
from placement.plan import Limits
compiled = hasattr(kernels.anneal, "py_func")
chance = np.random.default_rng(7)
demand = chance.integers(100, 550, (40, 3))
problem = HostProblem(demand, np.full((24, 3), 1000), np.full(24, 5), np.zeros(24, dtype=np.int64))
found = [greedy.best(problem, kinds_of(problem)).tolist()]
for seats, hosts in ((0, 17), (2, 15)):
    fitting = annealing.begin(demand, problem.capacity[:hosts], np.arange(40), seats, 1)
    found.append(fitting.host_of.tolist())
    for temperature in annealing.temperatures(fitting, 4):
        fitting.step(temperature)
    found.append([fitting.host_of.tolist(), fitting.excess, fitting.hots, fitting.room.tolist()])
plan = solve(HostProblem(demand[:30], *(a[:17] for a in (problem.capacity, problem.host_cost, problem.host_type))), Limits(deterministic_time=0.05))
found.append([plan.host_of.tolist(), plan.objective, plan.bound, plan.solver])
print(json.dumps([compiled, found]))
"""

IN_A_FRESH_PROCESS = """
import json, sys
import numpy as np
from placement.hosts.problem import HostProblem
from placement.hosts.solve import solve
chance = np.random.default_rng(1)
shape = chance.integers(0, 8, 1000)
demand = chance.integers(1, 20, (8, 2))[shape]
plan = solve(HostProblem(demand, np.full((200, 2), 150), np.full(200, 5), np.zeros(200, dtype=np.int64)))
print(json.dumps([plan.gap, "numba" in sys.modules, "ortools" in sys.modules]))
"""


def in_another_process(word: str, program: str = IN_ANOTHER_PROCESS) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", program, word],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    answer: list[object] = json.loads(done.stdout)
    return answer


def test_without_numba_the_loops_give_the_same_answers() -> None:
    with_numba, without = in_another_process("with"), in_another_process("without")
    assert (with_numba[0], without[0]) == (True, False)
    assert with_numba[1] == without[1]


def test_many_small_requests_need_neither_compiled_loops_nor_a_solver() -> None:
    assert in_another_process("", IN_A_FRESH_PROCESS) == [0.0, False, False]


def test_warming_compiles_the_loops_as_they_are_called() -> None:
    assert kernels.warm() == hasattr(kernels.anneal, "py_func")
    if kernels.warm():
        loops = (kernels.first_fit, kernels.level, kernels.anneal)
        before = [len(getattr(loop, "signatures")) for loop in loops]  # noqa: B009 - numba's, unknown to types
        hard = coarse(40)
        solve(hard, Limits(deterministic_time=0.1))
        assert [len(getattr(loop, "signatures")) for loop in loops] == before  # noqa: B009 - as above


def coarse(requests: int) -> HostProblem:
    chance = np.random.default_rng(1)
    hosts = requests * 3 // 5
    return HostProblem(
        chance.integers(100, 550, (requests, 3)),
        np.full((hosts, 3), 1000),
        np.full(hosts, 5),
        np.zeros(hosts, dtype=np.int64),
    )


def problem(**changes: object) -> HostProblem:
    columns = {
        "demand": np.array([[1, 2], [3, 4]]),
        "capacity": np.array([[4, 4], [4, 4]]),
        "host_cost": np.array([5, 5]),
        "host_type": np.array([0, 0]),
    }
    return HostProblem(**(columns | changes))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"demand": np.array([[1], [2]])}, "demand: 1 resources, but capacity has 2"),
        ({"demand": np.array([1, 2])}, "demand: must be a numpy array of two dimensions"),
        ({"demand": np.array([[1, 2], [3, -4]])}, "demand[1][1]: -4 must not be negative"),
        ({"demand": np.array([[1.0, 2.0]])}, "demand: must be of type int64, not float64"),
        ({"host_cost": np.array([5])}, "host_cost: shape (1,) must be (2,)"),
        ({"host_cost": np.array([5, 6])}, "host_type: hosts of type 0 differ in capacity or cost"),
        ({"host_cost": np.array([5, 10**9])}, "host_cost: all hosts together must cost less than"),
        ({"capacity": np.array([[2**39, 1], [2**39, 1]])}, "capacity: a sum of its values does not fit"),
    ],
)
def test_a_problem_that_cannot_be_is_refused_with_the_place(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidProblem) as refused:
        problem(**changes)
    assert str(refused.value).startswith(message)


def test_a_request_that_fits_no_host_stays_out_and_the_rest_is_proven() -> None:
    plan = solve(problem(demand=np.array([[1, 2], [9, 9], [3, 2]])))
    assert (plan.host_of[1], plan.unplaced, plan.cost, plan.gap) == (-1, 1, 5, 0.0)


def test_progress_only_gets_better_and_ends_with_the_answer() -> None:
    told: list[Progress] = []
    plan = solve(coarse(40), Limits(deterministic_time=0.3), tell=told.append)
    assert (told[-1].objective, told[-1].bound, told[-1].gap) == (plan.objective, plan.bound, plan.gap)
    for one, next_one in itertools.pairwise(told):
        assert next_one.objective <= one.objective
        assert next_one.bound >= one.bound
        assert (next_one.objective, next_one.bound) != (one.objective, one.bound)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": np.array("pools")}, "kind: 'pools' must be 'hosts'"),
        (
            {"kind": np.array("hosts"), "demand": np.zeros((0, 1))},
            "capacity, host_cost, host_type: missing",
        ),
        ({}, "kind: 'missing' must be 'hosts'"),
    ],
)
def test_a_file_of_another_kind_is_refused(columns: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        files.read(columns)


def checked(instance: Path, folder: Path) -> tuple[float, float, int]:
    """(objective, gap in percent, unplaced) as another program counts them; and what we say ourselves."""
    with np.load(instance) as npz:
        plan = solve(files.read(npz))
    result = folder / f"result-{instance.name}"
    np.savez(result, **files.write(plan))
    command = [sys.executable, str(TOOL), "check", str(instance), str(result)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    words = done.stdout.split()
    assert words[0] == "objective", done.stdout
    assert (int(words[1]), int(words[5])) == (plan.objective, plan.bound)
    return plan.objective, float(words[7]), int(words[3])


@pytest.mark.skipif(not SHIPPED.exists(), reason="the shared placement instances are not here")
@pytest.mark.parametrize(("name", "best"), [("100x10", 904), ("1000x50", 4570), ("10000x500", 45234)])
def test_the_shared_instances_are_solved_to_their_proven_bound(
    name: str, best: int, tmp_path: Path
) -> None:
    assert checked(SHIPPED / f"hosts-{name}-s0.npz", tmp_path) == (best, 0.0, 0)


@pytest.mark.skipif(not TOOL.exists(), reason="the shared generator of placement instances is not here")
@pytest.mark.parametrize("seed", [1, 20261121])
def test_generated_instances_are_proven_and_another_program_agrees(seed: int, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", MAKE, str(TOOL.parent), str(tmp_path), str(seed)], check=True)
    for instance in sorted(tmp_path.glob("hosts-*.npz")):
        _, gap, unplaced = checked(instance, tmp_path)
        assert (gap, unplaced) == (0.0, 0)


MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import placement_instances as made
for n, m in ((100, 10), (1000, 50), (10000, 500)):
    np.savez(f"{sys.argv[2]}/hosts-{n}x{m}.npz", **made.hosts(n, m, int(sys.argv[3])))
"""

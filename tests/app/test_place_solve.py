"""``tierwise place solve`` in processes of its own, and its results under a checker that is not ours."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tierwise.errors import InvalidInput
from tierwise.instances.contract import read

ROOT = Path(__file__).resolve().parents[2]
CHECKER = ROOT / ".." / "shared" / "tools" / "placement_instances.py"
SEEDED = ROOT / ".." / "shared" / "data" / "placement"

needs_checker = pytest.mark.skipif(
    not CHECKER.exists(), reason="the independent checker is not in ../shared/tools"
)


def tierwise(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tierwise.cli.main import run; run()", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def solved(instance: Path, result: Path, seed: int) -> dict[str, Any]:
    options = ("--time-limit", "3", "--seed", str(seed), "-o", str(result), "--output", "json")
    done = tierwise("place", "solve", str(instance), *options)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    return dict(row)


def checked(instance: Path, result: Path) -> dict[str, float]:
    """What the checker says: 'objective 12 unplaced 0 bound 11 gap_pct 8.3333'."""
    command = [sys.executable, str(CHECKER), "check", str(instance), str(result)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}


@pytest.fixture(scope="session")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Instances of seeds 1 and 7, as the checker's file makes them."""
    folder = tmp_path_factory.mktemp("instances")
    code = (
        "import runpy, sys, numpy as np; m = runpy.run_path(sys.argv[1])\n"
        "for s in (0, 1, 7):\n"
        "    for n in (1000, 10000):\n"
        "        np.savez(f'{sys.argv[2]}/pools-{n}-s{s}.npz', **m['pools'](n, s))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(CHECKER), str(folder)], check=True)
    return folder


@needs_checker
@pytest.mark.parametrize("name", ["pools-1000-s0", "pools-1000-s1", "pools-10000-s7"])
def test_a_checker_of_others_finds_the_result_whole_and_its_bound_below_its_cost(
    name: str, instances: Path, tmp_path: Path
) -> None:
    instance, result = instances / f"{name}.npz", tmp_path / "result.npz"
    row = solved(instance, result, seed=3)
    found = checked(instance, result)
    assert (found["objective"], found["unplaced"]) == (row["objective"], row["unplaced"])
    assert found["bound"] == row["bound"] <= row["objective"]
    assert row["unplaced"] == 0  # Capacity is 1.25 times the demand, and more in the best tier.


@pytest.mark.skipif(not SEEDED.exists(), reason="the seeded instances are not in ../shared/data")
def test_no_bound_is_above_a_plan_that_others_found_and_no_plan_below_a_bound_that_they_proved(
    tmp_path: Path,
) -> None:
    known = dict(line.split() for line in (SEEDED / "bounds.txt").read_text().splitlines())
    found = {"pools-1000-s0.npz": 2_011_612, "pools-10000-s0.npz": 18_535_373}  # As the data's README says.
    for name, objective in found.items():
        row = solved(SEEDED / name, tmp_path / "result.npz", seed=0)
        assert row["bound"] <= objective
        assert row["objective"] >= int(known[name])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": "racks"}, "kind 'racks' is not one that can be solved; make it one of"),
        ({"other": 1}, "has no column 'kind'"),
        ({"kind": "pools"}, "demand: there is no such column"),
    ],
)
def test_a_file_that_cannot_be_solved_ends_with_code_3_and_says_why(
    columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "one.npz", **columns)
    done = tierwise("place", "solve", str(tmp_path / "one.npz"))
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_with_objects_in_it_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", kind=np.array([{"a": 1}], dtype=object))
    done = tierwise("place", "solve", str(tmp_path / "one.npz"))
    assert done.returncode == 3
    assert "has a column of Python objects, which are not read; save it as numbers" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; write one with numpy.savez"),
        (b"klass,app\n1,2\n", "is no .npz file; write one with numpy.savez"),
        (
            b"\x93NUMPY\x01\x00",
            "is a single array, not a .npz file of named columns; write it with numpy.savez",
        ),
        (b"PK\x03\x04 cut", "is cut off or damaged"),
    ],
)
def test_a_file_that_holds_no_columns_is_refused_with_what_to_do(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "one.npz").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path / "one.npz")


def test_a_name_that_is_no_file_ends_with_code_3(tmp_path: Path) -> None:
    assert tierwise("place", "solve", str(tmp_path / "none.npz")).returncode == 3


def test_an_answer_that_cannot_be_written_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "one.npz"
    np.savez(file, kind="hosts", demand=[[1]], capacity=[[2]], host_cost=[3], host_type=[0])
    done = tierwise("place", "solve", str(file), "-o", "/dev/full", "--output", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout)[0]["objective"] == 3
    assert (
        "/dev/full: the result cannot be written: No space left on device; check its folder" in done.stderr
    )


def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    file = tmp_path / "one.npz"
    np.savez(file, kind="hosts", demand=[[1]], capacity=[[2]], host_cost=[3], host_type=[0])
    for target, reason in [
        (tmp_path / "none" / "r.npz", "No such file or directory"),
        (file / "r.npz", "Not a directory"),
        (tmp_path, "Is a directory"),
    ]:
        done = tierwise("place", "solve", str(file), "-o", str(target))
        assert (done.returncode, done.stdout) == (3, "")
        assert f"{target}: cannot be written: {reason}; check its folder and rights" in done.stderr


def test_instances_in_columns_are_pointed_to_the_command_that_takes_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", kind="hosts")
    done = tierwise("place", "explain", str(tmp_path / "one.npz"))
    assert done.returncode == 3
    assert "only `tierwise place solve NAME.npz` takes those" in done.stderr


def test_a_way_asked_of_an_instance_in_columns_is_refused_and_not_ignored(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", kind="hosts")
    assert tierwise("place", "solve", str(tmp_path / "one.npz"), "--way", "exact").returncode == 2

"""`tierwise place rebalance`: from files to a file, as its users start it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from placement.rebalance.roadef import read_assignment, write_assignment, write_model
from tests.rebalance_instances import Size, instance, plain_cost
from tierwise.cli.main import app
from tierwise.errors import InvalidInput

PROBLEM = instance(4, Size(40, 6, 3, 20, 5, 1))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "model.txt").write_text(write_model(PROBLEM))
    (tmp_path / "assignment.txt").write_text(write_assignment(PROBLEM.initial))
    return str(tmp_path / "model.txt"), str(tmp_path / "assignment.txt")


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["place", "rebalance", *arguments], catch_exceptions=True)


def test_the_written_assignment_costs_what_was_printed_and_less_than_before(
    files: tuple[str, str], tmp_path: Path
) -> None:
    result = tmp_path / "result.txt"
    done = _run(
        "--format", "roadef", *files, "-o", str(result), "--iterations", "60000", "--output", "json"
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    machine = read_assignment(result.read_text(), PROBLEM.processes, PROBLEM.machines)
    assert plain_cost(PROBLEM, machine.tolist()) == said["objective"] < said["before"]
    assert said["bound"] <= said["objective"]
    assert said["moved"] == int((machine != PROBLEM.initial).sum())


def test_the_same_iterations_and_seed_write_the_same_file(files: tuple[str, str], tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        result = tmp_path / name
        assert _run(*files, "-o", str(result), "--iterations", "30000", "--seed", "3").exit_code == 0
        texts.append(result.read_text())
    assert texts[0] == texts[1]


def test_a_time_limit_alone_ends_it(files: tuple[str, str]) -> None:
    assert _run(*files, "--time-limit", "0.3").exit_code == 0


@pytest.mark.parametrize("limit", ["inf", "nan", "0", "-1"])
def test_a_time_limit_that_never_ends_it_is_none(files: tuple[str, str], limit: str) -> None:
    assert _run(*files, "--time-limit", limit, "--iterations", "100").exit_code == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": b"2\n1 x\n"}, "model.txt, line 2: 'x' is no whole number"),
        ({"assignment": b"0 1"}, "assignment.txt, line 1: there are 2 numbers; the model has 40 processes"),
        ({"assignment": b"\xff"}, "assignment.txt: byte 0 is no digit"),
        ({"model": None}, "model.txt: cannot be read: No such file"),
    ],
)
def test_a_bad_file_is_told_by_name_and_line(
    files: tuple[str, str], tmp_path: Path, change: dict[str, bytes | None], said: str
) -> None:
    for name, text in change.items():
        file = tmp_path / f"{name}.txt"
        file.unlink() if text is None else file.write_bytes(text)
    done = _run(*files)
    assert isinstance(done.exception, InvalidInput)
    assert said in str(done.exception)


def test_an_unknown_format_is_told_with_those_known(files: tuple[str, str]) -> None:
    done = _run("--format", "csv", *files)
    assert "known is roadef" in str(done.exception)


def test_a_result_that_cannot_be_written_is_told(files: tuple[str, str], tmp_path: Path) -> None:
    done = _run(*files, "-o", str(tmp_path / "no" / "result"), "--iterations", "100")
    assert "cannot be written" in str(done.exception)

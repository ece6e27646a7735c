"""An order is killed at every point where it touches the database or a hypervisor, then recovered."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def start(folder: Path, *options: str) -> subprocess.Popen:
    """Explore in a process of its own: it forks, and must have no threads when it does."""
    command = [sys.executable, "-m", "tierwise.testing.crash_order", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> dict:
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    parts = [
        start(tmp_path_factory.mktemp("crash"), "--part", str(part), "--parts", "2") for part in (0, 1)
    ]
    return [finished(process) for process in parts]


def test_every_point_of_an_order_was_killed_at(everywhere):
    points = sum(part["points"] for part in everywhere)
    # The engine's own threads write at times of their choosing, so a run may be some points shorter.
    assert sum(len(part["unreached"]) for part in everywhere) <= 8
    assert sum(part["killed"] for part in everywhere) >= points - 8
    assert points > 100
    kinds = set(everywhere[0]["kinds"])
    assert {"before create_vm", "after create_vm", "before power", "after power", "commit"} <= kinds


def test_nothing_is_lost_made_twice_or_charged_twice_wherever_it_is_killed(everywhere):
    assert [violation for part in everywhere for violation in part["violations"]] == []


def test_the_same_exploration_catches_a_create_that_does_not_look_first(tmp_path):
    naive = finished(start(tmp_path, "--naive", "--only", "create_vm"))
    assert any("2 machines" in violation for violation in naive["violations"])

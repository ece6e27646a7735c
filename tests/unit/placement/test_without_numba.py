"""Where numba is missing: the online kernel and the search way, in a process that cannot import it."""

import json
import subprocess
import sys

from placement.generator import estate
from placement.online import Online
from placement.plan import Limits
from placement.solve import solve

PROGRAM = f"""
import json, runpy, sys
sys.modules["numba"] = None
print(json.dumps(runpy.run_path({__file__!r})["answers"]()))
"""


def answers() -> list[object]:
    """What is decided one after another, also for some that have left, and what the search way finds."""
    problem = estate(0, 16, 4)
    online = Online(problem)
    decided = online.decide_many(list(range(16))).tolist()
    for one in (3, 11, 7):
        online.remove(one)
    again = online.decide_many([7, 11, 3]).tolist()
    plan = solve(problem, Limits(deterministic_time=0.1), way="search")
    hosts = [assignment.host for assignment in plan.assignments]
    proven = [plan.cost_micros, plan.bound_micros, plan.unplaced_bound, plan.solver]
    return [decided, again, hosts, proven]


def test_where_numba_is_missing_the_same_is_decided_and_found() -> None:
    assert hasattr(sys.modules["placement.online.scan"].decide, "py_func")
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answers()

"""Where numba is missing, rebalancing is slower and the answer the same."""

import json
import subprocess
import sys

from placement.rebalance.solve import Effort, rebalance
from tests.rebalance_instances import Size, instance

PROGRAM = f"""
import json, runpy, sys
sys.modules["numba"] = None
print(json.dumps(runpy.run_path({__file__!r})["answers"]()))
"""


def answers() -> list[object]:
    """Where processes go, on machines that hold few and on machines that hold many."""
    found: list[object] = []
    for size in (Size(40, 6, 3, 20, 5, 1, 110), Size(120, 4, 3, 90, 5, 1, 110)):
        one = rebalance(instance(1, size), Effort(1, moves=3000))
        found += [one.machine.tolist(), one.objective, list(one.tried)]
    return found


def test_without_numba_the_answer_is_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == answers()

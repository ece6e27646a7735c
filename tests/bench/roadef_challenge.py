"""What the benchmarks of rebalancing share: the instances of the ROADEF/EURO challenge 2012, and its results.

Each is solved by `tierwise place rebalance` in a process of its own, and what it writes is counted by the independent
checker. The limit is in seconds of the clock; on a machine that others use, CPU seconds and moves tried tell what
the search had: alone it has twice the limit. `score` is the challenge's: (cost - best of the challenge) / cost before.

    python tests/bench/roadef_challenge.py [INSTANCE...]   # a row for each as it ends
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".." / "shared"
LIMIT_S = float(os.environ.get("REBALANCE_LIMIT_S", "120"))
SEED = 1
START = "from tierwise.cli.main import run; raise SystemExit(run())"

WINNER = {
    "a1_1": 44306501, "a1_2": 777912030, "a1_3": 583006422, "a1_4": 262125116, "a1_5": 727578310, "a2_1": 329,
    "a2_2": 746097632, "a2_3": 1210644572, "a2_4": 1680615349, "a2_5": 318358949, "b_01": 3353533859,
    "b_02": 1015569276, "b_03": 157091678, "b_04": 4677962661, "b_05": 924769283, "b_06": 9525888445,
    "b_08": 1214470739, "b_09": 15885647774,
}  # fmt: skip
"""Published results of the challenge's winner (S41) after 300 s on two cores."""
BEST = {
    "b_01": 3339186879, "b_02": 1015553800, "b_03": 156835787, "b_04": 4677823040, "b_05": 923092380,
    "b_06": 9525857752, "b_08": 1214458817, "b_09": 15885486698,
}  # fmt: skip
"""The best of all programs in the challenge."""


def figures(names: Iterable[str]) -> dict[str, int | float | str]:
    """Costs of these instances, and how far from the winner's; only a note where they are missing."""
    if not _files("a1_1")[0].exists():
        return {"note": "not measured: the challenge's instances are not in ../shared/data/roadef"}
    found: dict[str, int | float | str] = {"limit_s": LIMIT_S}
    rows = [measured(name) for name in names]
    for row in rows:
        name = row["instance"]
        found |= {
            f"{name}_cost": row["cost"], f"{name}_against_winner_percent": row["against_winner_percent"],
            f"{name}_bound": row["bound"], f"{name}_cpu_s": row["cpu_s"], f"{name}_moves": row["tried"],
        }  # fmt: skip
    found["as_good_as_the_winner"] = f"{sum(row['cost'] <= row['winner'] for row in rows)} of {len(rows)}"
    scores = [row["score_percent"] for row in rows if "score_percent" in row]
    return found | ({"scores_sum_percent": round(sum(scores), 4)} if scores else {})


def measured(name: str) -> dict[str, Any]:
    """One instance; raises where the checker does not agree."""
    model, assignment = _files(name)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.txt"
        command = [sys.executable, "-c", START, "place", "rebalance", "--format", "roadef"]
        command += [str(model), str(assignment), "-o", str(result), "--output", "json"]
        options = ["--time-limit", str(LIMIT_S), "--seed", str(SEED)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, *options], check=True, capture_output=True, text=True, env=environment
        )
        checker = [
            sys.executable,
            str(FOLDER / "tools" / "roadef_check.py"),
            str(model),
            str(assignment),
            str(result),
        ]
        counted = subprocess.run(checker, check=True, capture_output=True, text=True).stdout.split()
    said = json.loads(done.stdout)
    if counted != ["objective", str(said["objective"])]:
        msg = f"{name}: {counted} is not {said['objective']}"
        raise AssertionError(msg)
    cost = said["objective"]
    row = {
        "instance": name, "cost": cost, "winner": WINNER[name],
        "against_winner_percent": round(100 * (cost / WINNER[name] - 1), 4), "bound": said["bound"],
        "gap_percent": said["gap_percent"], "moved": said["moved"], "tried": said["tried"],
        "seconds": said["seconds"], "cpu_s": said["cpu_seconds"],
    }  # fmt: skip
    if name in BEST:
        row["score_percent"] = round(100 * (cost - BEST[name]) / said["before"], 4)
    return row


def _files(name: str) -> tuple[Path, Path]:
    folder = FOLDER / "data" / "roadef" / name[0].upper()
    return folder / f"model_{name}.txt", folder / f"assignment_{name}.txt"


if __name__ == "__main__":
    for one in sys.argv[1:] or WINNER:
        print(json.dumps(measured(one)), flush=True)

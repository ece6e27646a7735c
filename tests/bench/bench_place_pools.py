"""Requests on 16 pools with opening costs and licence packs, by `tierwise place solve` and by first fit.

Each figure is of a process of its own, from the start of Python to the written result, which is then
counted again here: rules, cost, requests without a pool. First fit gives each request, largest first, the
cheapest pool with room; its gap is to the same proven bound. CPU seconds show what a busy machine hides.

    python tests/bench/bench_place_pools.py
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".." / "shared" / "data" / "placement"
LIMITS_S = {1_000: 5.0, 10_000: 3.0, 100_000: 10.0}


def main() -> dict[str, int | float | str]:
    """Measure and return figures; only a note where the instances are missing."""
    figures: dict[str, int | float | str] = {}
    for requests, limit_s in LIMITS_S.items():
        path = FOLDER / f"pools-{requests}-s0.npz"
        if not path.exists():
            return {"note": "not measured: the seeded instances are not in ../shared/data/placement"}
        with tempfile.TemporaryDirectory() as folder:
            figures |= _figures(requests, path, limit_s, Path(folder) / "result.npz")
    return figures


def _figures(requests: int, path: Path, limit_s: float, result: Path) -> dict[str, int | float | str]:
    ours = _child("ours", path, str(limit_s), str(result))
    theirs = _child("first_fit", path)
    counted = _child("counted", path, str(result))
    if counted["objective"] != ours["objective"] or counted["wrong"]:
        msg = f"{path.name}: the result does not hold: {counted}"
        raise AssertionError(msg)
    bound = ours["bound"]
    return {
        f"pools_{requests}_limit_s": limit_s,
        f"pools_{requests}_gap_percent": round(100 * (1 - bound / counted["objective"]), 5),
        f"pools_{requests}_unplaced_requests": counted["unplaced"],
        f"pools_{requests}_solve_s": ours["solve_s"],
        f"pools_{requests}_process_s": ours["process_s"],
        f"pools_{requests}_cpu_s": ours["cpu_s"],
        f"pools_{requests}_peak_mb": ours["peak_mb"],
        f"first_fit_{requests}_gap_percent": round(100 * (1 - bound / theirs["objective"]), 5),
        f"first_fit_{requests}_unplaced_requests": theirs["unplaced"],
        f"first_fit_{requests}_solve_s": theirs["solve_s"],
    }


def _child(name: str, *arguments: object) -> dict[str, Any]:
    begin = time.perf_counter()
    command = [sys.executable, __file__, name, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_s": round(time.perf_counter() - begin, 2)}


def _ours(path: str, limit_s: str, result: str) -> dict[str, Any]:
    from typer.testing import CliRunner

    from tierwise.cli.main import app

    options = ["--time-limit", limit_s, "-o", result, "--output", "json"]
    done = CliRunner().invoke(app, ["place", "solve", path, *options], catch_exceptions=False)
    (row,) = json.loads(done.stdout)
    return {"objective": row["objective"], "bound": row["bound"], "solve_s": row["seconds"]}


def _first_fit(path: str) -> dict[str, Any]:
    import numpy as np

    from placement.pool_instances.check import cost
    from placement.pool_instances.instance import from_columns

    one = from_columns(np.load(path))
    begin = time.perf_counter()
    free, limit = one.capacity.copy(), one.group_limits()
    per = np.zeros((len(limit), len(free)), dtype=np.int64)
    order = np.argsort(one.unit_cost, axis=1, kind="stable")
    assignment = np.full(len(one.klass), -1, dtype=np.int64)
    for i in np.argsort(-one.demand[one.klass, 0], kind="stable").tolist():
        c, a = one.klass[i], one.app[i]
        for p in order[c].tolist():
            if one.allowed[c, p] and per[a, p] < limit[a] and (one.demand[c] <= free[p]).all():
                assignment[i] = p
                free[p] -= one.demand[c]
                per[a, p] += 1
                break
    solve_s = round(time.perf_counter() - begin, 2)
    unplaced = int((assignment < 0).sum())
    return {"objective": cost(one, assignment), "unplaced": unplaced, "solve_s": solve_s}


def _counted(path: str, result: str) -> dict[str, Any]:
    import numpy as np

    from placement.pool_instances.check import breaches, cost
    from placement.pool_instances.instance import from_columns

    one, assignment = from_columns(np.load(path)), np.load(result)["assignment"]
    unplaced = int((assignment < 0).sum())
    return {
        "objective": cost(one, assignment),
        "unplaced": unplaced,
        "wrong": list(breaches(one, assignment)[:5]),
    }


def _run(name: str, *arguments: str) -> None:
    result = {"ours": _ours, "first_fit": _first_fit, "counted": _counted}[name](*arguments)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = round(spent.ru_utime + spent.ru_stime, 2)
    print(json.dumps(result | {"cpu_s": cpu_s, "peak_mb": spent.ru_maxrss // 1024}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _run(*sys.argv[1:])
    else:
        print(json.dumps(main(), indent=1))

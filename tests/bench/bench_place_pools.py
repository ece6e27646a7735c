"""Requests on 16 pools with opening costs and licence packs, by `tierwise place solve` and by first fit.

Each figure is of a process of its own, from the start of Python to the written result, which is then
counted again here: rules, cost, requests without a pool. With 1,000 and 10,000 requests they are medians of
three instances. First fit gives each request, largest first, the cheapest pool with room; its gap is to the
same proven bound. CPU seconds show what a busy machine hides. Python's bytecode and numba's kernels are on
disk before the first figure, as they are wherever the product was used once.

    python tests/bench/bench_place_pools.py
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".." / "shared" / "data" / "placement"
LIMITS_S = {1_000: 5.0, 10_000: 3.0, 100_000: 10.0, 1_000_000: 60.0}
SEEDS = {1_000: 3, 10_000: 3, 100_000: 1, 1_000_000: 1}
APPS_AT_MOST = 1_250
"""So that a million requests are at most 50,000 cells of class and application."""


def main() -> dict[str, int | float | str]:
    """Measure and return figures; only a note where the seeded instances are missing."""
    figures: dict[str, int | float | str] = {}
    path = FOLDER / "pools-1000-s0.npz"
    if not path.exists():
        return {"note": "not measured: the seeded instances are not in ../shared/data/placement"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _child(folder, "ours", path, "1", folder / "result.npz")  # Fills the folders of compiled code.
        for requests, limit_s in LIMITS_S.items():
            figures |= _figures(requests, limit_s, folder)
    return figures


def _figures(requests: int, limit_s: float, folder: Path) -> dict[str, int | float | str]:
    rows = [_measure(requests, seed, limit_s, folder) for seed in range(SEEDS[requests])]
    names = [name for name in rows[0] if name.startswith(("pools", "first_fit"))]
    return {f"pools_{requests}_limit_s": limit_s} | {
        name: statistics.median(row[name] for row in rows) for name in names
    }


def _measure(requests: int, seed: int, limit_s: float, folder: Path) -> dict[str, int | float]:
    path, result = _instance(requests, seed, folder), folder / "result.npz"
    ours = _child(folder, "ours", path, limit_s, result)
    compared = requests <= 100_000  # One request at a time, a million take a minute.
    theirs = _child(folder, "first_fit", path) if compared else None
    counted = _child(folder, "counted", path, result)
    if counted["objective"] != ours["objective"] or counted["wrong"]:
        msg = f"{path.name}: the result does not hold: {counted}"
        raise AssertionError(msg)
    bound = ours["bound"]
    figures = {
        f"pools_{requests}_gap_percent": round(100 * (1 - bound / counted["objective"]), 5),
        f"pools_{requests}_unplaced_requests": counted["unplaced"],
        f"pools_{requests}_solve_s": ours["solve_s"],
        f"pools_{requests}_build_percent_of_solve": round(100 * counted["build_s"] / ours["solve_s"], 2),
        f"pools_{requests}_process_s": ours["process_s"],
        f"pools_{requests}_cpu_s": ours["cpu_s"],
        f"pools_{requests}_peak_mb": ours["peak_mb"],
    }
    if theirs is None:
        return figures
    return figures | {
        f"first_fit_{requests}_gap_percent": round(100 * (1 - bound / theirs["objective"]), 5),
        f"first_fit_{requests}_unplaced_requests": theirs["unplaced"],
        f"first_fit_{requests}_solve_s": theirs["solve_s"],
    }


def _instance(requests: int, seed: int, folder: Path) -> Path:
    """The seeded file of the recipe below where there is one, or one made by it."""
    there, path = FOLDER / f"pools-{requests}-s{seed}.npz", folder / f"pools-{requests}-s{seed}.npz"
    if there.exists():
        return there
    if not path.exists():
        _child(folder, "make", requests, seed, path)
    return path


def _make(requests: str, seed: str, path: str) -> dict[str, Any]:
    """The recipe of the shared instances: 40 classes, 16 pools of four tiers, 50 requests an application."""
    import numpy as np

    n, rng = int(requests), np.random.default_rng(int(seed))
    apps = min(max(20, n // 50), APPS_AT_MOST) if n > 100_000 else max(20, n // 50)
    vcpus = rng.choice([1, 2, 4, 8, 16], 40, p=[0.2, 0.3, 0.25, 0.15, 0.1])
    ram = vcpus * rng.choice([2, 4, 8], 40)
    disk = rng.choice([40, 80, 160, 320, 640], 40)
    iops = disk * rng.choice([1, 2, 5], 40)
    windows = (rng.random(40) < 0.4).astype(int)
    need = rng.choice([0, 1, 2], 40, p=[0.6, 0.3, 0.1])
    demand = np.stack([vcpus, ram, disk, iops], 1).astype(np.int64)
    tier = np.array([0] * 5 + [1] * 5 + [2] * 3 + [3] * 3)
    allowed = need[:, None] <= np.array([2, 1, 0, 1])[tier][None, :]
    price = np.array([100, 62, 48, 40])[tier]
    unit_cost = (demand @ np.array([100, 25, 1, 1]))[:, None] * price[None, :] // 100
    unit_cost = unit_cost * rng.integers(95, 106, (40, 16)) // 100
    klass, app = rng.integers(0, 40, n), rng.integers(0, apps, n)
    share = rng.dirichlet(np.ones(16) * 8)
    capacity = (demand[klass].sum(0)[None, :] * share[:, None] * 1.25).astype(np.int64)
    capacity[tier == 0] = (capacity[tier == 0] * 1.6).astype(np.int64)
    spread = rng.random(apps) < 0.5
    np.savez_compressed(
        path, kind="pools", demand=demand, klass=klass, app=app, capacity=capacity, allowed=allowed,
        unit_cost=unit_cost, open_cost=rng.integers(20000, 60000, 16) * n // 1000, windows=windows,
        licence_pack_vcpus=16, licence_pack_cost=900, app_spread=spread, app_max_share=0.6,
        unplaced_cost=1_000_000, tier=tier,
    )  # fmt: skip
    return {}


def _child(folder: Path, name: str, *arguments: object) -> dict[str, Any]:
    begin = time.perf_counter()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, name, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=kept)
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
    build_s = _build_s(one)
    unplaced = int((assignment < 0).sum())
    return {
        "objective": cost(one, assignment),
        "unplaced": unplaced,
        "wrong": list(breaches(one, assignment)[:5]),
        "build_s": build_s,
    }


def _build_s(one: Any) -> float:
    """What counting classes and laying out the relaxation's model takes of a solve."""
    import numpy as np

    from placement.pool_instances.cells import by_class
    from placement.pool_instances.relaxation import _model

    begin = time.perf_counter()
    cells = by_class(one)
    _model(cells, np.flatnonzero(cells.upper), np.arange(cells.pools), whole=True)
    return time.perf_counter() - begin


def _run(name: str, *arguments: str) -> None:
    result = {"ours": _ours, "first_fit": _first_fit, "counted": _counted, "make": _make}[name](*arguments)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = round(spent.ru_utime + spent.ru_stime, 2)
    print(json.dumps(result | {"cpu_s": cpu_s, "peak_mb": spent.ru_maxrss // 1024}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _run(*sys.argv[1:])
    else:
        print(json.dumps(main(), indent=1))

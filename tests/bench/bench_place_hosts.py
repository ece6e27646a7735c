"""Packing requests onto hosts so that what is switched on costs the least, against first fit decreasing.

`sharp` instances have small requests and one scarce resource; `coarse` ones a few large requests a host
and three scarce resources, where the bound is weak. Loops are compiled and solvers loaded before the clock starts. The worst of
several seeds is shown, each with a limit of one second.
"""

import resource
import time

import numpy as np

from placement.hosts.greedy import first_fit_decreasing, ranked
from placement.hosts.kernels import warm
from placement.hosts.kinds import kinds_of
from placement.hosts.problem import HostProblem
from placement.hosts.result import HostPlan, Progress
from placement.hosts.solve import solve
from placement.plan import Limits

SHAPES = np.array(
    [
        [1, 3],
        [1, 7],
        [1, 8],
        [2, 14],
        [2, 16],
        [2, 56],
        [2, 64],
        [4, 28],
        [4, 32],
        [4, 112],
        [8, 64],
        [16, 448],
    ]
)
SHARES = np.array([10, 22, 4, 16, 10, 5, 3, 8, 8, 4, 8, 2]) / 100
BASE = np.array([[64, 1024, 8000], [96, 2048, 12000], [48, 512, 6000]])
COST = np.array([100, 150, 68])

Figures = dict[str, int | float | str]


SEEDS = 5


def main() -> Figures:
    """Gaps, seconds and processor seconds of each size; what first fit decreasing pays beside it."""
    warm()
    solve(coarse(60, 0), Limits(deterministic_time=0.5))
    figures: Figures = {}
    for requests, hosts in ((100, 10), (1000, 50), (10_000, 500)):
        seeds = [measured("s", sharp(requests, hosts, seed), 1.0) for seed in range(SEEDS)]
        figures |= {
            f"sharp_{requests}x{hosts}_{name.removeprefix('s_')}_worst_of_{SEEDS}": max(
                float(one[name]) for one in seeds
            )
            for name in seeds[0]
        }
    figures["peak_rss_mb_up_to_10000x500"] = peak_mb()
    figures |= measured("sharp_100000x5000", sharp(100_000, 5_000, 0), 60.0)
    figures["sharp_100000x5000_peak_rss_mb"] = peak_mb()
    for seed in (0, 1):
        figures |= measured(f"coarse_1000x555_seed_{seed}_limit_1", coarse(1000, seed), 1.0)
        figures |= measured(f"coarse_1000x555_seed_{seed}_limit_15", coarse(1000, seed), 15.0)
    return figures


def peak_mb() -> float:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measured(name: str, problem: HostProblem, limit: float) -> Figures:
    """One solve; `limit` is both the deterministic budget and, in seconds, the net under it."""
    told: list[tuple[float, Progress]] = []
    began, processor = time.perf_counter(), time.process_time()

    def tell(progress: Progress) -> None:
        told.append((time.perf_counter() - began, progress))

    limits = Limits(deterministic_time=limit, time_limit_s=limit)
    plan: HostPlan = solve(problem, limits, tell=tell, clock=time.perf_counter)
    wall, processor = time.perf_counter() - began, time.process_time() - processor
    began = time.perf_counter()
    plain = ranked(problem, first_fit_decreasing(problem, kinds_of(problem)))
    plain_s = time.perf_counter() - began
    return {
        f"{name}_gap_percent": 100 * plan.gap,
        f"{name}_wall_s": wall,
        f"{name}_processor_s": processor,
        f"{name}_last_improvement_s": told[-1][0] if told else 0.0,
        f"{name}_unplaced": plan.unplaced,
        f"{name}_first_fit_above_bound_percent": 100 * (plain[1] - plan.bound) / plan.bound
        if not plain[0]
        else -1,
        f"{name}_first_fit_s": plain_s,
    }


def sharp(requests: int, hosts: int, seed: int, fill: float = 0.85) -> HostProblem:
    """Shapes as a public cloud sells them, a disk each, on three types of host filled to `fill` if all were on."""
    chance = np.random.default_rng(seed)
    shape = chance.choice(len(SHAPES), requests, p=SHARES)
    disk = chance.choice([40, 127, 500], requests, p=[0.5, 0.35, 0.15])
    demand = np.column_stack([SHAPES[shape], disk])
    kind = np.arange(hosts) % 3
    scale = (demand.sum(axis=0) / BASE[kind].sum(axis=0)).max() / fill
    capacity = np.maximum((BASE * scale).astype(np.int64), demand.max(axis=0))
    return HostProblem(demand, capacity[kind], COST[kind], kind)


def coarse(requests: int, seed: int) -> HostProblem:
    """Sixty shapes of 10 to 55 % of a thousand units in three resources, on four types of host."""
    chance = np.random.default_rng(seed)
    shapes = chance.integers(100, 550, (60, 3))
    demand = shapes[chance.integers(0, 60, requests)]
    base = chance.integers(800, 1600, (4, 3))
    cost = np.rint(base.mean(axis=1) * chance.uniform(0.09, 0.11, 4)).astype(np.int64)
    kind = np.arange(requests * 5 // 9) % 4
    return HostProblem(demand, base[kind], cost[kind], kind)

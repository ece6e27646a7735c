"""Why not: every pool's reasons for one request on 5,000 hosts, and a smallest conflict of 1,000 classes on 20 pools.

Explaining one request means all pools with every reason of the closest host in words, and the cheapest single change
that would help; first it is found which constraint refuses which host. Requests of one plan are explained one after
another, each once; the first of a plan also finds what that leaves free and who is where. Beside it, the same reasons found host by
host in Python, as a filter log would. The conflict's classes all differ; forty of them may only go to two pools that
are too small for them.

    python tests/bench/bench_place_explain.py
"""

import json
import resource
import time
from statistics import median

import numpy as np

from placement import constraints
from placement.against import against
from placement.conflict import conflict
from placement.constraints.anti_affinity import AntiAffinity
from placement.constraints.quotas import Quotas
from placement.constraints.spread import Spread
from placement.explain import explained
from placement.placed import Placed, placed
from placement.problem import PlacementProblem
from placement.providers import Hosts
from policies.decisions import Rejection

HOSTS, POOLS, REQUESTS, GROUPS = 5_000, 20, 2_000, 50
CLASSES, HELD = 1_000, 40


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    return {
        **_explaining(),
        **_conflicting(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _explaining() -> dict[str, int | float | str]:
    after = _crowded()
    asked = np.flatnonzero(after.provider_of < 0)[:200].tolist()
    for i in asked[:5]:
        _explain(after, i)
    cpu = time.process_time()
    took = [_timed(lambda i=i: _explain(after, i)) for i in asked]
    cpu = time.process_time() - cpu
    fresh = [_timed(lambda i=i: _explain(placed(after.problem, after.provider_of), i)) for i in asked[:40]]
    counted = [_timed(lambda i=i: against(after, i)) for i in asked]
    one_by_one = _timed(lambda: _host_by_host(after, asked[0]))
    return {
        "hosts": HOSTS,
        "constraints": len(constraints.of(after.problem)),
        "who_refuses_which_host_median_ms": round(1000 * median(counted), 3),
        "explain_median_ms": round(1000 * median(took), 3),
        "explain_cpu_ms": round(1000 * cpu / len(asked), 3),
        "explain_slowest_ms": round(1000 * max(took), 3),
        "explain_first_of_a_plan_median_ms": round(1000 * median(fresh), 3),
        "host_by_host_ms": round(1000 * one_by_one, 1),
        "times_faster_than_host_by_host": round(one_by_one / median(took), 1),
    }


def _explain(after: Placed, request: int) -> int:
    """Every word is read, so that none could be put off."""
    candidates, help_ = explained(after, request)
    reasons = [reason for one in candidates for reason in one.rejections]
    return sum(len(str(reason)) for reason in (*reasons, *([help_.change] if help_ else [])))


def _host_by_host(after: Placed, request: int) -> int:
    """Each host's refusals, asked for one host after another."""
    problem, refused = after.problem, 0
    left = after.left(request).tolist()
    demand = problem.demand[request].tolist()
    seats = after.provider_of.tolist()
    for host in range(HOSTS):
        refused += any(n > has for n, has in zip(demand, left[host], strict=True))
        refused += sum(
            1 for other in range(request) if seats[other] == host and other % GROUPS == request % GROUPS
        )
    return refused


def _crowded() -> Placed:
    """A full estate: every host has a little left, and the last requests have no place."""
    chance = np.random.default_rng(7)
    demand = np.column_stack([2 ** chance.integers(0, 5, REQUESTS) for _ in range(4)]).astype(np.int64)
    free = chance.integers(4, 16, (HOSTS, 4)).astype(np.int64)
    pool_of = (np.arange(HOSTS) % POOLS).astype(np.int64)
    of_pool = np.zeros((POOLS, 4), dtype=np.int64)
    np.add.at(of_pool, pool_of, free)
    names = tuple(f"r{i}" for i in range(REQUESTS))
    groups = {f"app-{g}": tuple(names[g::GROUPS]) for g in range(GROUPS)}
    problem = PlacementProblem(
        resource_classes=("vcpu", "memory_mib", "disk_gib", "iops"),
        request_ids=names,
        demand=demand,
        pool_ids=tuple(f"p{p}" for p in range(POOLS)),
        tier_of=tuple(f"tier-{p % 3}" for p in range(POOLS)),
        free=of_pool,
        largest=np.full((POOLS, 4), 64, dtype=np.int64),
        cost_micros=chance.integers(1, 1000, (REQUESTS, POOLS)).astype(np.int64),
        hosts=Hosts(
            tuple(f"h{h}" for h in range(HOSTS)),
            pool_of,
            free,
            np.full((HOSTS, 4), 64, dtype=np.int64),
            {"rack": tuple(f"rack-{h % 100}" for h in range(HOSTS))},
        ),
        groups=groups,
        constraints=(
            *(AntiAffinity(requests=(name,)) for name in groups),
            *(Spread(requests=(name,), label="rack", max_skew=3) for name in groups),
            Quotas(requests=names, limits={"vcpu": 10**9}),
        ),
    )
    seats = np.full(REQUESTS, -1, dtype=np.int64)
    seats[: REQUESTS // 2] = np.arange(REQUESTS // 2) * 3 % HOSTS
    return placed(problem, seats)


def _conflicting() -> dict[str, int | float | str]:
    problem = _impossible()
    first = _timed(lambda: conflict(problem))
    again = [_timed(lambda: conflict(problem)) for _ in range(3)]
    cpu = time.process_time()
    found = conflict(problem)
    assert found is not None
    assert found.minimal
    return {
        "conflict_classes": CLASSES,
        "conflict_pools": POOLS,
        "conflict_facts": len(found.facts),
        "conflict_s": round(median(again), 3),
        "conflict_cpu_s": round(time.process_time() - cpu, 3),
        "conflict_first_with_loading_s": round(first, 3),
    }


def _impossible() -> PlacementProblem:
    chance = np.random.default_rng(1)
    demand = chance.integers(1, 64, (CLASSES, 4)).astype(np.int64)
    free = np.full((POOLS, 4), 10**7, dtype=np.int64)
    free[3:5] = demand[:HELD].sum(axis=0) // 3
    rejections = {}
    for i in range(CLASSES):
        for p in range(POOLS):
            if (i < HELD and p not in {3, 4}) or (i >= HELD and chance.random() < 0.2):
                rejections[i, p] = (_refusal(f"p{p}"),)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib", "disk_gib", "iops"),
        request_ids=tuple(f"r{i}" for i in range(CLASSES)),
        demand=demand,
        pool_ids=tuple(f"p{p}" for p in range(POOLS)),
        tier_of=("tier-1",) * POOLS,
        free=free,
        largest=free.copy(),
        cost_micros=chance.integers(1, 100, (CLASSES, POOLS)).astype(np.int64),
        rejections=rejections,
    )


def _refusal(pool: str) -> Rejection:
    return Rejection(
        rule_id="data-residency",
        pool=pool,
        dimension="country",
        limit="NL",
        need="DE",
        why="data stays in DE",
        remedy="choose a pool in DE",
    )


def _timed(what: object) -> float:
    assert callable(what)
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))

"""Plans of whole estates with licences: 1,000, 10,000 and 50,000 machines on pools of two kinds of hosts.

Groups differ in size, rules, software and the pool of today; three products are licensed (by the order, by pool in
three ways, by a rule's hosts in two). Compared with SCIP on the same model with every column whole, for as long as ours
took, at least ten seconds. Gaps are to our bound, which holds for both. Plans are counted again by the checker.

    python tests/bench/bench_planner_solve.py
"""

import os
import time
from typing import Any

import numpy as np

from placement.licensing.products import Alternative
from placement.plan import Limits
from placement.planning import mip
from placement.planning.facts import Facts
from placement.planning.model import build
from placement.planning.problem import Blocks, Groups, PlannedProduct, PlanningProblem, Pools
from placement.planning.solve import solve
from placement.planning.verify import breaches

MICROS = 10**6
SIZES = {1_000: (300, 5), 10_000: (5_000, 20), 50_000: (5_000, 20)}
"""Machines -> groups and pools."""
COMPARED = (1_000, 10_000)


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    figures: dict[str, int | float | str] = {}
    solve(estate(50, groups=20, pools=3, seed=1))  # Loads what is loaded once in a process.
    for machines, (groups, pools) in SIZES.items():
        problem = estate(machines, groups=groups, pools=pools, seed=0)
        wall, cpu = time.perf_counter(), _cpu()
        plan = solve(problem, Limits(time_limit_s=120))
        took = time.perf_counter() - wall
        assert not list(breaches(problem, plan))
        name = f"planner_{machines}"
        figures |= {
            f"{name}_groups": groups,
            f"{name}_cpu_s": round(_cpu() - cpu, 2),
            f"{name}_wall_s": round(took, 2),
            f"{name}_gap_percent": round(100 * float(plan.gap), 3),
            f"{name}_unplaced_machines": int(plan.unplaced.sum()),
        }
        if machines in COMPARED:
            figures |= _scip(name, problem, plan.bound_micros, max(10.0, took))
    return figures


def _scip(name: str, problem: PlanningProblem, bound: int, seconds: float) -> dict[str, int | float | str]:
    cpu = _cpu()
    model = build(Facts(problem))
    every = np.ones(len(model.matrix.lower), dtype=np.bool_)
    fixed = dict.fromkeys(model.unplaced.tolist(), 0)
    found = mip.solve(model.matrix, model.matrix.terms["cost"], every, mip.Effort(seconds), fixed=fixed)
    gap: float | str = "no plan found"
    if found is not None:
        gap = round(100 * (1 - bound / found.objective), 3)
    return {
        f"{name}_scip_all_whole_gap_percent": gap,
        f"{name}_scip_all_whole_cpu_s": round(_cpu() - cpu, 2),
    }


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


def estate(machines: int, *, groups: int, pools: int, seed: int) -> PlanningProblem:
    """Today all run in pools of the first tier; others are open to two classes of three, at a cost of moving."""
    rng = np.random.default_rng(seed)
    tier, site = np.arange(pools) % 3, np.arange(pools) % 4
    vcpu = rng.choice([1, 2, 4, 8, 16], groups, p=[0.15, 0.35, 0.3, 0.15, 0.05])
    memory = (
        vcpu * rng.choice([2048, 4096, 8192], groups, p=[0.3, 0.5, 0.2]) * rng.uniform(0.6, 1.1, groups)
    )
    memory_mib = np.maximum(1024, memory.astype(np.int64) // 256 * 256)
    disk_gib = rng.integers(20, 800, groups)
    demand = np.stack([vcpu, memory_mib, disk_gib], axis=1).astype(np.int64)
    count = 1 + rng.multinomial(machines - groups, np.ones(groups) / groups).astype(np.int64)
    current = rng.choice(np.flatnonzero(tier == 0), groups).astype(np.int64)
    allowed = tier[None, :] <= rng.integers(0, 3, groups)[:, None]
    bound_to_site = rng.random(groups) < 0.3
    allowed &= ~bound_to_site[:, None] | (site[None, :] == site[current][:, None])
    every = np.arange(groups)
    allowed[every, current] = True
    labour = np.tile(np.array([300, 260, 220])[tier] * MICROS, (groups, 1))
    storage = disk_gib[:, None] * (np.array([9, 7, 6])[tier] * MICROS // 10)[None, :]
    move = np.where(tier == 0, 30, 120)[None, :] * MICROS + disk_gib[:, None] * MICROS // 20
    move[every, current] = 0
    load = count @ demand
    return PlanningProblem(
        resource_classes=("vcpu", "memory_mib", "disk_gib"),
        groups=Groups(
            ids=tuple(f"group-{g}" for g in range(groups)),
            count=count,
            demand=demand,
            current=current,
            allowed=allowed,
            costs={"labour": labour, "storage": storage},
            move_cost=move,
        ),
        pools=Pools(
            ids=tuple(f"pool-{p}" for p in range(pools)),
            tier_of=tuple(f"tier-{t}" for t in tier.tolist()),
            losses=np.ones(pools, dtype=np.int64),
            shared=np.tile(np.array([0, 0, int(load[2]) * 2 // pools]), (pools, 1)),
            labels={"site": tuple(f"site-{s}" for s in site.tolist())},
            open_costs={"manager": rng.integers(5_000, 20_000, pools) * MICROS},
        ),
        blocks=_blocks(rng, tier, int(load[0])),
        products=_products(rng, groups, tier),
    )


def _blocks(rng: np.random.Generator, tier: Any, vcpu: int) -> Blocks:
    """Of each pool hosts with 64 and with 48 cores, four vCPU a core."""
    kinds = [(p, cores, gib) for p in range(len(tier)) for cores, gib in ((64, 1024), (48, 768))]
    pool_of, cores, gib = (np.array(column, dtype=np.int64) for column in zip(*kinds, strict=True))
    today = int((tier == 0).sum()) * 2
    existing = np.where(tier[pool_of] == 0, np.maximum(2, -(-vcpu * 3 // (8 * today * cores))), 0)
    none = np.zeros_like(cores)
    return Blocks(
        ids=tuple(f"pool-{p} with {c} cores" for p, c, _ in kinds),
        pool_of=pool_of,
        existing=existing,
        most=existing + vcpu // (2 * len(tier) * cores) + 4,
        capacity=np.stack([cores * 4, gib * 973, none], axis=1),
        largest=np.stack([cores, gib * 512, none], axis=1),
        kept_costs={"power": rng.integers(3_000, 4_500, len(kinds)) * MICROS},
        bought_costs={"hardware": rng.integers(4_000, 6_000, len(kinds)) * MICROS},
        sockets=np.full(len(kinds), 2),
        cores_per_socket=cores // 2,
    )


def _products(rng: np.random.Generator, groups: int, tier: Any) -> tuple[PlannedProduct, ...]:
    cores: dict[str, Any] = {
        "metric": "per_core",
        "per_socket_minimum": 8,
        "per_host_minimum": 16,
        "pack_size": 2,
    }
    return (
        PlannedProduct(
            name="hypervisor",
            groups=np.ones(groups, dtype=np.bool_),
            alternatives=(_way("cores", 150, metric="per_core", per_socket_minimum=16, pack_scope="order", order_minimum=72),),
            pools=tier == 0,
            whole_pool=True,
        ),
        PlannedProduct(
            name="guest system",
            groups=rng.random(groups) < 0.35,
            alternatives=(
                _way("two machines a cover", 40, **cores, covers=2, pack_scope="order"),
                _way("any number", 250, **cores, pack_scope="order"),
                _way("each machine", 70, metric="per_vcpu", per_machine_minimum=8, pack_size=2, pack_scope="order"),
            ),
        ),
        PlannedProduct(
            name="support",
            groups=rng.random(groups) < 0.15,
            alternatives=(
                _way("pairs of sockets", 2_500, metric="per_coverage_unit", unit_covers={"sockets": 2}),
                _way("each machine", 700, metric="per_machine", pack_size=2, pack_scope="order"),
            ),
            parts=True,
        ),
    )  # fmt: skip


def _way(name: str, price: int, **more: Any) -> Alternative:
    return Alternative.model_validate({"name": name, "pack_cost_micros": price * MICROS, **more})


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value}")

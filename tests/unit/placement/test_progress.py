"""What the ways that count and the pools tell while they work."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from placement.constraints.anti_affinity import AntiAffinity
from placement.constraints.hosts_on import HostsOn
from placement.outcome import Progress
from placement.plan import Limits, Plan
from placement.problem import PlacementProblem
from placement.solve import solve
from placement.telling import Telling


def packed(requests: int, pools: int, seed: int, fill: float) -> PlacementProblem:
    """Distinct sizes on pools that are full to about `fill`."""
    rng = np.random.default_rng(seed)
    demand = np.stack([rng.integers(1, 33, requests), rng.integers(1, 257, requests)], axis=1)
    free = np.ceil(rng.dirichlet(np.ones(pools) * 5)[:, None] * demand.sum(axis=0) / fill).astype(np.int64)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(requests)),
        demand=demand,
        pool_ids=tuple(f"p{j}" for j in range(pools)),
        tier_of=tuple(f"tier-{1 + j % 3}" for j in range(pools)),
        free=free,
        largest=free,
        cost_micros=(demand @ np.array([9000, 2]))[:, None] * np.sort(rng.integers(50, 200, pools)),
    )


def opened(seed: int) -> PlacementProblem:
    """Many requests of few sizes on pools that cost something to open."""
    rng = np.random.default_rng(seed)
    few, rows, pools = rng.integers(1, 17, (12, 2)), rng.integers(0, 12, 2_600), 8
    demand = few[rows]
    free = np.ceil(rng.dirichlet(np.ones(pools) * 8)[:, None] * demand.sum(axis=0) * 1.4).astype(np.int64)
    ids = tuple(f"p{j}" for j in range(pools))
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(len(rows))),
        demand=demand,
        pool_ids=ids,
        tier_of=tuple(f"tier-{1 + j % 3}" for j in range(pools)),
        free=free,
        largest=free,
        cost_micros=(few @ np.array([100, 30]))[rows][:, None] * rng.integers(80, 121, (12, pools))[rows],
        constraints=(HostsOn(default_cost_micros=900_000),),
    )


def told(problem: PlacementProblem, way: str, limits: Limits) -> tuple[list[Progress], Plan]:
    found: list[Progress] = []
    return found, solve(problem, limits, way=way, tell=found.append)


def check(progress: list[Progress], plan: Plan) -> None:
    """Better and better within a stage, and in the end what the plan says."""
    for stage, group in itertools.groupby(progress, key=lambda one: one.stage):
        rows = list(group)
        assert all(one.bound <= one.value and 0.0 <= one.gap <= 1.0 for one in rows), stage
        for before, after in itertools.pairwise(rows):
            assert after.value <= before.value
            assert after.bound >= before.bound
            assert (after.value, after.bound) != (before.value, before.bound)
    outs = [one for one in progress if one.stage == "unplaced"]
    assert (outs[-1].value, outs[-1].bound) == (len(plan.unplaced), plan.unplaced_bound)
    last = progress[-1]
    assert (last.stage, last.value, last.bound) == ("level 1", plan.cost_micros, plan.bound_micros)


@pytest.mark.parametrize(("fill", "seed"), [(0.9, 1), (1.0, 2), (1.1, 3), (1.1, 4)])
def test_counts_tell_what_only_gets_better_and_end_with_the_plan(fill: float, seed: int) -> None:
    progress, plan = told(packed(60, 5, seed, fill), "counts", Limits(deterministic_time=0.3))
    check(progress, plan)
    costs = {one.value for one in progress if one.stage == "level 1"}
    assert len(costs) > 1, "an answer that was improved was told before"


def test_counts_tell_how_many_stay_out_before_they_tell_a_cost() -> None:
    progress, plan = told(packed(80, 5, 3, 1.1), "counts", Limits(deterministic_time=0.3))
    assert plan.unplaced
    assert [stage for stage, _ in itertools.groupby(one.stage for one in progress)][:2] == [
        "unplaced",
        "level 1",
    ]
    assert any(one.value > len(plan.unplaced) for one in progress if one.stage == "unplaced")


def test_listening_changes_no_plan() -> None:
    for problem, way in ((packed(40, 4, 5, 0.95), "counts"), (opened(1), "pools")):
        limits = Limits(deterministic_time=0.2)
        assert told(problem, way, limits)[1] == solve(problem, limits, way=way)


@pytest.mark.parametrize("seed", [1, 2])
def test_pools_tell_what_only_gets_better_and_end_with_the_plan(seed: int) -> None:
    progress, plan = told(opened(seed), "pools", Limits(deterministic_time=1.5))
    check(progress, plan)
    costs = {one.value for one in progress if one.stage == "level 1"}
    assert len(costs) > 1, "an answer that was improved was told before"
    assert {one.bound for one in progress if one.stage == "level 1"} >= {0, plan.bound_micros}


def test_pools_tell_only_what_keeps_applications_apart() -> None:
    problem = opened(3)
    apps = tuple(
        AntiAffinity(requests=problem.request_ids[a::13], label="pool", most=60) for a in range(13)
    )
    apart = replace(problem, constraints=(*problem.constraints, *apps))
    progress, plan = told(apart, "pools", Limits(deterministic_time=0.5))
    check(progress, plan)  # The plan is verified, and nothing cheaper was told before it.


def test_of_each_stage_only_what_is_better_is_told_and_a_bound_never_above_its_value() -> None:
    heard: list[Progress] = []
    telling = Telling(heard.append)
    for stage, value, bound in [
        ("unplaced", 3, 0), ("unplaced", 4, 0), ("unplaced", 2, 1), ("unplaced", 2, 1), ("unplaced", 2, 0),
        ("level 1", 50, 30), ("level 1", 70, 40), ("level 1", 45, 0), ("unplaced", 1, 1), ("level 1", 80, 90),
    ]:  # fmt: skip
        telling("by hand", stage, value, bound)
    assert [(one.stage, one.value, one.bound) for one in heard] == [
        ("unplaced", 3, 0), ("unplaced", 2, 1), ("level 1", 50, 30), ("level 1", 50, 40), ("level 1", 45, 40),
        ("unplaced", 1, 1), ("level 1", 80, 80),
    ]  # fmt: skip

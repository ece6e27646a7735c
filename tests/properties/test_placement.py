"""What holds for every placement problem, by brute force and by changing the problem."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.arrays import Int64
from placement.plan import Limits, Plan, PlanStatus
from placement.problem import PlacementProblem
from placement.scenario import parse
from placement.solve import solve
from placement.verify import breaches
from placement.what_if import what_if
from policies.decisions import Rejection

RARE = settings(max_examples=40, deadline=None)
OFTEN = settings(max_examples=120, deadline=None)


def matrix(rows: int, columns: int, least: int, most: int) -> st.SearchStrategy[Int64]:
    row = st.lists(st.integers(least, most), min_size=columns, max_size=columns)
    filled = st.lists(row, min_size=rows, max_size=rows)
    return filled.map(lambda values: np.array(values, dtype=np.int64).reshape(rows, columns))


@st.composite
def problems(draw: st.DrawFn) -> PlacementProblem:
    """Up to six requests of few kinds on up to three pools that are usually too small for all."""
    r, p = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    kinds = draw(st.integers(1, r))
    of = np.array(draw(st.lists(st.integers(0, kinds - 1), min_size=r, max_size=r)))
    refused = draw(st.sets(st.tuples(st.integers(0, r - 1), st.integers(0, p - 1)), max_size=4))
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(r)),
        demand=draw(matrix(kinds, 2, 0, 9))[of],
        pool_ids=tuple("abc"[:p]),
        tier_of=tuple(draw(st.lists(st.sampled_from(["tier-1", "tier-2"]), min_size=p, max_size=p))),
        free=draw(matrix(p, 2, 0, 25)),
        largest=draw(matrix(p, 2, 4, 12)),
        cost_micros=draw(matrix(kinds, p, 0, 30))[of],
        rejections={(i, j): (refusal(f"{'abc'[j]}"),) for i, j in refused},
    )


def refusal(pool: str) -> Rejection:
    return Rejection(
        rule_id="rule",
        pool=pool,
        dimension="site",
        limit="x",
        need="y",
        why="not there",
        remedy="elsewhere",
    )


def every_plan(problem: PlacementProblem) -> Iterator[tuple[int, int, tuple[int | None, ...]]]:
    """(placed, cost, seats) of every assignment that keeps the problem, by trying them all."""
    demand, free, largest = problem.demand.tolist(), problem.free.tolist(), problem.largest.tolist()
    costs, pools = problem.cost_micros.tolist(), range(len(problem.pool_ids))
    for seats in product([None, *pools], repeat=len(demand)):
        taken = [(i, j) for i, j in enumerate(seats) if j is not None]
        if any(problem.rejections.get(pair) for pair in taken):
            continue
        if any(n > most for i, j in taken for n, most in zip(demand[i], largest[j], strict=True)):
            continue
        used = [[sum(demand[i][k] for i, j in taken if j == pool) for k in range(2)] for pool in pools]
        if all(u <= f for us, fs in zip(used, free, strict=True) for u, f in zip(us, fs, strict=True)):
            yield len(taken), sum(costs[i][j] for i, j in taken), seats


def best_by_trying(problem: PlacementProblem) -> tuple[int, int]:
    placed, negative = max((placed, -cost) for placed, cost, _ in every_plan(problem))
    return placed, -negative


def value(plan: Plan) -> tuple[int, int]:
    return len(plan.assignments) - len(plan.unplaced), plan.cost_micros


@OFTEN
@given(problems())
def test_no_assignment_places_more_or_costs_less_than_the_plan(problem: PlacementProblem) -> None:
    plan = solve(problem)
    assert value(plan) == best_by_trying(problem)
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.bound_micros == plan.cost_micros
    assert breaches(problem, plan) == ()


@RARE
@given(problems(), st.sampled_from([1e-9, 1e-6, 1e-4, 1e-3]))
def test_the_bounds_of_a_stopped_search_hold_for_every_assignment(
    problem: PlacementProblem, effort: float
) -> None:
    plan = solve(problem, Limits(deterministic_time=effort))
    placed, _ = value(plan)
    for others, cost, _ in every_plan(problem):
        assert len(plan.assignments) - others >= plan.unplaced_bound
        assert others < placed or cost >= plan.bound_micros


@RARE
@given(problems(), st.data())
def test_more_room_never_places_fewer_and_never_costs_more(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    more = data.draw(matrix(len(problem.pool_ids), 2, 0, 9))
    before, after = value(solve(problem)), value(solve(replace(problem, free=problem.free + more)))
    assert after[0] >= before[0]
    if after[0] == before[0]:
        assert after[1] <= before[1]


@RARE
@given(problems(), st.data())
def test_permuting_requests_permutes_the_plan_up_to_identical_requests(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(problem.request_ids))))
    place = {old: new for new, old in enumerate(order)}
    permuted = replace(
        problem,
        request_ids=tuple(problem.request_ids[i] for i in order),
        demand=problem.demand[order],
        cost_micros=problem.cost_micros[order],
        rejections={(place[i], j): why for (i, j), why in problem.rejections.items()},
    )
    first, second = solve(problem), solve(permuted)
    assert value(first) == value(second)
    assert seats_by_kind(problem, first) == seats_by_kind(permuted, second)


def seats_by_kind(problem: PlacementProblem, plan: Plan) -> list[tuple[object, ...]]:
    kinds = zip(
        problem.demand.tolist(), problem.cost_micros.tolist(), problem.allowed().tolist(), strict=True
    )
    return sorted((*map(str, kind), a.pool or "") for kind, a in zip(kinds, plan.assignments, strict=True))


@RARE
@given(problems(), st.data())
def test_permuting_pools_changes_neither_how_many_are_placed_nor_the_cost(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(problem.pool_ids))))
    place = {old: new for new, old in enumerate(order)}
    permuted = replace(
        problem,
        pool_ids=tuple(problem.pool_ids[j] for j in order),
        tier_of=tuple(problem.tier_of[j] for j in order),
        free=problem.free[order],
        largest=problem.largest[order],
        cost_micros=np.ascontiguousarray(problem.cost_micros[:, order]),
        rejections={(i, place[j]): why for (i, j), why in problem.rejections.items()},
    )
    assert value(solve(problem)) == value(solve(permuted))


@RARE
@given(problems())
def test_two_runs_give_equal_plans(problem: PlacementProblem) -> None:
    assert solve(problem) == solve(problem)


@RARE
@given(problems(), st.data())
def test_where_machines_run_never_makes_the_plan_worse_and_a_best_plan_never_moves(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    r, p = len(problem.request_ids), len(problem.pool_ids)
    current = np.array(data.draw(st.lists(st.integers(-1, p - 1), min_size=r, max_size=r)), dtype=np.int64)
    plan = solve(replace(problem, current=current))
    assert value(plan) == best_by_trying(problem)
    seats = [-1 if a.pool is None else problem.pool_ids.index(a.pool) for a in plan.assignments]
    again = solve(replace(problem, current=np.array(seats, dtype=np.int64)))
    assert [a.pool for a in again.assignments] == [a.pool for a in plan.assignments]


@RARE
@given(problems(), st.data())
def test_of_the_best_plans_the_one_that_moves_the_fewest_is_found(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    r, p = len(problem.request_ids), len(problem.pool_ids)
    current = np.array(data.draw(st.lists(st.integers(-1, p - 1), min_size=r, max_size=r)), dtype=np.int64)
    plan = solve(replace(problem, current=current))
    stay = sum(
        a.pool == problem.pool_ids[c] for a, c in zip(plan.assignments, current, strict=True) if c >= 0
    )
    assert stay == most_that_can_stay(problem, current.tolist())


def most_that_can_stay(problem: PlacementProblem, current: list[int]) -> int:
    """Over all best assignments, by trying them all."""
    best = best_by_trying(problem)
    return max(
        sum(seat == now for seat, now in zip(seats, current, strict=True))
        for placed, cost, seats in every_plan(problem)
        if (placed, cost) == best
    )


@RARE
@given(
    problems(),
    st.sampled_from(["price:tier-1=+33%", "capacity:a=-50%", "pool:a=lost", "grow=+50%"]),
    st.data(),
)
def test_the_parts_of_any_what_if_add_up(problem: PlacementProblem, text: str, data: st.DataObject) -> None:
    if text.startswith("price") and "tier-1" not in problem.tier_of:
        text = text.replace("tier-1", "tier-2")
    r, p = len(problem.request_ids), len(problem.pool_ids)
    before = np.array(data.draw(st.lists(st.integers(-1, p - 1), min_size=r, max_size=r)), dtype=np.int64)
    answer = what_if(problem, before, parse([text]))
    d = answer.diff
    assert d.change_micros == d.after_micros - d.before_micros
    assert d.change_micros == d.stayed_micros + sum(
        m.after_micros - m.before_micros for m in d.moves
    ) + sum(n.after_micros for n in d.newly_placed) - sum(u.before_micros for u in d.newly_unplaced)
    assert d.change_micros == sum(t.after_micros - t.before_micros for t in d.by_tier)
    assert 0 <= answer.base.bound_micros <= answer.base.cost_micros


@pytest.mark.parametrize("seed", range(3))
def test_another_seed_gives_a_plan_of_the_same_worth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    demand = rng.integers(1, 9, (12, 2))
    problem = PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(12)),
        demand=demand,
        pool_ids=("a", "b", "c"),
        tier_of=("tier-1", "tier-2", "tier-2"),
        free=np.full((3, 2), int(demand.sum(axis=0).max()) // 3),
        largest=np.full((3, 2), 9),
        cost_micros=rng.integers(1, 99, (12, 3)),
    )
    worths = {value(solve(problem, Limits(seed=n))) for n in (0, 1, 99)}
    assert len(worths) == 1

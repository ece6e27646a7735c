"""Pool instances against every assignment there is, counted here in plain Python."""

import itertools
from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.pool_instances.instance import PoolInstance
from placement.pool_instances.neighbourhood import Found, Near
from placement.pool_instances.solve import PoolLimits, solve

Work = Callable[[Near], Found | None]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def columns(rows: list[list[int]], width: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64).reshape(len(rows), width)


@st.composite
def instances(draw: st.DrawFn) -> PoolInstance:
    classes, pools, apps = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    requests = draw(st.integers(0, 6))

    def table(rows: int, width: int, most: int) -> np.ndarray:
        row = st.lists(st.integers(0, most), min_size=width, max_size=width)
        return columns(draw(st.lists(row, min_size=rows, max_size=rows)), width)

    return PoolInstance(
        demand=table(classes, 2, 5),
        klass=table(1, requests, classes - 1)[0],
        app=table(1, requests, apps - 1)[0],
        capacity=table(pools, 2, 14),
        allowed=table(classes, pools, 4) > 0,
        unit_cost=table(classes, pools, 30),
        open_cost=table(1, pools, 40)[0],
        windows=table(1, classes, 1)[0],
        app_spread=table(1, apps, 1)[0] > 0,
        licence_pack_vcpus=draw(st.integers(1, 8)),
        licence_pack_cost=draw(st.integers(0, 50)),
        app_max_share=draw(st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0])),
        unplaced_cost=draw(st.sampled_from([0, 20, 1000])),
    )


def cost_of(one: PoolInstance, assignment: tuple[int, ...]) -> int | None:
    """What an assignment costs, or None where it breaks a rule."""
    total, seated = 0, [[i for i, p in enumerate(assignment) if p == q] for q in range(len(one.capacity))]
    for p, requests in enumerate(seated):
        if not all(one.allowed[one.klass[i], p] for i in requests):
            return None
        if requests:
            used = sum(one.demand[one.klass[i]] for i in requests)
            if (used > one.capacity[p]).any():
                return None
            total += int(one.open_cost[p])
        for a, spread in enumerate(one.app_spread):
            size = int((one.app == a).sum())
            here = sum(one.app[i] == a for i in requests)
            if spread and size >= 2 and here > ceil(one.app_max_share * size):
                return None
        windows = sum(int(one.demand[one.klass[i], 0]) for i in requests if one.windows[one.klass[i]])
        total += ceil(windows / one.licence_pack_vcpus) * one.licence_pack_cost
        total += sum(int(one.unit_cost[one.klass[i], p]) for i in requests)
    return total + assignment.count(-1) * one.unplaced_cost


def cheapest(one: PoolInstance) -> int:
    every = itertools.product(range(-1, len(one.capacity)), repeat=len(one.klass))
    return min(cost for assignment in every if (cost := cost_of(one, assignment)) is not None)


def stopped_clock() -> float:
    return 0.0


@QUICK
@given(instances(), st.integers(0, 3))
def test_a_small_instance_is_solved_to_the_optimum_of_all_assignments(one: PoolInstance, seed: int) -> None:
    answer = solve(one, PoolLimits(time_limit_s=60, seed=seed, rounds=3), stopped_clock)
    best = cheapest(one)
    assert cost_of(one, tuple(answer.assignment.tolist())) == answer.objective == best
    assert answer.bound <= best


@QUICK
@given(instances(), st.integers(0, 3))
def test_the_way_of_large_instances_keeps_every_rule_and_a_true_bound(one: PoolInstance, seed: int) -> None:
    limits = PoolLimits(time_limit_s=60, seed=seed, rounds=3, solve_whole_up_to=0)
    answer = solve(one, limits, stopped_clock)
    cost = cost_of(one, tuple(answer.assignment.tolist()))
    assert cost == answer.objective
    assert answer.bound <= cheapest(one) <= answer.objective


@QUICK
@given(instances())
def test_the_same_seed_and_rounds_give_the_same_assignment_in_any_order_of_solving(
    one: PoolInstance,
) -> None:
    limits = PoolLimits(time_limit_s=60, rounds=3, solve_whole_up_to=0)

    def backwards(work: Work, parts: Sequence[Near]) -> list[Found | None]:
        return [work(part) for part in reversed(parts)][::-1]

    forwards = solve(one, limits, stopped_clock)
    again = solve(one, limits, stopped_clock, backwards)
    assert forwards.assignment.tolist() == again.assignment.tolist()


@QUICK
@given(instances())
def test_without_any_time_the_bound_is_each_request_by_itself_and_never_above_the_cheapest(
    one: PoolInstance,
) -> None:
    found = solve(one, PoolLimits(time_limit_s=0.0, rounds=0), stopped_clock)
    alone = 0
    for k in one.klass.tolist():
        fits = one.allowed[k] & (one.demand[k] <= one.capacity).all(axis=1)
        alone += min([one.unplaced_cost, *one.unit_cost[k][fits].tolist()])
    assert alone <= found.bound <= cheapest(one)

"""Hosts of several periods: against every sequence of plans of tiny problems, and by hand."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from placement.arrays import Int64
from placement.plan import Limits
from placement.planning import horizon
from placement.planning.counted import cost_terms
from placement.planning.facts import Facts
from placement.planning.horizon import apportioned, look_ahead, priced
from placement.planning.problem import PlanningProblem
from placement.planning.solve import solve
from tierwise.testing.tiny_planning import holds, random_problem

PERIODS = 3
Hosts = tuple[int, ...]
Counts = tuple[tuple[int, ...], ...]
State = tuple[Hosts, Hosts, Counts]
"""Hosts of today, hosts bought, and machines by group and pool."""
NEVER = 1 << 60


def growing(seed: int) -> list[PlanningProblem]:
    """Two groups of today and one to come, which gets larger period by period; moves cost what three periods can share."""
    rng = np.random.default_rng(seed)
    plain = random_problem(seed, products=0)
    groups = plain.groups
    assert groups.move_cost is not None
    current = groups.current.copy()
    current[2] = -1
    move = PERIODS * groups.move_cost
    move[2] = 0
    allowed = np.ones_like(groups.allowed)
    found = []
    count = np.array([1, 1, 1])
    for _ in range(PERIODS):
        found.append(
            replace(
                plain,
                groups=replace(
                    groups, count=count.copy(), current=current, allowed=allowed, move_cost=move, rejections={}
                ),
                pools=replace(plain.pools, shared=plain.pools.shared + np.array([0, 9]), least_hosts=np.ones(2, dtype=np.int64)),
                blocks=replace(plain.blocks, most=plain.blocks.existing + 1, largest=plain.blocks.largest + np.array([3, 0])),
                most_moves=None,
            )
        )  # fmt: skip
        count[2] += int(rng.integers(0, 2))
    return found


def cheapest(problems: list[PlanningProblem]) -> int:
    """The least that any sequence costs in which all have a place: hosts and machines, period after period."""
    existing = tuple(problems[0].blocks.existing.tolist())
    nobody = tuple((0, 0) for _ in range(3))
    states: dict[State, int] = {(existing, (0, 0, 0), nobody): 0}
    for t, problem in enumerate(problems):
        free = replace(problem, blocks=replace(problem.blocks, bought_costs={}))
        if t:  # Whoever has a place stays there.
            free = replace(free, groups=replace(free.groups, move_cost=None))
        found: dict[State, int] = {}
        ways = _ways(free, Facts(problem).bought_cost, existing)
        for (kept, bought, before), paid in states.items():
            for (now, more, counts), cost in ways.items():
                if _all(kept, now) and _all(more, bought) and all(map(_all, counts, before)):
                    key = (now, more, counts)
                    found[key] = min(found.get(key, NEVER), paid + cost)
        states = found
    return min(states.values(), default=NEVER)


def _all(more: Hosts, fewer: Hosts) -> bool:
    return all(a >= b for a, b in zip(more, fewer, strict=True))


def _ways(problem: PlanningProblem, bought_cost: Int64, existing: Hosts) -> dict[State, int]:
    """Hosts of today that are kept and paid for, hosts that are bought and used as they are of use, and who is where."""
    found: dict[State, int] = {}
    could = (problem.blocks.most - problem.blocks.existing).tolist()
    for counts, by_hosts in _plans(problem).items():
        for now in product(*(range(n + 1) for n in existing)):
            for more in product(*(range(n + 1) for n in could)):
                costs = [
                    cost
                    for hosts, cost in by_hosts
                    if all(u <= h <= u + n for h, u, n in zip(hosts, now, more, strict=True))
                ]
                if costs:
                    found[now, more, counts] = min(costs) + int(bought_cost @ np.array(more))
    return found


def _plans(problem: PlanningProblem) -> dict[Counts, list[tuple[Hosts, int]]]:
    found: dict[Counts, list[tuple[Hosts, int]]] = {}
    pool_of = problem.blocks.pool_of

    @cache
    def held(p: int, machines: tuple[int, ...], hosts: Hosts) -> bool:
        on = {b: hosts[b] for b in np.flatnonzero(pool_of == p).tolist()}
        return holds(problem, p, np.array(machines), on)

    rows = [[(n, count - n) for n in range(count + 1)] for count in problem.groups.count.tolist()]
    for counts in product(*rows):
        for hosts in product(*(range(n + 1) for n in problem.blocks.most.tolist())):
            machines = tuple(zip(*counts, strict=True))
            if all(held(p, machines[p], hosts) for p in range(2)):
                cost = sum(cost_terms(problem, np.array(counts), np.array(hosts), ()).values())
                found.setdefault(counts, []).append((hosts, cost))
    return found


def test_no_sequence_of_plans_is_cheaper_than_all_periods_together_say(subtests_seen: list[int]) -> None:
    for seed in range(6):
        problems = growing(seed)
        best = cheapest(problems)
        if best == NEVER:
            continue
        subtests_seen.append(seed)
        shared = apportioned(problems, [1] * PERIODS)
        found = look_ahead(shared, [0] * PERIODS, Limits())
        assert found is not None
        assert found.bound_micros == best, seed
        apart = [solve(priced(one, prices)) for one, prices in zip(shared, found.prices, strict=True)]
        assert sum(one.bound_micros for one in apart) <= best
        assert bool((np.diff(found.kept, axis=0) <= 0).all())
        assert bool((np.diff(found.bought, axis=0) >= 0).all())
    assert len(subtests_seen) > 2


@pytest.fixture
def subtests_seen() -> list[int]:
    """Seeds in which all machines can have a place."""
    return []


def test_prices_of_bought_hosts_never_come_to_more_than_the_true_ones_until_the_end() -> None:
    problems = growing(3)
    true = np.array([Facts(one).bought_cost for one in problems])
    dear = true * np.array([[1.7], [0.2], [4.0]])
    found = horizon._lawful(problems, dear)
    assert bool((found >= 0).all())
    for t in range(PERIODS):
        assert bool((found[t:].sum(axis=0) <= true[t:].sum(axis=0)).all())


def test_a_move_costs_in_all_periods_together_what_it_costs_once() -> None:
    problems = growing(4)
    shared = [one.groups.move_cost for one in apportioned(problems, [3, 3, 6])]
    (whole, *_) = [one.groups.move_cost for one in problems]
    total = sum(one for one in shared if one is not None)
    assert whole is not None
    assert bool((total <= whole).all())
    assert bool((total > whole - PERIODS).all())

"""What a constraint's own tests stand on: small problems, and every plan of one by trying.

A file added to `placement/constraints/` is tested against `best_by_trying`, which knows nothing but its `check`
and `cost`: neither the solvers nor what it posts to them.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from placement import constraints
from placement.arrays import Int64
from placement.constraint import Constraint
from placement.explain import name_of
from placement.plan import Plan
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats
from placement.verify import seats_of, terms_of

Value = tuple[int, ...]
"""Unplaced requests by priority, the highest first; then the objective's levels. Less is better."""


def best_by_trying(problem: PlacementProblem) -> Value | None:
    """The value of the best plan, by trying all of them; None where no plan keeps every constraint.

    What a plan costs does not depend on the choices that constraints ask for, so that of these only one that
    keeps them is looked for.
    """
    best: Value | None = None
    others = [one for one in constraints.of(problem) if not one.choice_count(problem)]
    for provider_of in _assignments(problem):
        seats = Seats(provider_of)
        found = value(problem, seats)
        if best is not None and found >= best:
            continue
        kept = not any(_breaches(one, problem, seats) for one in others)
        if kept and any(True for _ in ways_to_choose(problem, provider_of)):
            best = found
    return best


def every_plan(problem: PlacementProblem) -> Iterator[Seats]:
    """Every plan that keeps all constraints, with every choice that any of them asks for."""
    for provider_of in _assignments(problem):
        yield from ways_to_choose(problem, provider_of)


def ways_to_choose(problem: PlacementProblem, provider_of: Int64) -> Iterator[Seats]:
    """The plans with these seats that keep all constraints, one for each choice that any of them asks for."""
    yield from (s for s in _with_choices(problem, provider_of) if not _any_broken(problem, s))


def value(problem: PlacementProblem, seats: Seats) -> Value:
    """What a plan comes to, counted without any model."""
    priority = (
        np.zeros(len(seats.provider_of), dtype=np.int64) if problem.priority is None else problem.priority
    )
    out = seats.provider_of < 0
    unplaced = [int((out & (priority == p)).sum()) for p in sorted(set(priority.tolist()), reverse=True)]
    terms = terms_of(problem, seats)
    levels = [
        sum(weight * terms.get(name, 0) for name, weight in level.items()) for level in problem.objective
    ]
    return (*(unplaced or [0]), *levels)


def value_of_plan(problem: PlacementProblem, plan: Plan) -> Value:
    """The same of a plan by names."""
    return value(problem, seats_of(problem, plan))


def small_problem(
    seed: int, *, hosts: bool = True, size: tuple[int, int] | None = None, **more: Any
) -> PlacementProblem:
    """Up to five requests of few kinds on up to four hosts in two pools, usually too small for all of them.

    Or as many requests and hosts as `size` says. Labels ``rack`` (of hosts) and ``site`` (of pools) are there;
    `more` replaces fields.
    """
    chance = np.random.default_rng(seed)
    r, h, p = int(chance.integers(1, 6)), int(chance.integers(2, 5)), 2
    r, h = size or (r, h)
    kinds = int(chance.integers(1, r + 1))
    of = chance.integers(0, kinds, r)
    demand = chance.integers(1, 9, (kinds, 2))[of].astype(np.int64)
    pool_of = np.sort(np.concatenate([[0, 1], chance.integers(0, p, h - p)])).astype(np.int64)
    free = chance.integers(4, 18, (h, 2)).astype(np.int64)
    of_pool = np.array([free[pool_of == q].sum(axis=0) for q in range(p)], dtype=np.int64)
    return replace(
        PlacementProblem(
            resource_classes=("vcpu", "memory_mib"),
            request_ids=tuple(f"r{i}" for i in range(r)),
            demand=demand,
            pool_ids=("a", "b"),
            tier_of=("tier-1", "tier-2"),
            free=of_pool,
            largest=of_pool.copy() if not hosts else np.full((p, 2), 99, dtype=np.int64),
            cost_micros=chance.integers(1, 30, (kinds, p))[of].astype(np.int64),
            labels={"site": ("fra", "nl")},
            hosts=Hosts(
                ids=tuple(f"h{i}" for i in range(h)),
                pool_of=pool_of,
                free=free,
                largest=chance.integers(5, 20, (h, 2)).astype(np.int64),
                labels={"rack": tuple(str(n) for n in chance.choice(["r1", "r2", ""], h))},
            )
            if hosts
            else None,
        ),
        **more,
    )


def _assignments(problem: PlacementProblem) -> Iterator[Int64]:
    """Every way to seat the requests that the room on the providers themselves allows."""
    demand, free = problem.demand.tolist(), problem.providers.free.tolist()
    crowded = (
        problem.periods is not None
    )  # Then not all are there at the same time, and room alone says nothing.
    seats = [-1] * len(demand)

    def from_request(i: int) -> Iterator[Int64]:
        if i == len(demand):
            yield np.array(seats, dtype=np.int64)
            return
        seats[i] = -1
        yield from from_request(i + 1)
        for v, left in enumerate(free):
            if crowded or all(n <= has for n, has in zip(demand[i], left, strict=True)):
                seats[i] = v
                free[v] = [has - n for n, has in zip(demand[i], left, strict=True)]
                yield from from_request(i + 1)
                free[v] = left
        seats[i] = -1

    yield from from_request(0)


def _breaches(one: Constraint, problem: PlacementProblem, seats: Seats) -> bool:
    return next(iter(one.check(problem, seats)), None) is not None


def _any_broken(problem: PlacementProblem, seats: Seats) -> bool:
    return any(_breaches(one, problem, seats) for one in constraints.of(problem))


def _with_choices(problem: PlacementProblem, provider_of: Int64) -> Iterator[Seats]:
    return (Seats(provider_of, choices) for choices in _choices(problem, provider_of))


def _choices(problem: PlacementProblem, provider_of: Int64) -> Iterator[dict[str, Int64]]:
    asking = [(one, one.choice_count(problem)) for one in constraints.of(problem)]
    named = [(name_of(one), count) for one, count in asking if count]
    placed = np.flatnonzero(provider_of >= 0).tolist()
    for picks in product(*(product(range(-1, count), repeat=len(placed)) for _, count in named)):
        chosen = {}
        for (name, _), pick in zip(named, picks, strict=True):
            chosen[name] = np.full(len(provider_of), -1, dtype=np.int64)
            chosen[name][placed] = pick
        yield chosen

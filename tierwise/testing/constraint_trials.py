"""What a constraint's tests have in common: a solver against brute force, and `blocked` against `check`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.classes import classes_of
from placement.constraint import Constraint
from placement.periods import Periods
from placement.placed import placed
from placement.plan import PlanStatus
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats
from placement.solve import solve
from placement.verify import breaches, seats_of
from tierwise.testing.placement import best_by_trying, value_of_plan


class Told:
    """A kernel that only remembers what the `admit` of a problem's one constraint tells it, by primitive."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem, self.classes = problem, classes_of(problem)
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        kernel: Any = self
        (constraint,) = problem.constraints
        constraint.admit(kernel)

    def __getattr__(self, primitive: str) -> Callable[..., None]:
        return lambda *said: self.calls.setdefault(primitive, []).append(said)

    def forbidden(self, provider_of: Int64) -> bool:
        """Whether any request sits where `forbid` says that none may."""
        g, placed_ones = self.classes.of, np.flatnonzero(provider_of >= 0)
        cells = g[placed_ones], provider_of[placed_ones]
        return any(bool(said[0][cells].any()) for said in self.calls.get("forbid", []))

    def stored(self, provider_of: Int64, store_of: Int64) -> bool:
        """Whether seats and stores keep what the one `storage` says; a plan in plain Python."""
        ((_, need, reach, allowed, free, choice_of),) = self.calls["storage"]
        left = free.tolist()
        for g, v, s in zip(self.classes.of, provider_of, store_of, strict=True):
            if v < 0:
                continue
            if not need[g].any():
                if s >= 0:
                    return False
                continue
            if s < 0 or not reach[v, s] or not allowed[g, choice_of[s]]:
                return False
            left[s] = [has - n for has, n in zip(left[s], need[g].tolist(), strict=True)]
        return all(has >= 0 for row in left for has in row)


def two_hosts(
    *demand: tuple[int, int], constraint: Constraint | None = None, **more: Any
) -> PlacementProblem:
    """Requests r0, r1, ... on the roomy hosts h0 and h1 of pool a; `more` are fields of the problem."""
    roomy = np.full((2, 2), 100, dtype=np.int64)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_mib"),
        request_ids=tuple(f"r{i}" for i in range(len(demand))),
        demand=np.array(demand, dtype=np.int64),
        pool_ids=("a",),
        tier_of=("tier-1",),
        free=np.full((1, 2), 200, dtype=np.int64),
        largest=np.full((1, 2), 100, dtype=np.int64),
        cost_micros=np.ones((len(demand), 1), dtype=np.int64),
        hosts=Hosts(("h0", "h1"), np.zeros(2, dtype=np.int64), roomy, roomy.copy()),
        constraints=(constraint,) if constraint else (),
        **more,
    )


def may_to_june(*spans: tuple[int, int], hosts: int = 2) -> Periods:
    """Slot 0 is in May, 1 in June; a span (first, end) for each request; nobody else is on the `hosts`."""
    first, end = np.array(spans, dtype=np.int64).T.copy()
    return Periods(("in May", "in June"), first, end, np.zeros((2, hosts, 2), dtype=np.int64))


def few(problem: PlacementProblem, requests: int) -> PlacementProblem:
    """A problem's first requests: choices multiply what brute force has to try."""
    kept = slice(0, requests)
    return replace(
        problem,
        request_ids=problem.request_ids[kept],
        demand=problem.demand[kept],
        cost_micros=problem.cost_micros[kept],
    )


def best_plan(problem: PlacementProblem) -> Seats:
    """The exact way's plan, as seats. Raises AssertionError unless brute force finds none better and nothing wrong with it."""
    plan = solve(problem, way="exact")
    assert value_of_plan(problem, plan) == best_by_trying(problem)
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()
    return seats_of(problem, plan)


def misjudged(problem: PlacementProblem, seats: Seats, constraint: Constraint, name: str) -> list[str]:
    """Each request and provider where `blocked` is not what `check` says of every seat that the request could have there.

    `name` is the constraint's choice; the seats break nothing of it.
    """
    after = placed(problem, seats.provider_of, seats.choices)
    wrong = []
    for i, request in enumerate(problem.request_ids):
        told = constraint.blocked(after, i)
        for v, provider in enumerate(problem.providers.ids):
            blocked = told is not None and bool(told[v])
            if blocked == any(
                not list(constraint.check(problem, s))
                for s in _moved(seats, i, v, constraint, problem, name)
            ):
                wrong.append(f"{request} on {provider}: blocked is {blocked}")
            if blocked and not list(constraint.why(after, i, v)):
                wrong.append(f"{request} on {provider}: blocked, and nothing is said why")
    return wrong


def _moved(
    seats: Seats, request: int, provider: int, constraint: Constraint, problem: PlacementProblem, name: str
) -> Iterator[Seats]:
    provider_of = seats.provider_of.copy()
    provider_of[request] = provider
    none: Int64 = np.full(len(provider_of), -1, dtype=np.int64)
    for choice in range(-1, constraint.choice_count(problem)):
        chosen = seats.choices.get(name, none).copy()
        chosen[request] = choice
        yield Seats(provider_of, {**seats.choices, name: chosen})

"""Problems to tell single facts of constraints by: hosts in two racks and two sites, or two hosts with room for all."""

from typing import Any

import numpy as np

from placement.constraint import Constraint
from placement.periods import Periods
from placement.placed import Placed, placed
from placement.plan import Plan
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats
from placement.solve import solve


def racks(*constraints: Constraint, requests: int = 3, **more: object) -> PlacementProblem:
    """Requests r0, r1, ... of 1 vCPU on pools a (h0, h1) and b (h2, h3), 2 vCPU a host.

    h0 and h2 are in rack r1, h1 in r2, h3 in none. Pool b costs 5 a request, a 1.
    """
    fields: dict[str, object] = {
        "resource_classes": ("vcpu",),
        "request_ids": tuple(f"r{i}" for i in range(requests)),
        "demand": np.ones((requests, 1), dtype=np.int64),
        "pool_ids": ("a", "b"),
        "tier_of": ("tier-1", "tier-2"),
        "free": np.full((2, 1), 4, dtype=np.int64),
        "largest": np.full((2, 1), 2, dtype=np.int64),
        "cost_micros": np.tile(np.array([1, 5], dtype=np.int64), (requests, 1)),
        "hosts": Hosts(
            ids=("h0", "h1", "h2", "h3"),
            pool_of=np.array([0, 0, 1, 1], dtype=np.int64),
            free=np.full((4, 1), 2, dtype=np.int64),
            largest=np.full((4, 1), 2, dtype=np.int64),
            labels={"rack": ("r1", "r2", "r1", "")},
        ),
        "labels": {"site": ("fra", "nl")},
        "groups": {"web": tuple(f"r{i}" for i in range(requests))},
        "constraints": constraints,
    }
    return PlacementProblem(**{**fields, **more})  # type: ignore[arg-type]  # by name, as the fields are


def at(problem: PlacementProblem, *hosts: str | None) -> Seats:
    """Where requests are, by the names of hosts."""
    position = {None: -1} | {name: v for v, name in enumerate(problem.providers.ids)}
    return Seats(np.array([position[host] for host in hosts], dtype=np.int64))


def after(problem: PlacementProblem, *hosts: str | None) -> Placed:
    """The same, as the ground for explanations."""
    return placed(problem, at(problem, *hosts).provider_of)


def hosts_of(plan: Plan) -> list[str | None]:
    """The host of each request, in their order."""
    return [assignment.host for assignment in plan.assignments]


def solved(problem: PlacementProblem) -> Plan:
    """Solved exactly."""
    return solve(problem, way="exact")


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

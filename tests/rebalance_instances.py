"""Small instances of the machine reassignment problem, made up by chance: their first assignment keeps every rule."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.rebalance.reassignment import Reassignment


@dataclass(frozen=True)
class Size:
    """How large, and how tight."""

    processes: int = 6
    machines: int = 3
    resources: int = 2
    services: int = 4
    dependencies: int = 2
    balances: int = 1
    tight_percent: int = 130
    """Capacity of a machine in percent of what it holds at first."""


def instance(seed: int, size: Size = Size()) -> Reassignment:
    """The same for the same seed."""
    chance = np.random.default_rng(seed)
    p, m, r, s = size.processes, size.machines, size.resources, size.services
    service, initial = chance.integers(0, s, p), np.zeros(p, dtype=np.int64)
    taken: set[tuple[int, int]] = set()
    for i in range(p):
        free = [n for n in range(m) if (service[i], n) not in taken]
        if not free:
            service[i], free = (
                s - 1 - int(service[i]),
                [n for n in range(m) if (s - 1 - service[i], n) not in taken],
            )
            free = free or list(range(m))
        initial[i] = min(
            chance.choice(free), chance.choice(free)
        )  # Uneven, so that there is something to gain.
        taken.add((int(service[i]), int(initial[i])))
    keys: set[tuple[int, int]] = set()
    for i in range(p):  # A service that still has two on one machine gives one up to a service of its own.
        if (int(service[i]), int(initial[i])) in keys:
            service[i], s = s, s + 1
        keys.add((int(service[i]), int(initial[i])))
    location, neighbourhood = np.arange(m) % max(1, m - 1), np.arange(m) % 2
    requirement = chance.integers(0, 20, (p, r))
    used = np.zeros((m, r), dtype=np.int64)
    np.add.at(used, initial, requirement)
    even = np.full((m, 1), 1) * used.sum(axis=0) // m
    capacity = np.maximum(used, even) * size.tight_percent // 100 + chance.integers(0, 15, (m, r))
    places = [len(set(location[initial[service == k]].tolist())) for k in range(s)]
    there = [set(neighbourhood[initial[service == k]].tolist()) for k in range(s)]
    pairs = [(a, b) for a in range(s) for b in range(s) if a != b and there[a] <= there[b]]
    chance.shuffle(pairs)
    balance = [
        [0, r - 1, int(chance.integers(1, 3)), int(chance.integers(0, 5))] for _ in range(size.balances)
    ]
    return Reassignment(
        transient=chance.random(r) < 0.5,
        load_weight=chance.integers(0, 5, r),
        neighbourhood=neighbourhood,
        location=location,
        capacity=capacity,
        safety=np.minimum(capacity, even * chance.integers(80, 120, (m, r)) // 100),
        machine_move_cost=chance.integers(0, 3, (m, m)) * (1 - np.eye(m, dtype=np.int64)),
        spread=np.array([int(chance.integers(0, one + 1)) for one in places]),
        dependency=np.array(sorted(pairs[: size.dependencies]), dtype=np.int64).reshape(-1, 2),
        service=service,
        requirement=requirement,
        process_move_cost=chance.integers(0, 3, p),
        balance=np.array(balance, dtype=np.int64).reshape(-1, 4),
        weights=np.array([1, 2, 3]),
        initial=initial,
    )


def every(problem: Reassignment) -> Iterator[np.ndarray]:
    """Each assignment there is, whether it keeps the rules or not."""
    for one in itertools.product(range(problem.machines), repeat=problem.processes):
        yield np.array(one, dtype=np.int64)


def plain_cost(problem: Reassignment, machine: list[int]) -> int | None:
    """What an assignment costs, by loops over the challenge's definitions; None where it breaks a rule."""
    first, total = problem.initial.tolist(), 0
    resources = range(problem.capacity.shape[1])
    for m in range(problem.machines):
        here = [p for p, n in enumerate(machine) if n == m]
        left = [p for p, n in enumerate(machine) if n != m and first[p] == m]
        used = [sum(int(problem.requirement[p, r]) for p in here) for r in resources]
        for r in resources:
            extra = sum(int(problem.requirement[p, r]) for p in left) if problem.transient[r] else 0
            if used[r] + extra > problem.capacity[m, r]:
                return None
            total += int(problem.load_weight[r]) * max(0, used[r] - int(problem.safety[m, r]))
        if len({int(problem.service[p]) for p in here}) < len(here):
            return None
        for one, other, target, weight in problem.balance.tolist():
            free = [int(problem.capacity[m, r]) - used[r] for r in resources]
            total += weight * max(0, target * free[one] - free[other])
    moves = [0] * problem.services
    sites: list[set[int]] = [set() for _ in range(problem.services)]
    near: list[set[int]] = [set() for _ in range(problem.services)]
    for p, n in enumerate(machine):
        s = int(problem.service[p])
        sites[s].add(int(problem.location[n]))
        near[s].add(int(problem.neighbourhood[n]))
        total += int(problem.weights[2]) * int(problem.machine_move_cost[first[p], n])
        if n != first[p]:
            moves[s] += 1
            total += int(problem.weights[0]) * int(problem.process_move_cost[p])
    if any(len(sites[s]) < problem.spread[s] for s in range(problem.services)):
        return None
    if any(not near[a] <= near[b] for a, b in problem.dependency.tolist()):
        return None
    return total + int(problem.weights[1]) * max(moves, default=0)

"""What an assignment costs and which rules it breaks, from their definitions; shares nothing with the search."""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from placement.arrays import Int64
from placement.rebalance.reassignment import Reassignment

_TOLD = 20
"""Breaches of one rule that are told."""


def terms(problem: Reassignment, machine: Int64) -> Mapping[str, int]:
    """What an assignment costs, weighted, by term; the sum is the objective."""
    used = _used(problem, machine)
    moved = machine != problem.initial
    load = np.maximum(0, used - problem.safety).sum(axis=0)
    free = problem.capacity - used
    balance = 0
    for one, other, target, weight in problem.balance.tolist():
        balance += weight * int(np.maximum(0, target * free[:, one] - free[:, other]).sum())
    process, service, between = problem.weights.tolist()
    most = int(np.bincount(problem.service[moved], minlength=1).max())
    return {
        "load": int((load * problem.load_weight).sum()),
        "balance": balance,
        "process_moves": process * int(problem.process_move_cost[moved].sum()),
        "service_moves": service * most,
        "machine_moves": between * int(problem.machine_move_cost[problem.initial, machine].sum()),
    }


def breaches(problem: Reassignment, machine: Int64) -> tuple[str, ...]:
    """Every rule that an assignment breaks, in words; of each rule no more than some."""
    rules = (_capacity, _conflict, _spread, _dependency)
    return tuple(text for rule in rules for text in islice(rule(problem, machine), _TOLD))


def _used(problem: Reassignment, machine: Int64) -> Int64:
    used = np.zeros_like(problem.capacity)
    np.add.at(used, machine, problem.requirement)
    return used


def _capacity(problem: Reassignment, machine: Int64) -> Iterator[str]:
    used, moved = _used(problem, machine), machine != problem.initial
    waiting = np.zeros_like(used)
    np.add.at(waiting, problem.initial[moved], problem.requirement[moved])
    held = used + np.where(problem.transient, waiting, 0)
    for m, r in np.argwhere(held > problem.capacity).tolist():
        yield f"machine {m} has {problem.capacity[m, r]} of resource {r}, and {held[m, r]} are used; move processes away"


def _conflict(problem: Reassignment, machine: Int64) -> Iterator[str]:
    pairs, count = np.unique(np.column_stack([problem.service, machine]), axis=0, return_counts=True)
    for (s, m), n in zip(pairs[count > 1].tolist(), count[count > 1].tolist(), strict=True):
        yield f"service {s} has {n} processes on machine {m}; each must be on its own"


def _spread(problem: Reassignment, machine: Int64) -> Iterator[str]:
    pairs = np.unique(np.column_stack([problem.service, problem.location[machine]]), axis=0)
    places = np.bincount(pairs[:, 0], minlength=problem.services)
    for s in np.flatnonzero(places < problem.spread).tolist():
        yield f"service {s} is in {places[s]} locations; it must be in at least {problem.spread[s]}"


def _dependency(problem: Reassignment, machine: Int64) -> Iterator[str]:
    there: list[set[int]] = [set() for _ in range(problem.services)]
    for s, n in zip(problem.service.tolist(), problem.neighbourhood[machine].tolist(), strict=True):
        there[s].add(n)
    for s, needed in problem.dependency.tolist():
        if missing := sorted(there[s] - there[needed]):
            yield (
                f"service {s} depends on service {needed}, which is not in neighbourhood "
                f"{', '.join(map(str, missing[:5]))}; move them together"
            )

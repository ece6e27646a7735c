"""Which parts of an estate are solved exactly: some machines, and processes of theirs.

Sized by variables, not by machines: CP-SAT ends models of some hundred booleans within fractions of a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.rebalance.paying import moving, rows
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import State

_WHOLE = 0.5
"""So often a part is whole."""
_NEAR = 0.6
"""So often a part is of one neighbourhood, where there are others in it."""
_LEAST_PROCESSES = 8
"""Of a part, however many machines it has."""
_FIRST, _FEWEST, MOST = 400, 100, 20_000
"""Variables of a part."""
_LARGER, _SMALLER = 1.1, 0.75
"""How parts grow after one that was easy, and shrink after one that was not proven."""


@dataclass(frozen=True, eq=False)
class Part:
    """Processes that may go to any of these machines; the others stay."""

    machines: Int64
    processes: Int64
    whole: bool
    """Made to have all processes of its machines; else some of them, first of those that are away."""
    seed: int


class Sizes:
    """How many variables parts have, by whether they are whole: larger ones while they are solved with ease."""

    def __init__(self) -> None:
        self.variables = {True: float(_FIRST), False: float(_FIRST)}

    def learn(self, part: Part, *, proven: bool, easy: bool) -> None:
        """What came of a part of the present size."""
        size = self.variables[part.whole] * (_LARGER if easy else 1.0 if proven else _SMALLER)
        self.variables[part.whole] = float(np.clip(size, _FEWEST, MOST))


def choose(
    problem: Reassignment, state: State, seed: int, count: int, variables: Mapping[bool, float]
) -> list[Part]:
    """Parts of up to so many variables by whether they are whole; with much to gain first, mostly of one neighbourhood.

    They share no machine where there are enough for that.
    """
    chance = np.random.default_rng(seed)
    free, parts = np.ones(problem.machines, dtype=np.bool_), []
    excess = _excess(problem, state).astype(np.float64)
    for _ in range(count):
        if free.sum() < 2:
            free[:] = True
        there = np.flatnonzero(free)
        weight = excess[there] + excess.mean() + 1.0
        first = int(chance.choice(there, p=weight / weight.sum()))
        if chance.random() < _NEAR:
            near = there[problem.neighbourhood[there] == problem.neighbourhood[first]]
            there = near if len(near) > 1 else there
        others = chance.permutation(there[there != first])
        whole = bool(chance.random() < _WHOLE)
        size = variables[whole]
        number = _others(state, first, others, size) if whole else _by_chance(len(others), size, chance)
        machines = np.concatenate(([first], others[:number]))
        free[machines] = False
        most = max(_LEAST_PROCESSES, int(size) // len(machines))
        processes = _some(problem, state, machines, most, chance)
        parts.append(Part(machines, processes, whole, int(chance.integers(2**31))))
    return parts


def _excess(problem: Reassignment, state: State) -> Int64:
    """[M] what machines pay above what all of them must, and the moves to them."""
    every, nobody = np.arange(problem.machines), np.arange(0)
    away = np.flatnonzero(state.machine != problem.initial)
    there = state.machine[away]
    excess = np.zeros(problem.machines, dtype=np.int64)
    np.add.at(excess, there, moving(problem, away, there))
    for row in rows(problem, every, nobody, state.free[:, : problem.capacity.shape[1]]):
        excess += row.weight * np.maximum(0, row.sign * row.fixed)
    return excess


def _some(
    problem: Reassignment, state: State, machines: Int64, most: int, chance: np.random.Generator
) -> Int64:
    """Up to so many processes of the machines; those that are away have half of the places."""
    processes = np.flatnonzero(np.isin(state.machine, machines))
    if len(processes) <= most:
        return processes
    away = processes[state.machine[processes] != problem.initial[processes]]
    away = chance.permutation(away)[: most // 2]
    rest = chance.permutation(np.setdiff1d(processes, away))
    return np.sort(np.concatenate((away, rest[: most - len(away)])))


def _others(state: State, first: int, others: Int64, variables: float) -> int:
    """How many machines beside the first may have all of their processes with them; one at least."""
    sizes = state.members[first] + np.cumsum(state.members[others])
    return max(1, int((sizes * np.arange(2, len(others) + 2) <= variables).sum()))


def _by_chance(others: int, variables: float, chance: np.random.Generator) -> int:
    """How many machines beside the first; small numbers as often as large ones."""
    most = max(1, min(others, int(variables) // _LEAST_PROCESSES - 1))
    return int(np.exp(chance.uniform(0.0, np.log(most + 1))))


def independent(problem: Reassignment, before: Int64, after: Int64, one: Int64, other: Int64) -> bool:
    """Whether two changes share no machine and no service, and no service of one depends on one of the other."""
    machines = [np.concatenate((before[some], after[some])) for some in (one, other)]
    services = problem.service[one]
    linked = problem.dependency[np.isin(problem.dependency, services).any(axis=1)].ravel()
    there = problem.service[other]
    return not (
        np.isin(machines[0], machines[1]).any()
        or np.isin(services, there).any()
        or np.isin(linked, there).any()
    )

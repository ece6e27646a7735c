"""Which parts of an estate are solved exactly: some machines, and processes of theirs.

Sized by variables, not by machines: CP-SAT ends models of some hundred booleans within fractions of a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import State

_WHOLE = 0.5
"""So often a part is whole."""
_NEAR = 0.6
"""So often a part is of one neighbourhood, where there are others in it."""
_LEAST_PROCESSES = 8
_FIRST, _FEWEST, MOST = 400, 100, 20_000
"""Variables of a part."""
_LARGER, _SMALLER = 1.1, 0.75


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
    problem: Reassignment,
    machine: Int64,
    state: State,
    seed: int,
    count: int,
    variables: Mapping[bool, float],
) -> list[Part]:
    """Parts of up to so many variables by whether they are whole; with much to gain first, mostly of one neighbourhood.

    They share no machine where there are enough for that.
    """
    chance = np.random.default_rng(seed)
    free, parts = np.ones(problem.machines, dtype=np.bool_), []
    dear = _excess(problem, machine, state).astype(np.float64)
    for _ in range(count):
        if free.sum() < 2:
            free[:] = True
        there = np.flatnonzero(free)
        weight = dear[there] + dear.mean() + 1.0
        first = int(chance.choice(there, p=weight / weight.sum()))
        if chance.random() < _NEAR:
            near = there[problem.neighbourhood[there] == problem.neighbourhood[first]]
            there = near if len(near) > 1 else there
        others = chance.permutation(there[there != first])
        whole = bool(chance.random() < _WHOLE)
        most = variables[whole]
        number = _others(state, first, others, most) if whole else _by_chance(len(others), most, chance)
        machines = np.concatenate(([first], others[:number]))
        free[machines] = False
        processes = np.flatnonzero(np.isin(machine, machines))
        most = max(_LEAST_PROCESSES, int(most) // len(machines))
        if len(processes) > most:
            away = processes[machine[processes] != problem.initial[processes]]
            away = chance.permutation(away)[: most // 2]
            rest = chance.permutation(np.setdiff1d(processes, away))
            processes = np.sort(np.concatenate((away, rest[: most - len(away)])))
        parts.append(Part(machines, processes, whole, int(chance.integers(2**31))))
    return parts


def _excess(problem: Reassignment, machine: Int64, state: State) -> Int64:
    """[M] what machines cost above what all of them must: where most are above a limit, what one is below it; and moves to it."""
    free = state.free[:, : problem.capacity.shape[1]]
    over = problem.capacity - free - problem.safety
    rows = [(over[:, r], weight) for r, weight in enumerate(problem.load_weight.tolist())]
    for one, other, target, weight in problem.balance.tolist():
        rows.append((target * free[:, one] - free[:, other], weight))
    process, _, between = problem.weights.tolist()
    away = np.flatnonzero(machine != problem.initial)
    moving = process * problem.process_move_cost[away]
    moving = moving + between * problem.machine_move_cost[problem.initial[away], machine[away]]
    excess = np.zeros(problem.machines, dtype=np.int64)
    np.add.at(excess, machine[away], moving)
    for row, weight in rows:
        excess += weight * np.maximum(0, -row if row.sum() > 0 else row)
    return excess


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

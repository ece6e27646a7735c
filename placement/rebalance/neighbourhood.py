"""Some machines at a time solved by CP-SAT: all of their processes may change places among them.

Sized by variables, not by machines: CP-SAT ends models of some hundred booleans within fractions of a second.
Machines of one neighbourhood leave all dependencies as they are. Spread is kept by rows; dependencies by letting
no process go where its service, or one that depends on it, would have to follow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from placement.arrays import Int64
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import State, Tables

_VARIABLES = (200, 500)
_SECONDS = 1.0
"""Deterministic, for one part."""
_LEAST_S = 0.02
"""What a part counts at least: presolve takes no deterministic time, and loops must end."""


@dataclass(frozen=True, eq=False)
class Part:
    """Processes that may go to any of these machines; the others stay."""

    machines: Int64
    processes: Int64
    seed: int


def choose(problem: Reassignment, machine: Int64, state: State, seed: int, count: int) -> list[Part]:
    """Parts that share no machine: one with much to gain first, then others, mostly of its neighbourhood."""
    chance = np.random.default_rng(seed)
    free, parts = np.ones(problem.machines, dtype=np.bool_), []
    cost = state.cost.astype(np.float64)
    for _ in range(count):
        there = np.flatnonzero(free)
        if len(there) < 2:
            break
        weight = cost[there] + cost.mean() + 1.0
        first = int(chance.choice(there, p=weight / weight.sum()))
        if chance.random() < 0.6:
            near = there[problem.neighbourhood[there] == problem.neighbourhood[first]]
            there = near if len(near) > 1 else there
        others = chance.permutation(there[there != first])
        target = int(chance.integers(*_VARIABLES))
        chosen, size = [first], int(state.members[first])
        for m in others.tolist():
            more = size + int(state.members[m])
            if len(chosen) > 1 and more * (len(chosen) + 1) > target:
                break
            chosen.append(m)
            size = more
        free[chosen] = False
        processes = np.flatnonzero(np.isin(machine, chosen))
        most = max(8, target // len(chosen))
        if len(processes) > most:
            processes = np.sort(chance.choice(processes, most, replace=False))
        parts.append(Part(np.array(chosen), processes, int(chance.integers(2**31))))
    return parts


def improve(
    problem: Reassignment, tables: Tables, state: State, part: Part, left_s: float
) -> tuple[Int64, float] | None:
    """The machines of a part's processes, cheaper than now, and the deterministic time it took; None where no cheaper was found."""
    model = cp_model.CpModel()
    now = state.machine[part.processes]
    x = _placed(model, problem, state, part)
    _fits(model, tables, state, part, x)
    _spreads(model, problem, state, part, x)
    cost: list[tuple[Any, int]] = []
    _load(model, problem, state, part, x, cost)
    before = int(state.cost[part.machines].sum())
    for (i, j), literal in x.items():
        p, m = int(part.processes[i]), int(part.machines[j])
        home = int(tables.home[p])
        moving = 0 if m == home else int(tables.process_move[p] + tables.machine_move[home, m])
        before += moving if m == now[i] else 0
        if moving:
            cost.append((literal, moving))
        model.add_hint(literal, bool(m == now[i]))
    total = cp_model.LinearExpr.weighted_sum([one for one, _ in cost], [w for _, w in cost])
    model.add(total <= before - 1)
    model.minimize(total)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
    solver.parameters.random_seed = part.seed
    solver.parameters.max_deterministic_time = _SECONDS
    solver.parameters.max_time_in_seconds = left_s
    status = solver.solve(model)
    took = max(_LEAST_S, float(solver.response_proto.deterministic_time))
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return now, took
    there = now.copy()
    for (i, j), literal in x.items():
        if solver.boolean_value(literal):
            there[i] = part.machines[j]
    return there, took


def _placed(model: Any, problem: Reassignment, state: State, part: Part) -> dict[tuple[int, int], Any]:
    """Each process on one of the machines, no two of a service on the same."""
    x: dict[tuple[int, int], Any] = {}
    together: dict[tuple[int, int], list[Any]] = {}
    inside = set(part.processes.tolist())
    fixed = {
        (int(problem.service[p]), m)
        for m in part.machines.tolist()
        for p in state.member[m, : state.members[m]].tolist()
        if p not in inside
    }
    bound = np.zeros(problem.services, dtype=np.bool_)
    bound[problem.dependency.ravel()] = True
    for i, p in enumerate(part.processes.tolist()):
        now, s = int(state.machine[p]), int(problem.service[p])
        choices = []
        for j, m in enumerate(part.machines.tolist()):
            if (s, m) in fixed or (bound[s] and problem.neighbourhood[m] != problem.neighbourhood[now]):
                continue
            literal = x[i, j] = model.new_bool_var("")
            choices.append(literal)
            together.setdefault((s, j), []).append(literal)
        model.add_exactly_one(choices)
    for literals in together.values():
        if len(literals) > 1:
            model.add_at_most_one(literals)
    return x


def _fits(model: Any, tables: Tables, state: State, part: Part, x: dict[tuple[int, int], Any]) -> None:
    """No machine holds more than its capacity; of what is used twice, what was there first stays anyway."""
    room = state.room[part.machines].copy()
    at = {int(m): j for j, m in enumerate(part.machines)}
    rows: dict[tuple[int, int], tuple[list[Any], list[int]]] = {}
    for p in part.processes.tolist():
        now, home = int(state.machine[p]), int(tables.home[p])
        back = (tables.transient == 0) | (now != home)
        room[at[now]] += np.where(back, tables.requirement[p], 0)
    for (i, j), literal in x.items():
        p, m = int(part.processes[i]), int(part.machines[j])
        for r, need in enumerate(tables.requirement[p].tolist()):
            if need and (tables.transient[r] == 0 or m != tables.home[p]):
                literals, needs = rows.setdefault((j, r), ([], []))
                literals.append(literal)
                needs.append(need)
    for (j, r), (literals, needs) in rows.items():
        if sum(needs) > room[j, r]:
            model.add(cp_model.LinearExpr.weighted_sum(literals, needs) <= int(room[j, r]))


def _spreads(
    model: Any, problem: Reassignment, state: State, part: Part, x: dict[tuple[int, int], Any]
) -> None:
    """Services stay in as many locations as they must be in."""
    by_service: dict[int, list[int]] = {}
    for i, p in enumerate(part.processes.tolist()):
        if problem.spread[problem.service[p]] > 1:
            by_service.setdefault(int(problem.service[p]), []).append(i)
    places = np.unique(problem.location, return_inverse=True)[1]
    for s, members in by_service.items():
        fixed = state.at_location[s].copy()
        for i in members:
            fixed[places[state.machine[part.processes[i]]]] -= 1
        there: dict[int, list[Any]] = {}
        for i in members:
            for j, m in enumerate(part.machines.tolist()):
                if (i, j) in x and fixed[places[m]] == 0:
                    there.setdefault(int(places[m]), []).append(x[i, j])
        missing = int(problem.spread[s]) - int((fixed > 0).sum())
        if missing > 0:
            used = []
            for literals in there.values():
                one = model.new_bool_var("")
                model.add_bool_or(literals).only_enforce_if(one)
                used.append(one)
            model.add(sum(used) >= missing)


def _load(
    model: Any, problem: Reassignment, state: State, part: Part,
    x: dict[tuple[int, int], Any], cost: list[tuple[Any, int]],
) -> None:  # fmt: skip
    """Use above the safety capacity, and free amounts out of proportion, as variables that are no less."""
    used = problem.capacity[part.machines] - state.free[part.machines, : problem.capacity.shape[1]]
    at = {int(m): j for j, m in enumerate(part.machines)}
    for p in part.processes.tolist():
        used[at[int(state.machine[p])]] -= problem.requirement[p]
    columns: list[list[int]] = [[] for _ in part.machines]
    for i, j in x:
        columns[j].append(i)
    for j, members in enumerate(columns):
        literals = [x[i, j] for i in members]
        needs = problem.requirement[part.processes[members]]
        m = int(part.machines[j])
        for r, weight in enumerate(problem.load_weight.tolist()):
            most = int(used[j, r] + needs[:, r].sum() - problem.safety[m, r])
            if weight == 0 or most <= 0:
                continue
            over = model.new_int_var(0, most, "")
            more = cp_model.LinearExpr.weighted_sum(literals, needs[:, r].tolist())
            model.add(over >= more + int(used[j, r] - problem.safety[m, r]))
            cost.append((over, weight))
        for one, other, target, weight in problem.balance.tolist():
            fixed = target * int(problem.capacity[m, one] - used[j, one])
            fixed -= int(problem.capacity[m, other] - used[j, other])
            change = needs[:, other] - target * needs[:, one]
            most = fixed + int(np.maximum(0, change).sum())
            if weight == 0 or most <= 0:
                continue
            lack = model.new_int_var(0, most, "")
            model.add(lack >= cp_model.LinearExpr.weighted_sum(literals, change.tolist()) + fixed)
            cost.append((lack, weight))

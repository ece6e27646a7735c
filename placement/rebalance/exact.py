"""Parts of an estate solved by CP-SAT: all of a part's processes may change places among its machines.

Every rule and every cost is a row of the model, so that a part of everything tells what costs least at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from placement.arrays import Int64
from placement.rebalance.parts import Part
from placement.rebalance.paying import Row, moving, rows
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import State, Tables

SECONDS = 0.1
"""Deterministic, for one part."""
_LEAST_S = 0.02
"""What a part counts at least: presolve takes no deterministic time, and loops must end."""
_EASE = 0.2
"""A part that took no more than such a part of its time was easy."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Where the processes of a part should be; as they are where nothing cheaper was found."""

    machine: Int64
    took: float
    """Deterministic seconds."""
    proven: bool
    """Nothing is cheaper."""
    easy: bool
    """That took little of the time."""
    bound: int
    """Nothing costs less that differs in this part alone."""


def improve(
    problem: Reassignment, tables: Tables, state: State, part: Part, left_s: float, seconds: float = SECONDS
) -> Answer:
    """The machines of a part's processes, cheaper than now, after up to so many seconds as a clock tells them and deterministic ones."""
    now = state.machine[part.processes]
    free = state.free[part.machines, : problem.capacity.shape[1]].copy()
    np.add.at(free, _places(part, now), problem.requirement[part.processes])
    paid = rows(problem, part.machines, part.processes, free)
    least = sum(row.least for row in paid)
    moves = moving(problem, part.processes[:, None], part.machines)
    before = int(state.cost[part.machines].sum()) + int(state.totals[2]) * int(tables.service_move[0])
    before += int(moves[np.arange(len(now)), _places(part, now)].sum())
    spare = before - 1 - least
    objective = int(state.totals[1])
    if spare < 0:
        return Answer(now, _LEAST_S, proven=True, easy=True, bound=objective)
    model = _Model(problem, tables, state, part, moves <= spare)
    for row in paid:
        model.pays(row, spare)
    model.pays_for_moves(moves, spare)
    model.fits()
    model.stays_apart()
    model.spreads()
    model.keeps_dependencies()
    solver, status = model.solved(spare, left_s, seconds)
    none = status == cp_model.INFEASIBLE
    more = spare + 1 if none else max(0, int(solver.best_objective_bound + 1e-6))
    took = max(_LEAST_S, float(solver.response_proto.deterministic_time))
    proven = none or status == cp_model.OPTIMAL
    return Answer(
        machine=model.answer(solver) if status in {cp_model.OPTIMAL, cp_model.FEASIBLE} else now,
        took=took,
        proven=proven,
        easy=proven and took <= _EASE * seconds,
        bound=objective - before + least + more,
    )


def _places(part: Part, machine: Int64) -> Int64:
    """Where machines of the part are in its list."""
    there: Int64 = np.argmax(part.machines == machine[:, None], axis=1)
    return there


class _Model:
    """One part for CP-SAT; `x` has the literals of processes on machines, by their places in the part."""

    def __init__(
        self, problem: Reassignment, tables: Tables, state: State, part: Part, may: npt.NDArray[np.bool_]
    ) -> None:
        self.problem, self.tables, self.state, self.part = problem, tables, state, part
        self.model = cp_model.CpModel()
        self.costs: list[tuple[Any, int]] = []
        self.now, self.home = state.machine[part.processes], problem.initial[part.processes]
        self.service = problem.service[part.processes]
        self.location = tables.location[part.machines]
        self.neighbourhood = tables.neighbourhood[part.machines]
        self.x: dict[tuple[int, int], Any] = {}
        self.columns: list[list[int]] = [[] for _ in part.machines]
        self.by_service: dict[int, list[int]] = {}
        for i, s in enumerate(self.service.tolist()):
            self.by_service.setdefault(s, []).append(i)
        for i, j in np.argwhere(may).tolist():
            self.x[i, j] = literal = self.model.new_bool_var("")
            self.columns[j].append(i)
            self.model.add_hint(literal, bool(part.machines[j] == self.now[i]))
        for i in range(len(part.processes)):
            self.model.add_exactly_one(self._choices(i, range(len(part.machines))))

    def _choices(self, i: int, machines: Iterable[int]) -> list[Any]:
        return [self.x[i, j] for j in machines if (i, j) in self.x]

    def pays(self, row: Row, spare: int) -> None:
        """What machines pay by a row, above what they pay at least.

        Where all of them together are above 0, what some are below it counts instead: the sum of both is the same,
        and the latter may be no more than what is left to lose, which leaves few ways to search.
        """
        sign = row.sign
        for j, members in enumerate(self.columns):
            changes = sign * row.change[members]
            begin = sign * int(row.fixed[j])
            most = begin + int(np.maximum(0, changes).sum())
            if most > 0:
                pays = self.model.new_int_var(0, min(most, spare // row.weight), "")
                literals = [self.x[i, j] for i in members]
                self.model.add(pays >= cp_model.LinearExpr.weighted_sum(literals, changes.tolist()) + begin)
                self.costs.append((pays, row.weight))

    def pays_for_moves(self, moves: Int64, spare: int) -> None:
        """Each move, and the most moves of a service."""
        self.costs += [(literal, int(moves[at])) for at, literal in self.x.items() if moves[at]]
        weight = int(self.tables.service_move[0])
        if not weight:
            return
        most = self.model.new_int_var(0, min(len(self.problem.initial), spare // weight), "")
        self.costs.append((most, weight))
        inside = np.zeros(len(self.tables.spread), dtype=np.int64)
        np.add.at(inside, self.service[self.now != self.home], 1)
        fixed = self.state.moved - inside
        self.model.add(most >= int(fixed.max()))
        at_home = self.part.machines == self.home[:, None]
        for s, members in self.by_service.items():
            homes = [self.x[i, j] for i in members for j in np.flatnonzero(at_home[i]).tolist()]
            self.model.add(most >= int(fixed[s]) + len(members) - sum(homes))

    def fits(self) -> None:
        """No machine holds more than its capacity; of what is used twice, what was there first stays anyway."""
        transient = self.tables.transient > 0
        needs = self.tables.requirement[self.part.processes]
        room = self.state.room[self.part.machines].copy()
        back = ~transient | (self.now != self.home)[:, None]
        np.add.at(room, _places(self.part, self.now), np.where(back, needs, 0))
        for j, members in enumerate(self.columns):
            stays = self.home[members] == self.part.machines[j]
            for r in range(needs.shape[1]):
                takes = np.where(stays & transient[r], 0, needs[members, r])
                if takes.sum() > room[j, r]:
                    literals = [self.x[i, j] for i in members]
                    self.model.add(
                        cp_model.LinearExpr.weighted_sum(literals, takes.tolist()) <= int(room[j, r])
                    )

    def stays_apart(self) -> None:
        """No two processes of a service on the same machine."""
        for s, members in self.by_service.items():
            row = int(self.tables.row[s])
            if row < 0:
                continue
            for j, m in enumerate(self.part.machines.tolist()):
                inside = int((self.now[members] == m).sum())
                literals = [self.x[i, j] for i in members if (i, j) in self.x]
                if self.state.here[row, m] > inside:
                    self.model.add_bool_and([~one for one in literals])
                elif len(literals) > 1:
                    self.model.add_at_most_one(literals)

    def spreads(self) -> None:
        """Services stay in as many locations as they must be in."""
        for s, members in self.by_service.items():
            if self.tables.spread[s] <= 1:
                continue
            fixed = self.state.at_location[s].copy()
            np.subtract.at(fixed, self.tables.location[self.now[members]], 1)
            missing = int(self.tables.spread[s]) - int((fixed > 0).sum())
            if missing > 0:
                new = [n for n in np.unique(self.location).tolist() if fixed[n] == 0]
                self.model.add(sum(self._some(members, self.location == n) for n in new) >= missing)

    def keeps_dependencies(self) -> None:
        """Wherever a service is, those that it needs are in the same neighbourhood."""
        neighbourhoods = np.unique(self.neighbourhood).tolist()
        if len(neighbourhoods) == 1:
            return  # Everything stays in it.
        fixed = {}
        for s, members in self.by_service.items():
            fixed[s] = self.state.at_neighbourhood[s].copy()
            np.subtract.at(fixed[s], self.tables.neighbourhood[self.now[members]], 1)
        pairs = self.problem.dependency
        for s, needed in pairs[np.isin(pairs, list(fixed)).any(axis=1)].tolist():
            for n in neighbourhoods:
                if (fixed[needed] if needed in fixed else self.state.at_neighbourhood[needed])[n] == 0:
                    some = self._some(self.by_service.get(needed, ()), self.neighbourhood == n)
                    if (fixed[s] if s in fixed else self.state.at_neighbourhood[s])[n]:
                        self.model.add_bool_or([some])
                    for i in self.by_service.get(s, ()):
                        for literal in self._choices(i, np.flatnonzero(self.neighbourhood == n).tolist()):
                            self.model.add_implication(literal, some)

    def _some(self, members: Sequence[int], machines: npt.NDArray[np.bool_]) -> Any:
        """A literal that holds only where some of the processes are on some of the machines."""
        one = self.model.new_bool_var("")
        there = np.flatnonzero(machines).tolist()
        self.model.add_bool_or([~one, *(x for i in members for x in self._choices(i, there))])
        return one

    def solved(self, spare: int, left_s: float, seconds: float) -> tuple[cp_model.CpSolver, Any]:
        """What costs least of all that costs up to so much more than it must."""
        costs = [one for one, _ in self.costs], [weight for _, weight in self.costs]
        total = cp_model.LinearExpr.weighted_sum(*costs)
        self.model.add(total <= spare)
        self.model.minimize(total)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
        solver.parameters.random_seed = self.part.seed
        solver.parameters.max_deterministic_time = seconds
        solver.parameters.max_time_in_seconds = left_s
        solver.parameters.max_presolve_iterations = 1  # What follows pays only for larger parts.
        solver.parameters.cp_model_probing_level = solver.parameters.symmetry_level = 0
        return solver, solver.solve(self.model)

    def answer(self, solver: cp_model.CpSolver) -> Int64:
        """The machines of the part's processes."""
        there = self.now.copy()
        for (i, j), literal in self.x.items():
            if solver.boolean_value(literal):
                there[i] = self.part.machines[j]
        return there

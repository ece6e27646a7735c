"""The best plan so far: values of all columns, what every stage comes to, and what is proven of each."""

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.classes import spread
from placement.large.part import Columns, Part, State, part_of
from placement.matrix import Expression, Matrix
from placement.model import Model
from placement.outcome import NOTHING_PROVEN, Listener, Outcome, Progress, Proven
from placement.problem import PlacementProblem
from placement.relaxation import dense
from placement.seats import Seats
from placement.solve import dealt
from placement.solvers import exact
from placement.stages import Stage, level_stages, priorities, unplaced_stages
from placement.verify import broken

_COMPLETING = 0.1
"""The part of what is left that may go into what follows from who sits where."""
_COUNTING_S = 2.0
"""Seconds for that at least."""

_ANYTHING = Stage("any", Expression(np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)))


class Incumbent:
    """Takes plans that are better, and only those that keep every constraint."""

    def __init__(self, model: Model, budget: Budget, tell: Listener | None) -> None:
        self.model, self.budget, self._tell = model, budget, tell
        self.matrix: Matrix = model.matrix()
        self.by_column = Columns.of(self.matrix)
        self.stages: tuple[Stage, ...] = (*unplaced_stages(model), *level_stages(model, self.matrix))
        self.costs = [dense(len(self.matrix.lower), stage.expression) for stage in self.stages]
        self.bounds = [_at_first(stage) for stage in self.stages]
        self.state: State | None = None
        self.values: tuple[int, ...] = ()
        self.solver = "search"
        self._safe: Int64 | None = None
        self._others = np.setdiff1d(
            np.arange(self.cells, len(self.matrix.lower)),
            np.concatenate([np.empty(0, dtype=np.int64), *(c[c >= 0] for c in model.choices.values())]),
        )

    @property
    def problem(self) -> PlacementProblem:
        """What is to be placed."""
        return self.model.problem

    @property
    def cells(self) -> int:
        """How many of the columns are cells."""
        g, v = self.model.shape
        return g * v

    @property
    def counts(self) -> Int64:
        """[G, V] read-only."""
        assert self.state is not None, "there is no plan yet"
        return self.state.values[: self.cells].reshape(self.model.shape)

    @property
    def done(self) -> bool:
        """Whether every stage is proven least, the moves after it too."""
        return bool(self.values) and all(v <= b for v, b in zip(self.values, self.bounds, strict=True))

    def offer(self, seats: Seats, solver: str) -> bool:
        """Take seats if they are better. What breaks a constraint is refused, whoever made it."""
        state = self._holding(seats)
        if state is None:
            return False
        values = self._values_of(state.values)
        if self.values and values >= self.values:
            return False
        self.state, self._safe = state, state.values.copy()
        self._became(values, solver)
        return True

    def begin(self, values: Int64, solver: str) -> bool:
        """Take values of all columns as the first plan, if they keep every constraint."""
        if broken(self.problem, self._seats_of(values)):
            return False
        self.state, self._safe = State.of(self.matrix, self.by_column, values), values.copy()
        self._became(self._values_of(values), solver)
        return True

    def holds(self, seats: Seats) -> bool:
        """Whether seats keep every constraint, with what else has to be chosen for them."""
        return self._holding(seats) is not None

    def _holding(self, seats: Seats) -> State | None:
        state = self._completed(seats)
        return None if state is None or broken(self.problem, self._seats_of(state.values)) else state

    def take(self, part: Part, values: Int64, solver: str) -> bool:
        """Give a part other values if no stage gets worse before one gets better; whether any became better."""
        assert self.state is not None, "there is no plan yet"
        change = values - self.state.values[part.columns]
        new = tuple(
            old + int(costs[part.columns] @ change)
            for old, costs in zip(self.values, self.costs, strict=True)
        )
        if new > self.values or not change.any():
            return False
        self.state.take(part.columns, values)
        better = new < self.values
        if better:
            self._became(new, solver)
        return better

    def check(self) -> bool:
        """Look at the parts taken since the last time; where a constraint is broken, go back to before them."""
        assert self.state is not None, "there is no plan yet"
        fine = not len(self.matrix.broken(self.state.values)) and not broken(self.problem, self.seats())
        if fine:
            self._safe = self.state.values.copy()
        elif self._safe is not None:
            self.state = State.of(self.matrix, self.by_column, self._safe.copy())
            self.values = self._values_of(self._safe)
        return fine

    def prove(self, stage: int, bound: int) -> None:
        """No plan that is as good in the stages before makes this one less."""
        if bound > self.bounds[stage]:
            self.bounds[stage] = min(bound, self.values[stage])
            self._report(stage)

    def seats(self) -> Seats:
        """The plan by requests."""
        assert self.state is not None, "there is no plan yet"
        return self._seats_of(self.state.values)

    def _seats_of(self, values: Int64) -> Seats:
        provider_of = spread(
            self.problem, self.model.classes, values[: self.cells].reshape(self.model.shape)
        )
        chosen = self.model.chosen(values)
        return Seats(provider_of, {n: dealt(self.model.classes, provider_of, c) for n, c in chosen.items()})

    def outcome(self) -> Outcome:
        """What to hand back."""
        assert self.state is not None, "there is no plan yet"
        first = len(priorities(self.model))
        found = [Proven(v, min(v, b)) for v, b in zip(self.values, self.bounds, strict=True)]
        return Outcome(
            counts=self.counts.copy(),
            unplaced=tuple(found[:first]),
            levels=tuple(found[first:]),
            solver=self.solver,
            choices=self.model.chosen(self.state.values),
        )

    def _values_of(self, values: Int64) -> tuple[int, ...]:
        return tuple(stage.value(values) for stage in self.stages)

    def _became(self, values: tuple[int, ...], solver: str) -> None:
        before, self.values, self.solver = self.values, values, solver
        for n in range(len(values)):
            if before and values[n] != before[n]:
                # What was proven of later stages was for plans as good as the old one in this.
                self.bounds[n + 1 :] = [_at_first(stage) for stage in self.stages[n + 1 :]]
                break
        self._report(self._open())

    def _open(self) -> int:
        """The first stage that is not proven."""
        pairs = zip(self.values, self.bounds, strict=True)
        return next((n for n, (v, b) in enumerate(pairs) if v > b), len(self.values) - 1)

    def _report(self, stage: int) -> None:
        if self._tell:
            self._tell(
                Progress(self.solver, self.stages[stage].name, self.values[stage], self.bounds[stage])
            )

    def _completed(self, seats: Seats) -> State | None:
        """Values of all columns for who sits where; None where the matrix has none, or they were not found in time."""
        values = self.matrix.lower.copy()
        seated = np.flatnonzero(seats.provider_of >= 0)
        g, v = self.model.classes.of[seated], seats.provider_of[seated]
        np.add.at(values, g * self.model.shape[1] + v, 1)
        free = [self._others]
        for name, columns in self.model.choices.items():
            choice = seats.choice(name)
            if choice is None:
                free.append(np.unique(columns[columns >= 0]))
                continue
            some = (choice[seated] >= 0) & (columns[g, v] >= 0).any(axis=1)  # Others are asked for none.
            at = columns[g[some], v[some], choice[seated][some]]
            if (at < 0).any():
                return None
            np.add.at(values, at, 1)
        state = State.of(self.matrix, self.by_column, values)
        return self._filled(state, np.sort(np.concatenate(free)))

    def _filled(self, state: State, free: Int64) -> State | None:
        part = part_of(state, free)
        if (part.matrix.lower > part.matrix.upper).any():
            return None
        stages = [
            part.stage(stage.name, costs) for stage, costs in zip(self.stages, self.costs, strict=True)
        ]
        stages = [stage for stage in stages if len(stage.expression.column)]
        if len(free):
            values = _least(part.matrix, stages, self.budget)
            if values is None:
                return None
            state.take(free, values)
        return None if len(self.matrix.broken(state.values)) else state


def _least(matrix: Matrix, stages: list[Stage], budget: Budget) -> Int64 | None:
    """Columns that no row ties together are at their better bound; CP-SAT is asked for the others."""
    if not len(matrix.row_lower):
        values = matrix.lower.copy()
        for stage in reversed(stages):
            values[stage.expression.column] = np.where(
                stage.expression.coefficient < 0,
                matrix.upper[stage.expression.column],
                matrix.lower[stage.expression.column],
            )
        return values
    # A plan that is found must be counted, even where finding it took all the time.
    own = Budget(
        budget.seed,
        max(0.5, budget.deterministic_time * _COMPLETING),
        max(_COUNTING_S, budget.time_limit_s),
    )
    before = own.deterministic_time, own.time_limit_s
    try:
        found = exact.solve(matrix, stages or [_ANYTHING], own).values
    except (exact.Infeasible, exact.OutOfTime):
        found = None
    budget.spend(before[0] - own.deterministic_time, before[1] - own.time_limit_s)
    return found


def _at_first(stage: Stage) -> int:
    """Nobody is placed more often than they are there; of other stages nothing is known."""
    if stage.name == "unplaced":
        return 0
    return stage.constant if not len(stage.expression.column) else NOTHING_PROVEN

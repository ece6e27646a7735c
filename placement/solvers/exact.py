"""CP-SAT over the whole matrix, stage by stage: the exact way, for problems that are small enough.

One worker, a fixed seed and limits in deterministic time: the same problem gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.outcome import NOTHING_PROVEN, Listener, Progress, Proven
from placement.stages import Stage

_OPEN = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Answer:
    """Values [N] of all columns, and each stage's proof."""

    values: Int64
    proven: tuple[Proven, ...]


class CpSat:
    """A matrix in CP-SAT, to be asked for one stage after the other."""

    def __init__(self, matrix: Matrix, budget: Budget, tell: Listener | None = None) -> None:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - takes seconds; many plans need no solver

        self._cp: Any = cp_model
        self._model: Any = cp_model.CpModel()
        self._proto: Any = self._model.proto
        self._budget, self._tell = budget, tell
        self.values: Int64 | None = None
        self._columns = len(matrix.lower)
        for low, high in zip(matrix.lower.tolist(), matrix.upper.tolist(), strict=True):
            self._proto.variables.add().domain.extend([low, high])
        bounds = zip(matrix.row_lower.tolist(), matrix.row_upper.tolist(), strict=True)
        columns = matrix.column.astype(np.int32)
        for m, (low, high) in enumerate(bounds):
            entries = slice(int(matrix.start[m]), int(matrix.start[m + 1]))
            self._row(columns[entries], matrix.coefficient[entries], low, high)

    def hint(self, values: Int64) -> None:
        """Begin from these values of all columns."""
        self._proto.clear_solution_hint()
        self._proto.solution_hint.vars.extend(np.arange(self._columns, dtype=np.int32))
        self._proto.solution_hint.values.extend(values)

    def least(self, stage: Stage, share: float) -> Proven | None:
        """Make one stage least, and keep it so from now on; None where there was no answer within the limits."""
        self._proto.clear_objective()
        self._proto.objective.vars.extend(stage.expression.column.astype(np.int32))
        self._proto.objective.coeffs.extend(stage.expression.coefficient)
        answer, bound = self._solve(stage, share)
        if answer is None:
            return None
        self.values = answer
        value = stage.value(answer)
        self._row(
            stage.expression.column.astype(np.int32),
            stage.expression.coefficient,
            -_OPEN - 1,
            value - stage.constant,
        )
        self.hint(answer)
        return Proven(value, min(value, bound))

    def _solve(self, stage: Stage, share: float) -> tuple[Int64 | None, int]:
        solver = self._cp.CpSolver()
        solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
        solver.parameters.random_seed = self._budget.seed
        solver.parameters.max_deterministic_time = max(self._budget.deterministic_time * share, 1e-6)
        solver.parameters.max_time_in_seconds = max(self._budget.time_limit_s * share, 0.01)
        callback = _told(self._cp, self._tell, stage) if self._tell else None
        status = solver.solve(self._model, callback)
        self._budget.spend(solver.deterministic_time, solver.wall_time)
        if status == self._cp.UNKNOWN:
            return None, NOTHING_PROVEN
        if status == self._cp.INFEASIBLE:
            raise Infeasible
        assert status in {self._cp.OPTIMAL, self._cp.FEASIBLE}, (
            f"{stage.name}: {solver.status_name(status)}: {self._model.validate()}"
        )
        values = np.array(list(solver.response_proto.solution), dtype=np.int64)
        # The integer bound: best_objective_bound is a float and loses the last digits of large sums.
        return values, int(solver.response_proto.inner_objective_lower_bound) + stage.constant

    def _row(self, columns: Any, coefficients: Int64, low: int, high: int) -> None:
        linear = self._proto.constraints.add().linear
        linear.vars.extend(columns)
        linear.coeffs.extend(coefficients)
        linear.domain.extend([low if low > -NO_LIMIT else -_OPEN - 1, high if high < NO_LIMIT else _OPEN])


class OutOfTime(Exception):
    """The limits were over before anything was found that keeps every row; more of them may find something."""


class Infeasible(Exception):
    """No values keep every row: only where something must be placed, since leaving all out keeps the others."""


def solve(
    matrix: Matrix,
    stages: Sequence[Stage],
    budget: Budget,
    tell: Listener | None = None,
    hint: Int64 | None = None,
) -> Answer:
    """Every stage least, in order; nothing placed where that is all that the limits allow. Raises Infeasible and OutOfTime."""
    model = CpSat(matrix, budget, tell)
    if hint is not None:
        model.hint(hint)
    proven: list[Proven] = []
    for n, stage in enumerate(stages):
        if len(stage.expression.column) == 0:
            proven.append(Proven(stage.constant, stage.constant))
            continue
        found = None if budget.spent else model.least(stage, 1.0 if n == len(stages) - 1 else 0.6)
        if found is None:
            break
        proven.append(found)
    values = hint if model.values is None else model.values
    if values is None:
        nothing = np.maximum(matrix.lower, 0)
        if len(matrix.broken(nothing)):
            raise OutOfTime
        values = nothing
    rest = stages[len(proven) :]
    return Answer(values, (*proven, *(Proven(stage.value(values), NOTHING_PROVEN) for stage in rest)))


def feasible(matrix: Matrix, nothing: Expression, budget: Budget) -> bool:
    """Whether values that keep every row were found within the limits. Raises Infeasible where there are none."""
    return CpSat(matrix, budget).least(Stage("feasible", nothing), 1.0) is not None


def _told(cp: Any, tell: Listener, stage: Stage) -> Any:
    def on_solution(self: Any) -> None:
        value, bound = round(self.ObjectiveValue()), round(self.BestObjectiveBound())
        tell(Progress("cp-sat", stage.name, value + stage.constant, bound + stage.constant))

    # Made here, since its base is only known once ortools is loaded.
    return type("_Told", (cp.CpSolverSolutionCallback,), {"on_solution_callback": on_solution})()

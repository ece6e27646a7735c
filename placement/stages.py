"""What is made least, in order: who stays out, priority by priority, then the objective's levels."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64
from placement.matrix import Expression, Matrix
from placement.model import Model
from placement.problem import InvalidProblem

_LARGEST = 2.0**62


@dataclass(frozen=True, eq=False)
class Stage:
    """An expression over the columns of a model's matrix; its value is `constant` more."""

    name: str
    expression: Expression
    constant: int = 0

    def value(self, values: Int64) -> int:
        """What it is for these values of all columns."""
        return self.expression.of(values) + self.constant


def priorities(model: Model) -> tuple[int, ...]:
    """The priorities that there are, the highest first."""
    return tuple(sorted({int(p) for p in model.classes.priority}, reverse=True)) or (0,)


def unplaced_stages(model: Model) -> tuple[Stage, ...]:
    """How many requests of each priority have no provider."""
    cells, classes = model.cells(), model.classes
    stages = []
    for priority in priorities(model):
        columns = cells[classes.priority == priority].reshape(-1)
        count = int(classes.count[classes.priority == priority].sum())
        stages.append(
            Stage("unplaced", Expression(columns, np.full(len(columns), -1, dtype=np.int64)), count)
        )
    return tuple(stages)


def level_stages(model: Model, matrix: Matrix) -> tuple[Stage, ...]:
    """The objective's levels. Raises InvalidProblem where a level's sum does not fit into 62 bits."""
    terms = matrix.terms
    stages = []
    for n, weights in enumerate(model.problem.objective):
        parts = [(terms[name], weight) for name, weight in weights.items() if name in terms and weight]
        columns = np.concatenate([np.empty(0, dtype=np.int64), *(part.column for part, _ in parts)])
        worst = sum(
            weight * float((np.abs(part.coefficient).astype(np.float64) * matrix.upper[part.column]).sum())
            for part, weight in parts
        )
        if worst >= _LARGEST:
            msg = f"objective[{n}]: its terms may come to {worst:.3g}, which does not fit into 62 bits"
            raise InvalidProblem(msg)
        factors = np.concatenate(
            [np.empty(0, dtype=np.int64), *(part.coefficient * w for part, w in parts)]
        )
        running = 0 if model.problem.current is None else int((model.problem.current >= 0).sum())
        constant = running * weights.get("moves", 0)
        stages.append(Stage(f"level {n + 1}", _summed(columns, factors), constant))
    return tuple(stages)


def _summed(columns: Int64, coefficients: Int64) -> Expression:
    distinct, at = np.unique(columns, return_inverse=True)
    total = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(total, at.reshape(-1), coefficients)
    return Expression(distinct, total)

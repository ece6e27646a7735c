"""The model as a linear program that is solved again and again: with columns held, and with rows that parts break."""

from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.matrix import Expression
from placement.planning.mip import Answer, Core, Effort, Float64, proto_of, simplex
from placement.planning.model import Model

_BROKEN = 1e-3
_ROWS_AT_ONCE = 4000


class Linear:
    """GLOP, each time from its last basis."""

    def __init__(self, model: Model, objective: Expression, seed: int = 0) -> None:
        proto, self._unit, self._row_unit = proto_of(model.matrix, objective, None, {})
        self._core = Core(proto, "GLOP")
        self._lower, self._upper = model.matrix.lower.copy(), model.matrix.upper.copy()
        self._most = model.matrix.upper
        self._known: tuple[Int64, Int64] = (self._lower.copy(), self._upper.copy())
        """What the solver was told of columns."""
        self._costs: dict[int, float] = {}
        """What columns cost from now on, where the solver does not know yet."""
        self._later = [(later, np.zeros(len(later.cells), dtype=np.bool_)) for later in model.later]
        self._seed = seed
        self._rows, self._told_rows = len(model.matrix.row_lower), 0
        self.added: list[tuple[int, Int64]] = []
        """Rows that were added: the cell, and what it must not be without."""
        self._counts: list[float] = []
        self.values: Float64 = np.empty(0)
        self.prices: Float64 = np.empty(0)
        """Of the matrix's rows."""
        self.added_prices: Float64 = np.empty(0)
        self.objective = 0.0

    def hold(self, column: int, low: int, high: int) -> None:
        """What a column may be from now on."""
        self._lower[column], self._upper[column] = low, high

    def bounds(self, column: int) -> tuple[int, int]:
        """What a column may be now."""
        return int(self._lower[column]), int(self._upper[column])

    def free(self, column: int) -> None:
        """As it was in the beginning."""
        self.hold(column, 0, int(self._most[column]))

    def price(self, columns: Int64, micros: float) -> None:
        """What each of these columns costs from now on, and that it may be anything again."""
        for column in columns.tolist():
            self.free(column)
        self.cost(columns, micros)

    def cost(self, columns: Int64, micros: float) -> None:
        """What each of these columns costs from now on."""
        self._costs.update(dict.fromkeys(columns.tolist(), micros / self._unit))

    def solve(self, seconds: float) -> bool:
        """Whether there is an answer within the limits. Raises Infeasible."""
        self._tell()
        answer = self._answer(seconds, again=True) if len(self.values) else None
        if answer is None:  # From scratch is slower, and the more precise.
            answer = self._answer(seconds, again=False)
        if answer is None or answer.prices is None:
            return False
        self.values = answer.values
        self.prices = answer.prices[: self._rows] / self._row_unit * self._unit
        self.added_prices = answer.prices[self._rows :] * self._unit
        self.objective = answer.objective * self._unit
        return True

    def _answer(self, seconds: float, *, again: bool) -> Answer | None:
        result = self._core.solve(simplex(Effort(seconds, seed=self._seed), again=again))
        found = Answer.of(result, len(self._lower), self._rows + len(self.added))
        return found if found is not None and found.done and found.prices is not None else None

    def _tell(self) -> None:
        """What has changed since the last time."""
        from ortools.math_opt import model_update_pb2  # noqa: PLC0415 - takes long; many plans need no solver

        change = model_update_pb2.ModelUpdateProto()
        now, columns = (self._lower, self._upper), change.variable_updates
        for vector, old, new in zip(
            (columns.lower_bounds, columns.upper_bounds), self._known, now, strict=True
        ):
            other = np.flatnonzero(old != new)
            vector.ids.extend(other)
            vector.values.extend(new[other].astype(np.float64))
        costs = sorted(self._costs.items())
        change.objective_updates.linear_coefficients.ids.extend([column for column, _ in costs])
        change.objective_updates.linear_coefficients.values.extend([cost for _, cost in costs])
        self._tell_rows(change)
        if not self._core.update(change):
            msg = "GLOP could not change its linear program, which it is known to be able to"
            raise AssertionError(msg)
        self._known, self._costs, self._told_rows = (
            (self._lower.copy(), self._upper.copy()),
            {},
            len(self.added),
        )

    def _tell_rows(self, change: Any) -> None:
        for n in range(self._told_rows, len(self.added)):
            (cell, on), row = self.added[n], self._rows + n
            change.new_linear_constraints.ids.append(row)
            change.new_linear_constraints.lower_bounds.append(-np.inf)
            change.new_linear_constraints.upper_bounds.append(0.0)
            change.new_linear_constraints.names.append("")
            entries = sorted([(cell, 1.0 / self._counts[n]), *((column, -1.0) for column in on.tolist())])
            matrix = change.linear_constraint_matrix_updates
            matrix.row_ids.extend([row] * len(entries))
            matrix.column_ids.extend([column for column, _ in entries])
            matrix.coefficients.extend([factor for _, factor in entries])

    def at(self, prices: Float64, added: Float64) -> "Linear":
        """With prices of before, of these rows and of the first of those that were added."""
        self.prices, self.added_prices = prices, added
        return self

    def tighten(self) -> int:
        """Add the rows that the last answer breaks most; how many."""
        broken = []
        for n, (later, added) in enumerate(self._later):
            over = self.values[later.cells] / later.count - self.values[later.on].sum(axis=1)
            over[added] = 0
            broken += [(float(over[i]), n, int(i)) for i in np.flatnonzero(over > _BROKEN).tolist()]
        broken.sort(key=lambda one: (-one[0], one[1], one[2]))
        for _, n, i in broken[:_ROWS_AT_ONCE]:
            later, added = self._later[n]
            added[i] = True
            self.added.append((int(later.cells[i]), later.on[i]))
            self._counts.append(float(later.count[i]))
        return min(len(broken), _ROWS_AT_ONCE)

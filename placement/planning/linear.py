"""The model as a linear program that is solved again and again: with columns held, and with rows that parts break."""

from datetime import timedelta
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.matrix import Expression
from placement.planning.columns import Later
from placement.planning.mip import Float64, Infeasible, proto_of
from placement.planning.model import Model

_BROKEN = 1e-3
_ROWS_AT_ONCE = 4000


class Linear:
    """GLOP, each time from its last basis."""

    def __init__(self, model: Model, objective: Expression, seed: int = 0) -> None:
        from ortools.math_opt.python import mathopt  # noqa: PLC0415 - takes seconds; many plans need no solver

        self._mathopt: Any = mathopt
        proto, self._unit, self._row_unit = proto_of(model.matrix, objective, None, {})
        self._model: Any = mathopt.Model.from_model_proto(proto)
        self._variables: list[Any] = list(self._model.variables())
        self._solver: Any = mathopt.IncrementalSolver(self._model, mathopt.SolverType.GLOP)
        # Python objects for each number take longer than solving: zeros are left out, and what nobody reads.
        some = mathopt.SparseVectorFilter(skip_zero_values=True)
        self._told: Any = mathopt.ModelSolveParameters(
            variable_values_filter=some,
            dual_values_filter=some,
            reduced_costs_filter=mathopt.SparseVectorFilter(filtered_items=[]),
        )
        self._upper = model.matrix.upper
        self._later = [(later, np.zeros(len(later.cells), dtype=np.bool_)) for later in model.later]
        self._seed = seed
        self._rows: list[Any] = list(self._model.linear_constraints())
        self._more: list[Any] = []
        self.added: list[tuple[int, Int64]] = []
        """Rows that were added: the cell, and what it must not be without."""
        self.values: Float64 = np.empty(0)
        self.prices: Float64 = np.empty(0)
        """Of the matrix's rows."""
        self.added_prices: Float64 = np.empty(0)
        self.objective = 0.0

    def hold(self, column: int, low: int, high: int) -> None:
        """What a column may be from now on."""
        self._variables[column].lower_bound = low
        self._variables[column].upper_bound = high

    def bounds(self, column: int) -> tuple[int, int]:
        """What a column may be now."""
        one = self._variables[column]
        return int(one.lower_bound), int(one.upper_bound)

    def free(self, column: int) -> None:
        """As it was in the beginning."""
        self.hold(column, 0, int(self._upper[column]))

    def price(self, columns: Int64, micros: float) -> None:
        """What each of these columns costs from now on, and that it may be anything again."""
        for column in columns.tolist():
            self.free(column)
        self.cost(columns, micros)

    def cost(self, columns: Int64, micros: float) -> None:
        """What each of these columns costs from now on."""
        for column in columns.tolist():
            self._model.objective.set_linear_coefficient(self._variables[column], micros / self._unit)

    def solve(self, seconds: float) -> bool:
        """Whether there is an answer within the limits. Raises Infeasible."""
        mathopt = self._mathopt
        parameters = mathopt.SolveParameters(
            time_limit=timedelta(seconds=max(seconds, 0.05)),
            random_seed=self._seed,
            lp_algorithm=mathopt.LPAlgorithm.DUAL_SIMPLEX,
        )
        parameters.glop.perturb_costs_in_dual_simplex = True
        result: Any = self._solver.solve(params=parameters, model_params=self._told)
        reason = result.termination.reason
        if reason in {
            mathopt.TerminationReason.INFEASIBLE,
            mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED,
        }:
            raise Infeasible
        if reason != mathopt.TerminationReason.OPTIMAL:
            return False
        self.values = np.zeros(len(self._variables))
        for variable, value in result.variable_values().items():
            self.values[variable.id] = value
        prices = np.zeros(len(self._rows) + len(self._more))
        for row, price in result.dual_values().items():
            prices[row.id] = price
        self.prices = prices[: len(self._rows)] / self._row_unit * self._unit
        self.added_prices = prices[len(self._rows) :] * self._unit
        self.objective = float(result.objective_value()) * self._unit
        return True

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
            self._post(later, i)
        return min(len(broken), _ROWS_AT_ONCE)

    def _post(self, later: Later, i: int) -> None:
        count = float(later.count[i])
        row = self._model.add_linear_constraint(ub=0.0)
        self._more.append(row)
        self.added.append((int(later.cells[i]), later.on[i]))
        row.set_coefficient(self._variables[int(later.cells[i])], 1.0 / count)
        for column in later.on[i].tolist():
            row.set_coefficient(self._variables[column], -1.0)

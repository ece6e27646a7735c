"""CP-SAT over counts: one integer variable for each cell that can be used.

One worker, a fixed seed and limits in deterministic time: the same model gives the same counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.budget import Budget
from placement.packing import Packing
from placement.telling import Found

_NO_LIMIT = np.iinfo(np.int64).max
_EXACT = 2.0**53
"""Bounds that come as floats are told below this, where floats have every integer."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Counts [G, P], and what no solution of the model can be below."""

    counts: Int64
    bound: int


class CpSatPools:
    """A model with the rows of a packing, whose counts are the known answer that it starts from.

    `found` is called with every better answer and every higher bound of what is being made least.
    """

    def __init__(self, begin: Packing, found: Found | None = None) -> None:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - takes seconds; many plans need no solver

        self._cp: Any = cp_model
        self._found = found
        self._objective = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._model: Any = cp_model.CpModel()
        self._proto: Any = self._model.proto
        self._shape = begin.upper.shape
        self._used = np.flatnonzero(begin.upper)
        self._upper = self._of_cells(begin.upper)
        self._hint = self._of_cells(begin.counts).tolist()
        self._every = np.arange(len(self._used), dtype=np.int32)
        for most in self._upper.tolist():
            self._proto.variables.add().domain.extend([0, most])
        self._post_classes(begin.classes.count)
        self._post_rows(begin)

    def place_at_least(self, placed: int) -> None:
        """Place no fewer than this."""
        self._row(self._every, np.ones_like(self._every, dtype=np.int64), placed, _NO_LIMIT)

    def cost_at_most(self, cost: Int64, limit: int) -> None:
        """Spend no more than this; `cost` [G, P]."""
        self._row(self._every, self._of_cells(cost), 0, limit)

    def most(self, budget: Budget, share: float) -> Answer | None:
        """Place the most; the bound is that of its negative."""
        self._minimise(self._every, np.full(len(self._used), -1, dtype=np.int64))
        return self._solve(budget, share)

    def cheapest(self, cost: Int64, least: int, budget: Budget, share: float) -> Answer | None:
        """Pay the least, of which `least` is known to be a lower bound; `cost` [G, P]."""
        self._minimise(self._every, self._of_cells(cost))
        self._proto.objective.domain.extend([least, _NO_LIMIT])
        return self._solve(budget, share)

    def calmest(self, current: Int64, budget: Budget, share: float) -> Answer | None:
        """Leave the most where they run; `current` [G, P] says how many of a cell's run there now."""
        seats = np.flatnonzero(self._of_cells(current))
        most = np.minimum(self._of_cells(current), self._upper)[seats]
        first = len(self._used)
        for n, (seat, top) in enumerate(zip(seats.tolist(), most.tolist(), strict=True)):
            self._proto.variables.add().domain.extend([0, top])
            self._hint.append(min(top, self._hint[seat]))
            pair = np.array([seat, first + n], dtype=np.int32)
            self._row(pair, np.array([1, -1], dtype=np.int64), 0, _NO_LIMIT)
        staying = np.arange(first, first + len(seats), dtype=np.int32)
        self._minimise(staying, np.full(len(seats), -1, dtype=np.int64))
        return self._solve(budget, share)

    def _minimise(self, variables: npt.NDArray[np.int32], coefficients: Int64) -> None:
        self._proto.objective.vars.extend(variables)
        self._proto.objective.coeffs.extend(coefficients)
        self._objective = variables.astype(np.int64), coefficients

    def _solve(self, budget: Budget, share: float) -> Answer | None:
        """The best answer, or None where the limits were over before there was any."""
        self._proto.solution_hint.vars.extend(np.arange(len(self._hint), dtype=np.int32))
        self._proto.solution_hint.values.extend(np.array(self._hint, dtype=np.int64))
        solver = self._cp.CpSolver()
        solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
        solver.parameters.random_seed = budget.seed
        solver.parameters.max_deterministic_time = budget.deterministic_time * share
        solver.parameters.max_time_in_seconds = budget.time_limit_s * share
        status = solver.solve(self._model, self._told(solver))
        budget.spend(solver.deterministic_time, solver.wall_time)
        if status == self._cp.UNKNOWN:
            return None
        if status not in {self._cp.OPTIMAL, self._cp.FEASIBLE}:
            msg = f"a model with a known answer is {solver.status_name(status)}: {self._model.validate()}"
            raise AssertionError(msg)
        return self._answer(solver.response_proto)

    def _told(self, solver: Any) -> Any:
        """The solver's callback of answers, with that of its bounds set; None where nobody listens."""
        found = self._found
        if found is None:
            return None
        at, coefficients = self._objective
        known = [_NO_LIMIT, -_NO_LIMIT]  # The best value and bound so far.

        def on_solution(callback: Any) -> None:
            # Counted anew: the callback's own objective is a float.
            values = np.array(list(callback.response_proto.solution), dtype=np.int64)
            known[0] = int(values[at] @ coefficients)
            found(known[0], known[1])

        def on_bound(bound: float) -> None:
            if abs(bound) < _EXACT:
                known[1] = max(known[1], round(bound))
                found(known[0], known[1])

        solver.best_bound_callback = on_bound
        # Made here, since its base is only known once ortools is loaded.
        base = self._cp.CpSolverSolutionCallback
        return type("_Told", (base,), {"on_solution_callback": on_solution})()

    def _answer(self, response: Any) -> Answer:
        counts = np.zeros(self._shape, dtype=np.int64)
        counts.reshape(-1)[self._used] = list(response.solution)[: len(self._used)]
        # The integer bound: best_objective_bound is a float and loses the last digits of large sums.
        return Answer(counts, int(response.inner_objective_lower_bound))

    def _of_cells(self, values: Int64) -> Int64:
        return values.reshape(-1)[self._used]

    def _post_classes(self, count: Int64) -> None:
        """No more requests of a class than there are."""
        g = self._used // max(self._shape[1], 1)
        starts = np.searchsorted(g, np.arange(len(count) + 1))
        for one, most in enumerate(count.tolist()):
            variables = self._every[starts[one] : starts[one + 1]]
            self._row(variables, np.ones(len(variables), dtype=np.int64), 0, most)

    def _post_rows(self, begin: Packing) -> None:
        rows = begin.rows
        variable = np.full(begin.upper.size, -1, dtype=np.int32)
        variable[self._used] = self._every
        order = np.argsort(rows.row, kind="stable")
        ends = np.cumsum(np.bincount(rows.row, minlength=len(rows.limit)))
        starts = np.concatenate([[0], ends[:-1]])
        for first, last, limit in zip(starts.tolist(), ends.tolist(), rows.limit.tolist(), strict=False):
            entries = order[first:last]
            self._row(variable[rows.cell[entries]], rows.coefficient[entries], 0, limit)

    def _row(self, variables: npt.NDArray[np.int32], coefficients: Int64, low: int, high: int) -> None:
        linear = self._proto.constraints.add().linear
        linear.vars.extend(variables)
        linear.coeffs.extend(coefficients)
        linear.domain.extend([low, high])

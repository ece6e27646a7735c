"""The model in SCIP, HiGHS or GLOP: those columns whole that must be, the machines in parts.

What comes back is a hint and a bound to the solvers' precision; plans are made and counted in integers elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.relaxation import dense

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """Values [N]; prices [M] of the rows where no column had to be whole."""

    values: Float64
    objective: float
    bound: float
    prices: Float64
    done: bool
    """Whether it is the optimum, to the gap that was asked for."""


@dataclass(frozen=True)
class Effort:
    """What a solve may take. Nodes, not seconds, so that the same problem gives the same answer."""

    seconds: float
    gap: float = 0.0
    nodes: int = 0
    seed: int = 0


class Infeasible(Exception):
    """No values keep every row."""


def solve(
    matrix: Matrix,
    objective: Expression,
    whole: Bool | None,
    effort: Effort,
    *,
    solver: str = "",
    fixed: Mapping[int, int] | None = None,
) -> Found | None:
    """The least, or the best found; None where there was nothing within the limits. Raises Infeasible."""
    from ortools.math_opt import parameters_pb2  # noqa: PLC0415 - takes long; many plans need no solver

    proto, unit, row_unit = proto_of(matrix, objective, whole, fixed or {})
    kind = solver or ("GLOP" if whole is None else "GSCIP")
    parameters = (
        simplex(effort)
        if kind == "GLOP"
        else parameters_pb2.SolveParametersProto(random_seed=effort.seed, time_limit=_seconds(effort))
    )
    if whole is not None:
        parameters.relative_gap_tolerance = effort.gap
        if effort.nodes:
            parameters.node_limit = effort.nodes
    answer = Answer.of(Core(proto, kind).solve(parameters), len(matrix.lower), len(matrix.row_lower))
    if answer is None:
        return None
    return Found(
        values=answer.values,
        objective=answer.objective * unit,
        bound=answer.bound * unit,
        prices=np.empty(0)
        if answer.prices is None or whole is not None
        else answer.prices / row_unit * unit,
        done=answer.done,
    )


class Core:
    """MathOpt's solver without its Python objects: these take longer to make than linear programs take to solve.

    Model, changes and answers are the messages that MathOpt's own Python sends to the same solver.
    """

    def __init__(self, model: Any, kind: str) -> None:
        from ortools.math_opt import parameters_pb2  # noqa: PLC0415 - as above

        self._kind = int(parameters_pb2.SolverTypeProto.Value(f"SOLVER_TYPE_{kind}"))
        self._solver: Any = self._new(model)

    def _new(self, model: Any) -> Any:
        from ortools.math_opt import parameters_pb2  # noqa: PLC0415 - as above
        from ortools.math_opt.core.python import solver  # noqa: PLC0415 - as above

        return solver.new(self._kind, model, parameters_pb2.SolverInitializerProto())

    def update(self, change: Any) -> bool:
        """Whether the solver could change its model; otherwise it is as before, and `restart` gives it a new one."""
        return bool(self._solver.update(change))

    def restart(self, model: Any) -> None:
        """Begin anew."""
        self._solver = self._new(model)

    def solve(self, parameters: Any) -> Any:
        """What MathOpt answers."""
        from ortools.math_opt import callback_pb2, model_parameters_pb2  # noqa: PLC0415 - as above

        told = model_parameters_pb2.ModelSolveParametersProto()
        for some in (told.variable_values_filter, told.dual_values_filter):
            some.skip_zero_values = True
        told.reduced_costs_filter.filter_by_ids = True  # None of them.
        return self._solver.solve(
            parameters, told, None, callback_pb2.CallbackRegistrationProto(), None, None
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solver says, in the solver's units."""

    values: Float64
    prices: Float64 | None
    objective: float
    bound: float
    done: bool

    @classmethod
    def of(cls, result: Any, columns: int, rows: int) -> "Answer | None":
        """Read; None where there is no solution. Raises Infeasible."""
        from ortools.math_opt import result_pb2, solution_pb2  # noqa: PLC0415 - as above

        reason = result.termination.reason
        if reason in {
            result_pb2.TERMINATION_REASON_INFEASIBLE,
            result_pb2.TERMINATION_REASON_INFEASIBLE_OR_UNBOUNDED,
        }:
            raise Infeasible
        feasible = solution_pb2.SOLUTION_STATUS_FEASIBLE
        if not result.solutions or result.solutions[0].primal_solution.feasibility_status != feasible:
            return None
        best = result.solutions[0]
        has_prices = best.HasField("dual_solution") and best.dual_solution.feasibility_status == feasible
        return cls(
            values=_dense(best.primal_solution.variable_values, columns),
            prices=_dense(best.dual_solution.dual_values, rows) if has_prices else None,
            objective=float(best.primal_solution.objective_value),
            bound=float(result.termination.objective_bounds.dual_bound),
            done=reason == result_pb2.TERMINATION_REASON_OPTIMAL,
        )


def simplex(effort: Effort, *, again: bool = False) -> Any:
    """Parameters of GLOP; `again` goes on from the last basis, which preprocessing would forget."""
    from ortools.math_opt import parameters_pb2  # noqa: PLC0415 - as above

    parameters = parameters_pb2.SolveParametersProto(
        random_seed=effort.seed,
        time_limit=_seconds(effort),
        lp_algorithm=parameters_pb2.LP_ALGORITHM_DUAL_SIMPLEX,
    )
    parameters.glop.perturb_costs_in_dual_simplex = True
    parameters.glop.use_preprocessing = not again
    return parameters


def _seconds(effort: Effort) -> Any:
    return timedelta(seconds=max(effort.seconds, 0.05))


def _dense(vector: Any, size: int) -> Float64:
    found = np.zeros(size)
    found[np.array(vector.ids, dtype=np.int64)] = np.array(vector.values, dtype=np.float64)
    return found


def proto_of(
    matrix: Matrix, objective: Expression, whole: Bool | None, fixed: Mapping[int, int]
) -> tuple[Any, float, Float64]:
    """Rows and costs scaled to about 1, since solvers' tolerances are absolute; and by what."""
    from ortools.math_opt import model_pb2  # noqa: PLC0415 - as above

    cost = dense(len(matrix.lower), objective).astype(np.float64)
    sizes = np.abs(cost[cost != 0])
    unit = float(np.exp2(np.rint(np.log2(np.median(sizes))))) if len(sizes) else 1.0
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    largest = np.zeros(len(matrix.row_lower))
    np.maximum.at(largest, row, np.abs(matrix.coefficient))
    row_unit = np.exp2(np.rint(np.log2(np.where(largest > 0, largest, 1.0))))
    lower, upper = matrix.lower.astype(np.float64), matrix.upper.astype(np.float64)
    for column, value in fixed.items():
        lower[column] = upper[column] = value
    proto = model_pb2.ModelProto()
    proto.variables.ids.extend(np.arange(len(lower)))
    proto.variables.lower_bounds.extend(lower)
    proto.variables.upper_bounds.extend(upper)
    proto.variables.integers.extend(
        (np.zeros(len(lower), dtype=np.bool_) if whole is None else whole).tolist()
    )
    priced = np.flatnonzero(cost)
    proto.objective.linear_coefficients.ids.extend(priced)
    proto.objective.linear_coefficients.values.extend(cost[priced] / unit)
    proto.linear_constraints.ids.extend(np.arange(len(matrix.row_lower)))
    proto.linear_constraints.lower_bounds.extend(
        np.where(matrix.row_lower <= -NO_LIMIT, -np.inf, matrix.row_lower / row_unit)
    )
    proto.linear_constraints.upper_bounds.extend(
        np.where(matrix.row_upper >= NO_LIMIT, np.inf, matrix.row_upper / row_unit)
    )
    entries = proto.linear_constraint_matrix
    entries.row_ids.extend(row)
    entries.column_ids.extend(matrix.column)
    entries.coefficients.extend(matrix.coefficient / row_unit[row])
    return proto, unit, row_unit


def rows_of(matrix: Matrix) -> Int64:
    """[E] the row of each entry."""
    found: Int64 = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    return found

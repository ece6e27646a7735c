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
    from ortools.math_opt.python import mathopt  # noqa: PLC0415 - takes seconds; many plans need no solver

    proto, unit, row_unit = proto_of(matrix, objective, whole, fixed or {})
    model = mathopt.Model.from_model_proto(proto)
    parameters = mathopt.SolveParameters(
        time_limit=timedelta(seconds=max(effort.seconds, 0.05)), random_seed=effort.seed
    )
    kind = solver or ("GLOP" if whole is None else "GSCIP")
    if whole is not None:
        parameters.relative_gap_tolerance = effort.gap
        if effort.nodes:
            parameters.node_limit = effort.nodes
    if kind == "GLOP":
        parameters.lp_algorithm = mathopt.LPAlgorithm.DUAL_SIMPLEX
        parameters.glop.perturb_costs_in_dual_simplex = True
    result: Any = mathopt.solve(model, mathopt.SolverType[kind], params=parameters)
    reason = result.termination.reason
    if reason in {mathopt.TerminationReason.INFEASIBLE, mathopt.TerminationReason.INFEASIBLE_OR_UNBOUNDED}:
        raise Infeasible
    if not result.has_primal_feasible_solution():
        return None
    linear = whole is None and result.has_dual_feasible_solution()
    return Found(
        values=np.array(result.variable_values(list(model.variables()))),
        objective=float(result.objective_value()) * unit,
        bound=float(result.dual_bound()) * unit,
        prices=np.array(result.dual_values(list(model.linear_constraints()))) / row_unit * unit
        if linear
        else np.empty(0),
        done=reason == mathopt.TerminationReason.OPTIMAL,
    )


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

"""A matrix as a linear program, and what its prices prove in whole numbers.

Solvers count in floats; nothing here believes them. For any prices of the rows, no solution is below the sum, over
the columns, of what each comes to at its cheaper bound once rows are paid for, plus what the rows' limits are
worth at these prices (Lagrange). Prices are rounded to whole parts and that sum is made in integers.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64
from placement.linear import DEFAULT, SOLVERS, iterations_of, limited
from placement.matrix import NO_LIMIT, Expression, Matrix

Float64 = npt.NDArray[np.float64]

_SAFE = 2.0**61
"""Sums that floats say are below this are made in int64."""
_FINEST = 60


@dataclass(frozen=True, eq=False)
class Program:
    """``row_lower <= A x <= row_upper``, ``lower <= x <= upper``, ``cost @ x`` least; A by rows, infinite where open."""

    lower: Float64
    upper: Float64
    cost: Float64
    start: Int64
    column: Int64
    coefficient: Float64
    row_lower: Float64
    row_upper: Float64


@dataclass(frozen=True, eq=False)
class Relaxed:
    """What a solver says: values [N] of the columns, and prices [M] of the rows where it is a linear program."""

    values: Float64
    prices: Float64
    objective: float
    bound: float
    """What the solver has proven, to its own precision."""
    iterations: int
    wall_s: float


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of columns with limits that are known to hold beside the rows; each column is in one of them at most.

    Only columns >= 0 may be in one. They make bounds tighter where many columns pay a rounding error each.
    """

    of: Int64
    """[N] the sum that each column is in, -1 for none."""
    lower: Int64
    upper: Int64


def dense(size: int, expression: Expression) -> Int64:
    """The coefficient of each of `size` columns."""
    found = np.zeros(size, dtype=np.int64)
    np.add.at(found, expression.column, expression.coefficient)
    return found


def with_row(matrix: Matrix, expression: Expression, lower: int, upper: int) -> Matrix:
    """The matrix with one row more."""
    return Matrix(
        lower=matrix.lower,
        upper=matrix.upper,
        start=np.append(matrix.start, matrix.start[-1] + len(expression.column)),
        column=np.concatenate([matrix.column, expression.column]),
        coefficient=np.concatenate([matrix.coefficient, expression.coefficient]),
        row_lower=np.append(matrix.row_lower, lower),
        row_upper=np.append(matrix.row_upper, upper),
        terms=matrix.terms,
    )


def program_of(matrix: Matrix, expression: Expression) -> Program:
    """The matrix in floats."""
    return Program(
        lower=matrix.lower.astype(np.float64),
        upper=matrix.upper.astype(np.float64),
        cost=dense(len(matrix.lower), expression).astype(np.float64),
        start=matrix.start,
        column=matrix.column,
        coefficient=matrix.coefficient.astype(np.float64),
        row_lower=np.where(matrix.row_lower <= -NO_LIMIT, -np.inf, matrix.row_lower),
        row_upper=np.where(matrix.row_upper >= NO_LIMIT, np.inf, matrix.row_upper),
    )


class Solver:
    """A program in a solver, loaded once; bounds of columns may change between solves.

    `whole` [N] are columns that must be whole numbers; then SCIP answers, and there are no prices. Of others,
    the one `named` so in `placement.linear`; the prices of each prove a bound, but not all the same one.
    """

    def __init__(self, program: Program, whole: Bool | None = None, named: str = DEFAULT) -> None:
        from ortools.math_opt.python import mathopt  # noqa: PLC0415 - takes seconds; many plans need no solver

        self._mathopt: Any = mathopt
        program, self._unit, self._row_unit = _scaled(program)
        self._whole = whole is not None
        self._model: Any = mathopt.Model.from_model_proto(_proto(program, whole))
        self._columns: list[Any] = list(self._model.variables())
        self._rows: list[Any] = list(self._model.linear_constraints())
        self._linear = SOLVERS[named]
        self._kind: Any = mathopt.SolverType[self._linear.kind]
        self._solver: Any = None if self._whole else mathopt.IncrementalSolver(self._model, self._kind)

    def bound(self, column: int, lower: float, upper: float) -> None:
        """Change what a column may be."""
        self._columns[column].lower_bound = lower
        self._columns[column].upper_bound = upper

    def solve(self, time_limit_s: float, iterations: int, seed: int = 0) -> Relaxed | None:
        """The optimum, or of whole numbers the best found; None where there is none within the limits."""
        mathopt = self._mathopt
        parameters = mathopt.SolveParameters(time_limit=timedelta(seconds=max(time_limit_s, 0.01)))
        if self._whole:
            parameters.random_seed = seed
            result = mathopt.solve(self._model, mathopt.SolverType.GSCIP, params=parameters)
        else:
            parameters.iteration_limit = limited(iterations)
            self._linear.tune(mathopt, parameters, seed)
            result = self._warm(parameters)
            if result is None:
                return None
        done = result.termination.reason == mathopt.TerminationReason.OPTIMAL
        if not (done or self._whole) or not result.has_primal_feasible_solution():
            return None
        prices = np.array([]) if self._whole else np.array(result.dual_values(self._rows)) / self._row_unit
        return Relaxed(
            values=np.array(result.variable_values(self._columns)),
            prices=prices * self._unit,
            objective=float(result.objective_value()) * self._unit,
            bound=float(result.dual_bound()) * self._unit,
            iterations=iterations_of(result.solve_stats),
            wall_s=result.solve_stats.solve_time.total_seconds(),
        )

    def _warm(self, parameters: Any) -> Any:
        """Go on from the last basis; None where a solver gives up, which it tells by an exception, and begin anew."""
        try:
            return self._solver.solve(params=parameters)
        except (
            AttributeError,
            RuntimeError,
        ):  # MathOpt 9.15 fails to translate the first kind into the second.
            self._solver = self._mathopt.IncrementalSolver(self._model, self._kind)
            return None


def _scaled(program: Program) -> tuple[Program, float, Float64]:
    """With rows and costs of about 1, since solvers' tolerances are absolute; and by what they were divided."""
    row = np.repeat(np.arange(len(program.row_lower)), np.diff(program.start))
    size = np.zeros(len(program.row_lower))
    np.maximum.at(size, row, np.abs(program.coefficient))
    row_unit = np.exp2(np.rint(np.log2(np.where(size > 0, size, 1.0))))
    costs = np.abs(program.cost[program.cost != 0])
    unit = float(np.exp2(np.rint(np.log2(np.median(costs))))) if len(costs) else 1.0
    scaled = replace(
        program,
        cost=program.cost / unit,
        coefficient=program.coefficient / row_unit[row],
        row_lower=program.row_lower / row_unit,
        row_upper=program.row_upper / row_unit,
    )
    return scaled, unit, row_unit


def _proto(program: Program, whole: Bool | None) -> Any:
    from ortools.math_opt import model_pb2  # noqa: PLC0415 - as above

    proto = model_pb2.ModelProto()
    count, rows = len(program.lower), len(program.row_lower)
    variables = proto.variables
    variables.ids.extend(np.arange(count))
    variables.lower_bounds.extend(program.lower)
    variables.upper_bounds.extend(program.upper)
    variables.integers.extend((np.zeros(count, dtype=np.bool_) if whole is None else whole).tolist())
    priced = np.flatnonzero(program.cost)
    proto.objective.linear_coefficients.ids.extend(priced)
    proto.objective.linear_coefficients.values.extend(program.cost[priced])
    constraints, entries = proto.linear_constraints, proto.linear_constraint_matrix
    constraints.ids.extend(np.arange(rows))
    constraints.lower_bounds.extend(program.row_lower)
    constraints.upper_bounds.extend(program.row_upper)
    row, column, coefficient = _sorted_entries(program)
    entries.row_ids.extend(row)
    entries.column_ids.extend(column)
    entries.coefficients.extend(coefficient)
    return proto


def _sorted_entries(program: Program) -> tuple[Int64, Int64, Float64]:
    """Entries by row and column, each pair once."""
    row = np.repeat(np.arange(len(program.row_lower)), np.diff(program.start))
    key, at = np.unique(row * len(program.lower) + program.column, return_inverse=True)
    coefficient = np.bincount(at.reshape(-1), weights=program.coefficient, minlength=len(key))
    some = coefficient != 0
    key = key[some]
    return key // len(program.lower), key % len(program.lower), coefficient[some]


def proven(matrix: Matrix, expression: Expression, prices: Float64, sums: Sums | None = None) -> int:
    """No solution of the matrix makes the expression less than this; exact, and valid for any prices [M].

    A price of a row is per unit of it: >= 0 counts against its lower limit, <= 0 against its upper one.
    """
    cost = dense(len(matrix.lower), expression)
    prices = np.where(_useless(matrix, prices), 0.0, np.nan_to_num(prices))
    rows = np.flatnonzero(prices)
    entries = ranges(matrix.start[rows], matrix.start[rows + 1])
    count = matrix.start[rows + 1] - matrix.start[rows]
    column, coefficient = matrix.column[entries], matrix.coefficient[entries]
    sizes = np.abs(coefficient)
    paid = np.bincount(column, weights=np.repeat(np.abs(prices[rows]), count) * sizes, minlength=len(cost))
    scale = _scale(float((np.abs(cost) + paid).max(initial=0.0)), prices)
    price = np.rint(prices * scale).astype(np.int64)
    reduced = cost * scale
    np.subtract.at(reduced, column, np.repeat(price[rows], count) * coefficient)
    limit = np.where(price > 0, matrix.row_lower, matrix.row_upper)
    return -((-_at_bounds(matrix, reduced, sums) - _dot(price, limit)) // scale)


def ranges(start: Int64, end: Int64) -> Int64:
    """``start[0], start[0] + 1, ..., end[0] - 1, start[1], ...``."""
    size = end - start
    before = np.concatenate([[0], np.cumsum(size)])
    found: Int64 = np.arange(before[-1], dtype=np.int64) + np.repeat(start - before[:-1], size)
    return found


def _scale(most: float, prices: Float64) -> int:
    """The finest power of two for which no column's sum can leave int64; at least 1.

    A rounded price is off by half a part at most, so a column comes to no more than the float says and
    half its coefficients: far below the two bits that are kept free.
    """
    largest = max(most, float(np.abs(prices).max(initial=0.0)), 2.0)
    assert largest < _SAFE, f"prices come to {largest:.3g} for one column, which does not fit into 61 bits"
    bits = int(np.floor(np.log2(_SAFE / largest)))
    return 1 << bits


def _useless(matrix: Matrix, prices: Float64) -> Bool:
    """Prices that count against a limit that is open."""
    useless: Bool = ((prices > 0) & (matrix.row_lower <= -NO_LIMIT)) | (
        (prices < 0) & (matrix.row_upper >= NO_LIMIT)
    )
    return useless


def _at_bounds(matrix: Matrix, reduced: Int64, sums: Sums | None) -> int:
    """The least sum of `reduced` times the columns within their bounds, and within the sums."""
    if sums is None:
        return _dot(reduced, np.where(reduced > 0, matrix.lower, matrix.upper))
    alone = sums.of < 0
    total = _dot(reduced[alone], np.where(reduced > 0, matrix.lower, matrix.upper)[alone])
    inside = np.flatnonzero(~alone & (matrix.upper > 0))
    least = np.full(len(sums.lower), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(least, sums.of[inside], reduced[inside])
    used = np.flatnonzero(least < np.iinfo(np.int64).max)
    boxes = _box_sums(matrix, reduced, sums, inside)
    for box, price, low, high in zip(
        boxes[used].tolist(),
        least[used].tolist(),
        sums.lower[used].tolist(),
        sums.upper[used].tolist(),
        strict=True,
    ):
        total += max(box, price * (high if price < 0 else low))
    return total


def _box_sums(matrix: Matrix, reduced: Int64, sums: Sums, inside: Int64) -> Int64:
    """Of each sum, what its columns come to at their own bounds, those being 0 or more; very low where that overflows."""
    some = inside[reduced[inside] < 0]
    of = sums.of[some]
    sizes = reduced[some].astype(np.float64) * matrix.upper[some]
    overflows = np.bincount(of, weights=sizes, minlength=len(sums.lower)) < -_SAFE
    boxes = np.zeros(len(sums.lower), dtype=np.int64)
    fine = ~overflows[of]
    np.add.at(boxes, of[fine], reduced[some[fine]] * matrix.upper[some[fine]])
    boxes[overflows] = np.iinfo(np.int64).min
    return boxes


def _dot(a: Int64, b: Int64) -> int:
    """The exact sum of products."""
    some = (a != 0) & (b != 0)
    a, b = a[some], b[some]
    if float(np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))) < _SAFE:
        return int(a @ b)
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))

"""What prices of the crowds' program prove of every plan of the groups: exact, in integers, for any prices.

Lagrange: rows are paid for at their prices, and every machine goes where it is then cheapest; no plan is below what that
comes to. The rows are those of the groups; only their prices come from crowds.
"""

from dataclasses import replace

import numpy as np

from placement.arrays import Int64
from placement.matrix import NO_LIMIT, Expression, Matrix
from placement.planning.branching import Held
from placement.planning.crowds import Crowd
from placement.planning.linear import Linear
from placement.planning.mip import Float64
from placement.planning.model import Model
from placement.relaxation import dense, proven


def proven_by(
    model: Model,
    crowds: Model,
    crowd: Crowd,
    linear: Linear,
    out: int,
    held: Held = (),
    objective: Expression | None = None,
) -> int | None:
    """No plan costs less (or has less of another `objective`) that leaves no more than `out` machines without a place; None where rows do not correspond.

    `model` is that of the groups, in the crowds' units. Only plans that keep what is `held` of the crowds'
    columns are meant.
    """
    found = _priced(model, crowds, crowd, linear)
    if found is None:
        return None
    matrix, prices, column_of = found
    lower, upper = matrix.lower.copy(), matrix.upper.copy()
    upper[model.unplaced] = np.minimum(upper[model.unplaced], out)
    for column, low, high in held:
        lower[column_of[column]], upper[column_of[column]] = low, high
    matrix = replace(matrix, lower=lower, upper=upper)
    cost = matrix.terms["cost"] if objective is None else objective
    _price_groups(matrix, model, dense(len(upper), cost), prices)
    if out:
        every = model.out
        matrix = _with_rows(matrix, [every.column], [every.coefficient], out)
        prices = np.append(prices, -float(prices[: len(model.unplaced)].max()))
    return proven(matrix, cost, prices)


def moves_by(model: Model, crowds: Model, crowd: Crowd, linear: Linear, out: int) -> int:
    """No plan moves fewer machines that leaves no more than `out` out and keeps the row of costs that both models end with.

    `linear` is at the crowds' least number of moves. 0 where nothing is proven.
    """
    found = proven_by(model, crowds, crowd, linear, out, objective=model.moves)
    return max(0, found or 0)


def unplaced_by(model: Model, crowds: Model, crowd: Crowd, linear: Linear) -> int:
    """No plan leaves fewer machines without a place; `linear` is at the crowds' least of these. 0 where nothing is proven."""
    found = _priced(model, crowds, crowd, linear)
    if found is None:
        return 0
    matrix, prices, _ = found
    _price_groups(matrix, model, dense(len(matrix.upper), model.out), prices)
    groups = len(model.unplaced)
    nowhere = ~(model.cells >= 0).any(axis=1)
    prices[:groups] = np.where(nowhere, 1.0, np.minimum(prices[:groups], 1.0))
    return max(0, proven(matrix, model.out, prices))


def _priced(
    model: Model, crowds: Model, crowd: Crowd, linear: Linear
) -> tuple[Matrix, Float64, dict[int, int]] | None:
    """The groups' rows with those that were added, the crowds' prices on what both have, and which column is which."""
    common, theirs = model.common_rows, crowds.common_rows
    if len(common) != len(theirs) or len(model.decisions) != len(crowds.decisions):
        return None
    column_of = dict(zip(crowds.decisions.tolist(), model.decisions.tolist(), strict=True))
    prices = np.zeros(len(model.matrix.row_lower))
    prices[common] = linear.prices[theirs]
    matrix, more = _with_added(model.matrix, _cells_of(model, crowds, crowd), column_of, linear)
    return matrix, np.concatenate([prices, more]), column_of


def _price_groups(matrix: Matrix, model: Model, cost: Int64, prices: Float64) -> None:
    """Prices of the rows of single groups, given those of all others: what a machine comes to where it is cheapest.

    First what its cheapest alternative comes to, product by product; then the pool where all of that is the least.
    """
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    paid = np.bincount(matrix.column, weights=prices[row] * matrix.coefficient, minlength=len(cost))
    left: Float64 = cost.astype(np.float64) - paid
    for split in model.splits:
        prices[split.rows] = left[split.by_way].min(axis=0)
        left[split.cells] += prices[split.rows]
    there = model.cells >= 0
    found = np.full(there.shape, np.inf)
    found[there] = left[model.cells[there]]
    least: Float64 = found.min(axis=1, initial=np.inf)
    prices[: len(least)] = np.where(np.isfinite(least), least, 0.0)


Cells = dict[int, tuple[Int64, int]]
"""A crowd's column of machines -> those of its groups, and how many machines the crowd has."""


def _cells_of(model: Model, crowds: Model, crowd: Crowd) -> Cells:
    members = _by_crowd(crowd.of)
    count = crowds.facts.problem.groups.count.tolist()
    found: Cells = {}
    for c, p in np.argwhere(crowds.cells >= 0).tolist():
        found[int(crowds.cells[c, p])] = (model.cells[members[c], p], count[c])
    for theirs, ours in zip(crowds.splits, model.splits, strict=True):
        at = np.full(len(model.unplaced), -1, dtype=np.int64)
        at[ours.groups] = np.arange(len(ours.groups))
        for own, by_way in zip(ours.by_way, theirs.by_way, strict=True):
            for c, column in zip(theirs.groups.tolist(), by_way.tolist(), strict=True):
                found[column] = (own[at[members[c]]], count[c])
    return found


def _with_added(
    matrix: Matrix, cells: Cells, column_of: dict[int, int], linear: Linear
) -> tuple[Matrix, Float64]:
    """The rows that made the crowds' program tighter, for all groups of a crowd together."""
    columns, factors, prices = [], [], []
    for (cell, on), price in zip(linear.added, linear.added_prices.tolist(), strict=False):
        if not price:
            continue
        some, count = cells[cell]
        switches = np.array([column_of[column] for column in on.tolist()], dtype=np.int64)
        columns.append(np.concatenate([some, switches]))
        factors.append(np.concatenate([np.ones_like(some), np.full(len(on), -count, dtype=np.int64)]))
        prices.append(price / count)
    return _with_rows(matrix, columns, factors, 0), np.array(prices)


def _by_crowd(of: Int64) -> list[Int64]:
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(int(of.max(initial=-1)) + 2))
    return [order[a:b] for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]


def _with_rows(matrix: Matrix, columns: list[Int64], factors: list[Int64], upper: int) -> Matrix:
    """So many rows more, each of at most `upper`."""
    sizes = np.array([len(some) for some in columns], dtype=np.int64)
    return replace(
        matrix,
        start=np.concatenate([matrix.start, matrix.start[-1] + np.cumsum(sizes)]),
        column=np.concatenate([matrix.column, *columns]),
        coefficient=np.concatenate([matrix.coefficient, *factors]),
        row_lower=np.concatenate([matrix.row_lower, np.full(len(columns), -NO_LIMIT)]),
        row_upper=np.concatenate([matrix.row_upper, np.full(len(columns), upper)]),
    )

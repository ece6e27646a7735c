"""What prices of the crowds' program prove of every plan of the groups: exact, in integers, for any prices.

Lagrange: rows are paid for at their prices, and every machine goes where it is then cheapest; no plan is below what that
comes to. The rows are those of the groups; only their prices come from crowds.
"""

from dataclasses import replace

import numpy as np

from placement.arrays import Int64
from placement.matrix import NO_LIMIT, Matrix
from placement.planning.branching import Held
from placement.planning.crowds import Crowd
from placement.planning.linear import Linear
from placement.planning.mip import Float64
from placement.planning.model import Model
from placement.relaxation import dense, proven


def proven_by(
    model: Model, crowds: Model, crowd: Crowd, linear: Linear, out: int, held: Held = ()
) -> int | None:
    """No plan costs less that leaves no more than `out` machines without a place; None where rows do not correspond.

    `model` is that of the groups, in the crowds' units. Only plans that keep what is `held` of the crowds'
    columns are meant.
    """
    groups, own = len(model.unplaced), len(crowds.unplaced)
    beside = len(model.matrix.row_lower) - groups
    shift = len(model.matrix.lower) - len(crowds.matrix.lower)
    if beside != len(crowds.matrix.row_lower) - own or len(model.switches) != len(crowds.switches):
        return None
    matrix, prices = model.matrix, np.concatenate([np.zeros(groups), linear.prices[own:]])
    matrix, more = _with_added(matrix, model, crowds, crowd, linear, shift)
    prices = np.concatenate([prices, more])
    lower, upper = matrix.lower.copy(), matrix.upper.copy()
    upper[model.unplaced] = np.minimum(upper[model.unplaced], out)
    for column, low, high in held:
        lower[column + shift], upper[column + shift] = low, high
    matrix = replace(matrix, lower=lower, upper=upper)
    cost = matrix.terms["cost"]
    prices[:groups] = _cheapest(matrix, model, dense(len(upper), cost), prices)
    if out:
        every = model.out
        matrix = _with_rows(matrix, [every.column], [every.coefficient], out)
        prices = np.append(prices, -float(prices[:groups].max()))
    return proven(matrix, cost, prices)


def _cheapest(matrix: Matrix, model: Model, cost: Int64, prices: Float64) -> Float64:
    """[G] what a machine of each group comes to where it is cheapest, rows paid for."""
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    paid = np.bincount(matrix.column, weights=prices[row] * matrix.coefficient, minlength=len(cost))
    there = model.cells >= 0
    found = np.full(there.shape, np.inf)
    found[there] = (cost - paid)[model.cells[there]]
    least: Float64 = found.min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, 0.0)


def _with_added(
    matrix: Matrix, model: Model, crowds: Model, crowd: Crowd, linear: Linear, shift: int
) -> tuple[Matrix, Float64]:
    """The rows that made the crowds' program tighter, for all groups of a crowd together."""
    place = {int(crowds.cells[c, p]): (c, p) for c, p in np.argwhere(crowds.cells >= 0).tolist()}
    members = _by_crowd(crowd.of)
    columns, factors, prices = [], [], []
    for (cell, on), price in zip(linear.added, linear.added_prices.tolist(), strict=False):
        if not price:
            continue
        c, p = place[cell]
        cells = model.cells[members[c], p]
        count = int(crowds.facts.problem.groups.count[c])
        columns.append(np.concatenate([cells, on + shift]))
        factors.append(np.concatenate([np.ones_like(cells), np.full(len(on), -count, dtype=np.int64)]))
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

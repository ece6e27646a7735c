"""What can be proven by counting, in integers, without trusting a solver.

Lagrange: for any prices >= 0 of the rows, no plan costs less than the cheapest seats would if each
also paid for what it takes of the rows, less what all that the rows have is worth. Prices from a
linear program make the bound as strong as that program's, but it holds for any prices, and so it
needs no trust in floating point.
"""

import numpy as np

from placement.arrays import Int64
from placement.packing import Packing

_SCALE = 2**20
"""Row prices are rounded to this fraction; the bound holds for the rounded prices exactly."""


def most_placed(packing: Packing, prices: list[float] | None = None) -> int:
    """No plan places more than this."""
    return -_least(packing, np.full_like(packing.upper, -1), 0, prices)


def least_cost_micros(packing: Packing, placed: int, prices: list[float] | None = None) -> int:
    """No plan that places at least so many costs less than this."""
    return max(0, _least(packing, packing.classes.cost, placed, prices))


def _least(packing: Packing, value: Int64, placed: int, prices: list[float] | None) -> int:
    """The least sum of `value` [G, P] over plans that place at least `placed`, or something below it."""
    rows = packing.rows
    price = [0] * len(rows.limit) if prices is None else [max(0, round(y * _SCALE)) for y in prices]
    scaled = [v * _SCALE for v in value.reshape(-1).tolist()]
    for row, cell, n in zip(rows.row.tolist(), rows.cell.tolist(), rows.coefficient.tolist(), strict=True):
        scaled[cell] += price[row] * n
    worth = sum(y * limit for y, limit in zip(price, rows.limit.tolist(), strict=True))
    least: int = _cheapest_seats(packing, scaled, placed) - worth
    return -(-least // _SCALE)


def _cheapest_seats(packing: Packing, value: list[int], placed: int) -> int:
    """The least sum without the rows. Cheapest first is exact: the limits that stay are nested.

    They are those of a cell, of its class, and of all requests.
    """
    pools = packing.upper.shape[1]
    seats = packing.upper.reshape(-1).tolist()
    waiting = packing.classes.count.tolist()
    total, left = 0, placed
    for cell in sorted(np.flatnonzero(packing.upper).tolist(), key=value.__getitem__):
        if left <= 0 and value[cell] >= 0:
            break
        g = cell // pools
        n = min(seats[cell], waiting[g])
        if value[cell] >= 0:
            n = min(n, left)
        total, left, waiting[g] = total + n * value[cell], left - n, waiting[g] - n
    return total

"""What the answer behind a bound suggests: which providers could stay empty."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.large.incumbent import Incumbent
from placement.large.part import State
from placement.matrix import NO_LIMIT
from placement.relaxation import ranges


def closed_by(plan: Incumbent, wanted: list[tuple[Int64, int]]) -> Bool | None:
    """[V] providers that take nothing once only as many columns as `wanted` of each kind are 1; None if there are none.

    Those that the plan at hand uses least are closed.
    """
    assert plan.state is not None, "there is no plan yet"
    load = plan.counts.sum(axis=0)
    off = [_surplus(plan.state, columns, many, load, plan.cells) for columns, many in wanted]
    columns = np.concatenate([np.empty(0, dtype=np.int64), *off])
    if len(columns) == 0:
        return None
    shape = plan.model.shape
    forced = np.zeros(shape, dtype=np.bool_)
    forced.reshape(-1)[_forced(plan.state, columns, plan.cells)] = True
    possible = plan.model.upper > 0
    closed: Bool = possible.any(axis=0) & ~(possible & ~forced).any(axis=0)
    return closed if closed.any() else None


def _surplus(state: State, columns: Int64, many: int, load: Int64, cells: int) -> Int64:
    """The columns of a kind beyond `many`, those with the least on the cells that they let be used."""
    used = np.array([_load_behind(state, int(c), load, cells) for c in columns.tolist()], dtype=np.int64)
    return columns[np.argsort(-used, kind="stable")][many:]


def _load_behind(state: State, column: int, load: Int64, cells: int) -> int:
    if state.values[column] == 0:
        return -1
    behind = _forced(state, np.array([column], dtype=np.int64), cells)
    return int(state.values[behind].sum())


def _forced(state: State, columns: Int64, cells: int) -> Int64:
    """The cells that are 0 once these columns are, by rows of one of them and cells."""
    matrix = state.matrix
    rows = state.rows_of(columns)
    rows = rows[(matrix.row_upper[rows] < NO_LIMIT) & (matrix.row_upper[rows] >= 0)]
    counts = matrix.start[rows + 1] - matrix.start[rows]
    entries = ranges(matrix.start[rows], matrix.start[rows + 1])
    column, coefficient = matrix.column[entries], matrix.coefficient[entries]
    mine = np.isin(column, columns)
    plain = mine | ((column < cells) & (coefficient >= 0))
    number = np.repeat(np.arange(len(rows)), counts)
    simple = np.bincount(number, weights=~plain, minlength=len(rows)) == 0
    limit = np.repeat(matrix.row_upper[rows], counts)
    found: Int64 = np.unique(column[~mine & simple[number] & (coefficient > limit)])
    return found

"""The inner loops, compiled by numba where it is installed and plain Python where it is not.

Importing this module loads numba, which takes a second: whoever may do without imports it late.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from placement.compiling import compiled
from placement.hosts import loops

F = TypeVar("F", bound=Callable[..., Any])


_HELPERS = (
    loops.excess_after,
    loops.move,
    loops.swap,
    loops.relist,
    loops.pick,
    loops.rates,
    loops.at_most,
    loops.put,
)


def _with_helpers(function: F, without: F) -> F:
    try:
        from numba.extending import register_jitable  # noqa: PLC0415 - as in `compiled`
    except ImportError:
        return without
    for helper in _HELPERS:
        register_jitable(helper)
    return compiled(function, without)


first_fit = _with_helpers(loops.first_fit, loops.first_fit_numpy)
level = _with_helpers(loops.level, loops.level_numpy)
anneal = _with_helpers(loops.anneal, loops.anneal)
fullest = _with_helpers(loops.fullest, loops.fullest)


def warm() -> bool:
    """Compile all loops and keep them on disk, so that no later process must; False where numba is missing.

    An installer calls it once, as who may write beside this file; it takes some seconds.
    """
    one, row = np.ones((1, 1), dtype=np.int64), np.zeros(1, dtype=np.int64)
    first_fit(one, row, one.copy(), row, row - 1)
    level(one, row, one, one.copy(), row + 1, row - 1)
    hot, hot_at, place, filled, excess = (row.copy() for _ in range(5))
    members: Any = np.zeros((1, 1), dtype=np.int32)
    draws = np.zeros((1, 4), dtype=np.int64)
    shape, host_of, weight = row.copy(), row.copy(), row + 1
    lists = (place, members, filled, excess, hot, hot_at)
    anneal(one, shape, one.copy(), weight, host_of, *lists, 0, draws, row.copy())
    fullest(one, row + 1, row + 1, row + 1, 1)
    return hasattr(anneal, "py_func")

"""Columns of numbers as files hold them, checked value by value."""

from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64
from placement.problem import InvalidProblem


def integers(name: str, value: npt.NDArray[Any]) -> Int64:
    """A column of whole numbers. Raises InvalidProblem, which names the first value that is none."""
    if value.dtype.kind == "f":
        refuse_first(
            name, value, ~(np.isfinite(value) & (value == np.trunc(value))), "must be a whole number"
        )
    if value.dtype.kind not in "biu":
        refuse(name, f"must be whole numbers, not {value.dtype}; save them with a dtype such as int64")
    if value.dtype == np.uint64:
        refuse_first(name, value, value > np.iinfo(np.int64).max, "does not fit into 63 bits")
    return np.array(value, dtype=np.int64, order="C")


def refuse_first(name: str, array: npt.NDArray[Any], wrong: Bool, rule: str) -> None:
    """Refuse the first value that is wrong, if any is, with its place. Raises InvalidProblem."""
    places = np.argwhere(wrong)
    if len(places):
        at = "".join(f"[{i}]" for i in places[0])
        refuse(f"{name}{at}", f"{array[tuple(places[0])]} {rule}")


def refuse(path: str, rule: str) -> None:
    """Raises InvalidProblem with a path into the columns."""
    msg = f"{path}: {rule}"
    raise InvalidProblem(msg)

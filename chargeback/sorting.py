"""Putting the rows of Arrow tables in order: by numbers that stand for their texts, many times faster."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]


def ranks(column: Any) -> Numbers:
    """Per row, the place of its text among the column's distinct texts in order; numbers stay as they are.

    Texts are compared by their bytes in UTF-8, as Arrow, Parquet and DuckDB do.
    """
    if not pa.types.is_string(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    encoded = column.combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy(zero_copy_only=False)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[encoded.indices.to_numpy(zero_copy_only=False)] if len(order) else rank


def ordered(table: Any, names: tuple[str, ...]) -> Any:
    """The table's rows by these columns of text or int64, nothing null; equal rows keep their order."""
    if is_ordered(table, names):
        return table
    return table.take(pa.array(np.lexsort([ranks(table[name]) for name in reversed(names)])))


def is_ordered(table: Any, names: tuple[str, ...], *, strictly: bool = False) -> bool:
    """Whether the rows stand in the order of these columns, the first deciding first; `strictly`: none like another."""
    undecided = np.ones(max(table.num_rows - 1, 0), dtype=np.bool_)
    for name in names:
        falls, stays = _steps(table[name])
        if np.any(falls & undecided):
            return False
        undecided &= stays
    return not (strictly and np.any(undecided))


def _steps(column: Any) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Per row but the first, whether its value is less than the one before, and whether it is the same."""
    if not pa.types.is_string(column.type):
        step = np.diff(np.asarray(column.to_numpy(), dtype=np.int64))
        return step < 0, step == 0
    # Beside each other, and not by ranks: what is read or written stands in order nearly always.
    before, after = column.slice(0, max(len(column) - 1, 0)), column.slice(1)
    return _flags(pc.greater(before, after)), _flags(pc.equal(before, after))


def _flags(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(), dtype=np.bool_)

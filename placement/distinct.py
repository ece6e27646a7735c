"""Equal rows of many columns, counted and numbered in the order of their values."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64

Bytes = npt.NDArray[np.uint8]


def distinct(blocks: Iterable[Int64 | Bool], rows: int) -> tuple[Int64, Int64, Int64]:
    """The number of each row [R], the first row of each number [G], and how many rows have it [G].

    A row is what the `blocks` [R, n] have side by side; numbers are as rows compare column by column. It is what
    ``np.unique(..., axis=0)`` says of all blocks in one table, without the table: each row becomes a string of as
    few bytes as its columns need, and these compare as the rows do.
    """
    columns = [part for block in blocks for part in _as_bytes(block)]
    width = sum(part.shape[1] for part in columns)
    table = np.zeros((rows, max(1, width)), dtype=np.uint8)
    at = 0
    for part in columns:
        table[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    keys = table.view(f"S{table.shape[1]}").reshape(-1)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    ordered = keys[order]
    begins = np.ones(rows, dtype=np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    number = np.empty(rows, dtype=np.int64)
    number[order] = np.cumsum(begins) - 1
    return number, order[begins], np.bincount(number).astype(np.int64)


def _as_bytes(block: Int64 | Bool) -> Iterable[Bytes]:
    """Each column above its least value, the highest byte first; none where all rows are alike."""
    if len(block) == 0:
        return
    least, most = block.min(axis=0).astype(np.int64), block.max(axis=0).astype(np.int64)
    for n, (low, high) in enumerate(zip(least.tolist(), most.tolist(), strict=True)):
        if low == high:
            continue
        size = next(size for size in (1, 2, 4, 8) if high - low < 256**size)
        above = block[:, n].astype(np.int64) - low if high - low < 2**63 else _wrapped(block[:, n], low)
        yield above.astype(f">u{size}").view(np.uint8).reshape(len(block), size)


def _wrapped(column: Int64 | Bool, low: int) -> npt.NDArray[np.uint64]:
    """Differences that do not fit into 63 bits."""
    return column.astype(np.uint64) - np.uint64(low % 2**64)

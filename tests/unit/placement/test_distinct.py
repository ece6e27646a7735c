"""Rows are told apart and ordered as numpy does it with the whole table at hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.arrays import Bool, Int64
from placement.distinct import distinct

LARGEST = 2**63 - 1
SPANS = [(0, 1), (-1, 1), (-3, 300), (0, 2**16), (-(2**31), 2**31), (-(2**62), 2**62), (-(2**63), LARGEST)]


def by_numpy(blocks: list[Int64 | Bool]) -> list[list[int]]:
    table = np.concatenate([block.astype(np.int64) for block in blocks], axis=1)
    _, one, of, count = np.unique(table, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return [of.reshape(-1).tolist(), one.tolist(), count.tolist()]


def ours(blocks: list[Int64 | Bool]) -> list[list[int]]:
    return [found.tolist() for found in distinct(blocks, len(blocks[0]))]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_what_numpy_finds_with_the_whole_table(seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows = int(chance.integers(1, 30))
    blocks: list[Int64 | Bool] = []
    for _ in range(int(chance.integers(1, 5))):
        low, high = SPANS[int(chance.integers(len(SPANS)))]
        few = chance.integers(low, high, (3, int(chance.integers(1, 4))), endpoint=True, dtype=np.int64)
        blocks.append(few[chance.integers(0, 3, rows)])
    blocks.append(chance.random((rows, 2)) < 0.5)
    assert ours(blocks) == by_numpy(blocks)


@pytest.mark.parametrize("width", [0, 1])
def test_rows_that_are_all_alike_are_one(width: int) -> None:
    assert ours([np.full((3, width), 7, dtype=np.int64)]) == [[0, 0, 0], [0], [3]]


def test_no_rows_are_none() -> None:
    assert ours([np.empty((0, 2), dtype=np.int64)]) == [[], [], []]


def test_bytes_that_are_zero_count_as_any_other() -> None:
    """Strings of bytes are padded with zeros: a row must not be taken for one that begins like it."""
    blocks: list[Int64 | Bool] = [np.array([[256, 0], [256, 1], [0, 0], [1, 0]], dtype=np.int64)]
    assert ours(blocks) == by_numpy(blocks)

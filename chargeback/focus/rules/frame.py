"""The cells of a file as text: each column as its distinct values and which row has which.

A rule looks at each distinct value once, however many rows there are. What is not in the file, and
what is empty in it, is null.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from chargeback.focus.text import cells

Mask = Any
"""A numpy array of one truth value for each row."""


class Column:
    """One column. `kind` is its Arrow type, None where the file has none, as CSV."""

    def __init__(self, values: list[str | None], codes: Any, kind: Any) -> None:
        self.values = values
        self.codes = codes
        self.kind = kind

    def where(self, test: Callable[[str], bool]) -> Mask:
        """The rows whose value is there and passes `test`."""
        return np.array([value is not None and test(value) for value in self.values], bool)[self.codes]

    def among(self, values: frozenset[str]) -> Mask:
        """The rows whose value is one of these; null is none of them."""
        return self.where(values.__contains__)

    @cached_property
    def null(self) -> Mask:
        """The rows without a value."""
        return np.array([value is None for value in self.values], bool)[self.codes]

    def value(self, row: int) -> str | None:
        """What stands in a row, counted from 0."""
        return self.values[int(self.codes[row])]


class Frame:
    """A file to be checked; `typed` says whether its columns have types (Parquet) or are text (CSV)."""

    def __init__(self, table: Any, *, typed: bool) -> None:
        self.names: tuple[str, ...] = tuple(table.column_names)
        self.rows: int = table.num_rows
        self._table = table
        self._typed = typed
        self._columns: dict[str, Column] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = self._read(name)
        return self._columns[name]

    def _read(self, name: str) -> Column:
        if name not in self:
            return Column([None], np.zeros(self.rows, np.int64), None)
        whole = self._table.column(name).combine_chunks()
        kind = whole.type
        if not pa.types.is_dictionary(kind):
            whole = whole.dictionary_encode(null_encoding="encode")
        values = [_unless_empty(text, typed=self._typed) for text in cells(whole.dictionary)]
        indices = whole.indices.fill_null(len(values)) if whole.indices.null_count else whole.indices
        codes = indices.to_numpy(zero_copy_only=False)
        return Column([*values, None], codes, kind if self._typed else None)


def _unless_empty(text: str | None, *, typed: bool) -> str | None:
    """CSV has no other word for null than nothing."""
    return text if text or typed else None


def differing(frame: Frame, one: str, other: str) -> Mask:
    """The rows that have another value in one column than in the other; none where one is missing."""
    if one not in frame or other not in frame:
        return np.zeros(frame.rows, bool)
    left, right = frame[one], frame[other]
    places = {value: place for place, value in enumerate(dict.fromkeys([*left.values, *right.values]))}
    ours, theirs = (np.array([places[value] for value in side.values]) for side in (left, right))
    return ours[left.codes] != theirs[right.codes]

"""A placement problem as one sparse matrix in integers: what every solver reads, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64

NO_LIMIT = 2**62
"""A row without an upper (or, negated, a lower) limit."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A weighted sum of columns: a term of the objective."""

    column: Int64
    coefficient: Int64

    def of(self, values: Int64) -> int:
        """What it is for these values of all columns."""
        return int((self.coefficient * values[self.column]).sum())


@dataclass(frozen=True, eq=False)
class Matrix:
    """``row_lower <= A x <= row_upper`` and ``lower <= x <= upper`` in whole numbers; A by rows (CSR).

    N columns, M rows, E entries; the entries of row m are those from ``start[m]`` to ``start[m + 1]``.
    """

    lower: Int64
    upper: Int64
    start: Int64
    """[M + 1]."""
    column: Int64
    """[E]."""
    coefficient: Int64
    """[E]."""
    row_lower: Int64
    row_upper: Int64
    terms: Mapping[str, Expression]

    def activity(self, values: Int64) -> Int64:
        """[M] what each row adds up to."""
        sums = np.concatenate([[0], np.cumsum(self.coefficient * values[self.column])])
        activity: Int64 = sums[self.start[1:]] - sums[self.start[:-1]]
        return activity

    def broken(self, values: Int64) -> Int64:
        """The rows that these values break; columns outside their bounds are an error of their own."""
        activity = self.activity(values)
        return np.flatnonzero((activity < self.row_lower) | (activity > self.row_upper))

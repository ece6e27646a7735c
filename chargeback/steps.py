"""Quantities that change in steps over time, of many machines at once: exact integers in two sorted arrays.

A moment of a machine is one number, `key(machine, at)`, so that looking up and merging a million
steps are searches in sorted arrays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from chargeback.sorting import Numbers

AT_BITS = 38
"""Enough for the year 10000; it leaves 25 bits, 33 million machines."""

FOREVER = 2**AT_BITS - 1


def key(codes: Numbers, at: Numbers) -> Numbers:
    """One number per machine's number and moment, in the order of both."""
    assert codes.max(initial=0) < 2 ** (63 - AT_BITS), codes.max()
    return np.asarray(np.bitwise_or(np.left_shift(codes, AT_BITS), at), dtype=np.int64)


def codes_of(keys: Numbers) -> Numbers:
    """The machines' numbers."""
    return np.asarray(np.right_shift(keys, AT_BITS), dtype=np.int64)


def moments_of(keys: Numbers) -> Numbers:
    """The moments."""
    return np.asarray(np.bitwise_and(keys, FOREVER), dtype=np.int64)


class Steps(NamedTuple):
    """From each key on, until the machine's next, a value; 0 before the machine's first."""

    keys: Numbers
    values: Numbers

    def at(self, keys: Numbers) -> Numbers:
        """The values at these keys."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        place = np.searchsorted(self.keys, keys, side="right") - 1
        own = (place >= 0) & (codes_of(self.keys[place]) == codes_of(keys))
        return np.where(own, self.values[place], 0)

    def pieces(self) -> "Pieces":
        """The stretches over which the value is not 0. The last value of each machine must be 0."""
        chosen = np.flatnonzero(self.values)
        after = np.minimum(chosen + 1, max(len(self.keys) - 1, 0))
        start, end = self.keys[chosen], self.keys[after]
        return Pieces(codes_of(start), moments_of(start), moments_of(end), self.values[chosen])


class Pieces(NamedTuple):
    """Half-open stretches of time of machines, with a value each."""

    codes: Numbers
    t_from: Numbers
    t_to: Numbers
    values: Numbers

    def steps(self) -> Steps:
        """What they add up to at each moment."""
        keys = np.concatenate([key(self.codes, self.t_from), key(self.codes, self.t_to)])
        deltas = np.concatenate([self.values, -self.values])
        order = np.argsort(keys, kind="stable")
        keys, first = np.unique(keys[order], return_index=True)
        if not len(keys):
            return Steps(keys, deltas)
        # Each machine's changes add up to nothing, so the running sum begins anew with the next one.
        return Steps(keys, np.cumsum(np.add.reduceat(deltas[order], first)))

    def where(self, mask: npt.NDArray[np.bool_]) -> "Pieces":
        """Some of them."""
        return Pieces(*(column[mask] for column in self))

    def within(self, t_from: int, t_to: int) -> "Pieces":
        """What of them lies in a stretch of time."""
        cut = self._replace(t_from=np.maximum(self.t_from, t_from), t_to=np.minimum(self.t_to, t_to))
        return cut.where(cut.t_from < cut.t_to)


def joined(*pieces: Pieces) -> Pieces:
    """All pieces of several."""
    return Pieces(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))

"""Rows of a file by several columns at once, to find the same in another file."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from chargeback.focus.rules.frame import Frame, Mask
from chargeback.focus.rules.moments import NONE, second
from chargeback.focus.rules.numbers import parsed

Key = tuple[Any, ...]
"""What a row has in some columns: a text or None for each, epoch seconds for a moment of `MOMENTS`."""

MOMENTS = frozenset({"BillingPeriodStart", "BillingPeriodEnd"})
"""Columns that are compared as moments, as each file may write them in its own way."""


class Keys(NamedTuple):
    """The distinct keys of a file, and which of them each row has."""

    values: list[Key]
    codes: Any

    def where(self, wrong: Callable[[Key], bool]) -> Mask:
        """The rows whose key `wrong` is true for."""
        return np.array([wrong(key) for key in self.values], bool)[self.codes]

    def counted(self) -> Iterator[tuple[Key, int]]:
        """Each key with its number of rows."""
        return zip(self.values, np.bincount(self.codes, minlength=len(self.values)).tolist(), strict=True)


def keys(frame: Frame, columns: Iterable[str]) -> Keys:
    """The keys of `columns`, in their order."""
    found, codes = [()], np.zeros(frame.rows, np.int64)
    for name in columns:
        column = frame[name]
        values = [_comparable(name, text) for text in column.values]
        # Combined pair by pair, so that no number exceeds the rows times the values of one column.
        pairs, codes = np.unique(codes * len(values) + column.codes, return_inverse=True)
        places = (divmod(pair, len(values)) for pair in pairs.tolist())
        found = [(*found[before], values[own]) for before, own in places]
    return Keys(found, codes)


def _comparable(name: str, text: str | None) -> Any:
    if name not in MOMENTS:
        return text
    at = second(text)
    return None if at == NONE else at


def sums(
    frame: Frame, columns: tuple[str, ...], amount: str, kept: Callable[[Key], bool]
) -> "dict[Key, Sum]":
    """Per key of `columns` that `kept` keeps and that has no null, what `amount` adds up to; exactly."""
    found: dict[Key, Sum] = {}
    for (*key, text), rows in keys(frame, (*columns, amount)).counted():
        value = parsed(text)
        if value is None or None in key or not kept(tuple(key)):
            continue
        before = found.get(tuple(key), Sum(Fraction(0), 0))
        found[tuple(key)] = Sum(before.amount + value * rows, before.rows + rows)
    return found


class Sum(NamedTuple):
    """An amount, and of how many rows it is the sum."""

    amount: Fraction
    rows: int

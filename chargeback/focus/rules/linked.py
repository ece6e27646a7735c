"""What two datasets of one delivery must say alike: the kinds of rules, each on the rows of one of the two.

What one file says wrongly alone is told by its own rules: here a null, or what cannot be read, is no finding.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from chargeback.focus.rules.frame import Frame, Mask
from chargeback.focus.rules.keys import keys
from chargeback.focus.rules.releases import Dataset

Find = Callable[[Frame, Frame], Mask]
"""(the file that is looked at, the other one) -> the rows of the first that are wrong."""


class Link(NamedTuple):
    """A rule between two datasets.

    A finding stands in `column` of `source`. `needs` and `others` are the columns that the two files must have
    for the rule to be looked at; that they must have them is a rule of each file alone.
    """

    id: str
    source: Dataset
    other: Dataset
    column: str
    what: str
    find: Find
    needs: tuple[str, ...]
    others: tuple[str, ...]
    should: bool = False


def known(source: Dataset, other: Dataset, column: str, key: tuple[str, ...], rule: str) -> Link:
    """The values of `key`, with that of `column`, must stand in a row of the other file too."""

    def find(ours: Frame, theirs: Frame) -> Mask:
        there = set(keys(theirs, key).values)
        return keys(ours, key).where(lambda value: None not in value and value not in there)

    what = f"must be in {other.value}" + (
        f", with {' and '.join(_besides(key, column))}" if len(key) > 1 else ""
    )
    return Link(rule, source, other, column, what, find, key, key)


def alike(source: Dataset, other: Dataset, column: str, key: tuple[str, ...], rule: str) -> Link:
    """`column` must be what it is in the other file's rows of the same `key`."""

    def find(ours: Frame, theirs: Frame) -> Mask:
        there = defaultdict(set)
        for *value, cell in keys(theirs, (*key, column)).values:
            there[tuple(value)].add(cell)

        def wrong(value: tuple[object, ...]) -> bool:
            *of, cell = value
            cells = there.get(tuple(of), set())
            return None not in value and None not in cells and bool(cells) and cell not in cells

        return keys(ours, (*key, column)).where(wrong)

    what = f"must be the same in {other.value} for the same {' and '.join(key)}"
    return Link(rule, source, other, column, what, find, (*key, column), (*key, column))


def _besides(key: tuple[str, ...], column: str) -> list[str]:
    return [name for name in key if name != column]

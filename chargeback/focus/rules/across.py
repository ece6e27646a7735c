"""Checks that compare what stands in one column with other columns, or with other rows."""

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np

from chargeback.focus.rules.attributes import pairs
from chargeback.focus.rules.frame import Frame, Mask
from chargeback.focus.rules.json_objects import applied_to, program_types


def shared_pairs(frame: Frame, column: str, words: str) -> Mask:
    """Rows that have a key and its value in both columns of tags."""
    return _by_pair(
        frame, column, words, lambda ours, theirs: bool(set(_hashable(ours)) & set(_hashable(theirs)))
    )


def several_parents(frame: Frame, column: str, _: str) -> Mask:
    """Rows with a commitment that stands under several contracts, anywhere in the file."""
    parents: dict[str, set[str]] = defaultdict(set)
    for text in frame[column].values:
        for contract, commitment in applied_to(text or "{}"):
            parents[commitment].add(contract)
    wide = {commitment for commitment, contracts in parents.items() if len(contracts) > 1}
    return frame[column].where(lambda text: any(commitment in wide for _, commitment in applied_to(text)))


def unnamed(frame: Frame, column: str, words: str) -> Mask:
    """Rows none of whose commitments is that of the other column."""
    if words not in frame:
        return np.zeros(frame.rows, bool)
    return _by_pair(
        frame, column, words,
        lambda ours, theirs: theirs not in {commitment for _, commitment in applied_to(ours)},
    )  # fmt: skip


def unlisted(frame: Frame, column: str, words: str) -> Mask:
    """Rows whose list of programs lacks the type in the other column."""
    return _by_pair(frame, column, words, lambda ours, theirs: theirs not in program_types(ours))


def repeated(frame: Frame, column: str, words: str) -> Mask:
    """Rows whose value stands in another row too; with ``for COLUMN`` among those of its value."""
    cells = frame[column]
    other = frame[words.removeprefix("for ")].codes if words else np.zeros(frame.rows, np.int64)
    keys = list(zip(cells.codes.tolist(), other.tolist(), strict=True))
    times = Counter(keys)
    return np.array([times[key] > 1 for key in keys], bool) & ~cells.null


def _hashable(text: str) -> list[tuple[str, str]]:
    return [(key, repr(value)) for key, value in pairs(text)]


def _by_pair(frame: Frame, column: str, other: str, wrong: Callable[[str, str], bool]) -> Mask:
    """Where our column has a value and `wrong` says so of it and the other one, which is empty where null."""
    left, right = frame[column], frame[other]
    seen: dict[tuple[int, int], bool] = {}
    codes = list(zip(left.codes.tolist(), right.codes.tolist(), strict=True))
    for ours, theirs in set(codes):
        text = left.values[ours]
        seen[ours, theirs] = text is not None and wrong(text, right.values[theirs] or "")
    return np.array([seen[code] for code in codes], bool)

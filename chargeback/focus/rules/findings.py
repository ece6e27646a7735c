"""What a check found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chargeback.focus.rules.frame import Frame, Mask

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken: in how many rows, and in which first (counted from 1; none for the whole file)."""

    rule: str
    column: str
    should: bool
    what: str
    rows: int
    first: tuple[int, ...]
    value: str

    def __str__(self) -> str:
        where = f"{self.rows} rows, first {', '.join(map(str, self.first))}" if self.first else "the file"
        found = f", such as '{self.value}'" if self.value else ""
        return f"{self.column}: {self.what} ({self.rule}), broken in {where}{found}"


def finding(rule: str, column: str, should: bool, what: str, mask: Mask, frame: Frame) -> Iterator[Finding]:
    """One finding of the rows of `mask`; none where it has none."""
    rows = np.flatnonzero(mask)
    if len(rows):
        first = tuple(int(row) + 1 for row in rows[:_EXAMPLES])
        value = frame[column].value(int(rows[0])) or ""
        yield Finding(rule, column, should, what, len(rows), first, value[:80])

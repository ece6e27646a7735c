"""What a check found."""

from dataclasses import dataclass


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

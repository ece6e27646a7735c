"""What a search may spend, and how it runs two things at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Run = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to each of a sequence, in order, as `map` does; perhaps in threads."""


@dataclass(frozen=True, eq=False)
class Effort:
    """When to stop: at a number of rounds, or when the clock says so."""

    clock: Callable[[], float]
    deadline: float
    rounds: int | None
    run: Run

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock()

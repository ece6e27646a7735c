"""What a way of solving hands back: counts, and what it has proven about every plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from placement.arrays import Int64
from placement.matrix import NO_LIMIT


@dataclass(frozen=True)
class Proven:
    """A value that is to be least, and what no plan is below that is as good in everything before it."""

    value: int
    bound: int

    @property
    def gap(self) -> float:
        """(value - bound) / value; 0.0 is proven least."""
        return (self.value - self.bound) / self.value if self.value else 0.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """Counts [G, V] with the choices made, and what is proven: how many stay out, then level by level."""

    counts: Int64
    unplaced: tuple[Proven, ...]
    """One for each priority, the highest first."""
    levels: tuple[Proven, ...]
    solver: str
    choices: Mapping[str, Int64] = field(default_factory=dict)
    """[G, V, C] how many of a cell chose what, by constraint."""


@dataclass(frozen=True)
class Progress:
    """A better answer, or a higher bound, of the value that is being made least."""

    solver: str
    stage: str
    """``unplaced`` or ``level 1`` and so on."""
    value: int
    bound: int

    @property
    def gap(self) -> float:
        """(value - bound) / value; 0.0 is proven least."""
        return Proven(self.value, self.bound).gap


Listener = Callable[[Progress], None]
Clock = Callable[[], float]
NOTHING_PROVEN = -NO_LIMIT
"""A bound that says nothing."""

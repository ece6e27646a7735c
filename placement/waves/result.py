"""What comes of planning: waves with their moves, and what could not be done."""

from dataclasses import dataclass

from placement.arrays import Int64
from placement.waves.state import Step


@dataclass(frozen=True)
class Timed:
    """A step with its times; instants as in the calendar."""

    step: Step
    begin_s: int
    end_s: int
    copy_gib: int
    mib_s: int
    """The rate that it copies with, 0 where nothing is copied."""
    down_s: int
    """How long the machine is down, at the end of the move."""
    stop: bool
    """Whether the machine only waits there and moves on later."""

    @property
    def down_from_s(self) -> int:
        """When the machine goes down."""
        return self.end_s - self.down_s


@dataclass(frozen=True, eq=False)
class Wave:
    """Moves that belong together; at its end is a point to roll back from, or to confirm."""

    window: int
    """Position of the calendar's window."""
    moves: tuple[Timed, ...]
    """By when they begin. One after another in this order they are feasible too."""
    position: Int64
    """[R] where every machine is afterwards."""
    freed: tuple[tuple[int, int], ...]
    """(provider, from when on it is empty and stays so), in the order of time."""

    @property
    def begin_s(self) -> int:
        """When the first move begins."""
        return self.moves[0].begin_s

    @property
    def end_s(self) -> int:
        """When the last move ends."""
        return max(move.end_s for move in self.moves)

    @property
    def copy_gib(self) -> int:
        """GiB copied."""
        return sum(move.copy_gib for move in self.moves)

    @property
    def undo(self) -> tuple[Step, ...]:
        """What leads back to before the wave, feasible one after another.

        While a move is undone, its machine takes room at both ends, as it did when it was made.
        """
        steps = (move.step for move in reversed(self.moves))
        return tuple(Step(step.machine, step.target, step.source) for step in steps)


@dataclass(frozen=True)
class Torn:
    """An application that is not moved within one wave, and why: ``moves``, ``window``, ``downtime`` or ``copies``."""

    app: int
    waves: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Unscheduled:
    """A step that has a place in the order, but no time."""

    step: Step
    seconds: int
    why: str
    """``window``: it takes longer than any is; ``downtime``: longer than its application may be down; ``calendar``: no
    window is left; ``before``: it must follow another of these."""


@dataclass(frozen=True, eq=False)
class WavePlan:
    """All waves; what is in none is `left_out` (no feasible order) or `unscheduled` (no time)."""

    waves: tuple[Wave, ...]
    left_out: tuple[int, ...]
    unscheduled: tuple[Unscheduled, ...]
    torn: tuple[Torn, ...]
    proven: bool
    """Whether no order leaves out fewer machines, or has fewer stops."""

    @property
    def moves(self) -> tuple[Timed, ...]:
        """Of all waves."""
        return tuple(move for wave in self.waves for move in wave.moves)

    @property
    def elapsed_s(self) -> int:
        """From the first move's beginning to the last one's end."""
        return self.waves[-1].end_s - self.waves[0].begin_s if self.waves else 0

    @property
    def dual_s(self) -> int:
        """Host-seconds of running old and new beside each other.

        Of each provider that becomes empty, the time from the first move until it is.
        """
        return sum(at - self.waves[0].begin_s for wave in self.waves for _, at in wave.freed)

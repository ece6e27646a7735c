"""What is left of the limits of a solve."""

from dataclasses import dataclass

from placement.outcome import Clock
from placement.plan import Limits


@dataclass
class Budget:
    """Counts down as solvers tell what they took; with a `clock`, what passes outside of solvers counts too."""

    seed: int
    deterministic_time: float
    time_limit_s: float
    clock: Clock | None = None
    deadline_s: float = 0.0
    """When the time is over, as the clock tells it."""

    @classmethod
    def of(cls, limits: Limits, clock: Clock | None = None) -> "Budget":
        """All of the limits."""
        deadline_s = clock() + limits.time_limit_s if clock else 0.0
        return cls(limits.seed, limits.deterministic_time, limits.time_limit_s, clock, deadline_s)

    def spend(self, deterministic_time: float, wall_s: float) -> None:
        """Take off what a solver used."""
        self.deterministic_time -= deterministic_time
        self.time_limit_s = self.deadline_s - self.clock() if self.clock else self.time_limit_s - wall_s

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        self.spend(0.0, 0.0)
        return self.deterministic_time <= 0 or self.time_limit_s <= 0

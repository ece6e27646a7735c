"""What is left of the limits of a solve."""

from dataclasses import dataclass

from placement.plan import Limits


@dataclass
class Budget:
    """Counts down as solvers tell what they took, since nobody else here has a clock."""

    seed: int
    deterministic_time: float
    time_limit_s: float

    @classmethod
    def of(cls, limits: Limits) -> "Budget":
        """All of the limits."""
        return cls(limits.seed, limits.deterministic_time, limits.time_limit_s)

    def spend(self, deterministic_time: float, wall_s: float) -> None:
        """Take off what a solver used."""
        self.deterministic_time -= deterministic_time
        self.time_limit_s -= wall_s

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.deterministic_time <= 0 or self.time_limit_s <= 0

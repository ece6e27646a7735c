"""What a planner asks of a rebalancing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tierwise.errors import InvalidInput


@dataclass(frozen=True)
class Wishes:
    """How full hosts may be, what is kept apart, and what copying counts."""

    vcpu_per_core: Fraction = Fraction(4)
    free_percent: int = 10
    """Of what is left when the largest hosts have failed, so much shall stay free on each host."""
    losses: int | None = None
    """How many hosts of each pool may fail; None: what the estate says of a pool, else 1."""
    within_points: int | None = None
    """No host shall be more than so many percentage points fuller than its pool; None: full is what counts."""
    copy_percent: int = 1
    """A MiB that is copied costs so many percent of a MiB of memory above the limit, for as long as that stays."""
    apart: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> machines of which no two shall share a host."""

    def __post_init__(self) -> None:
        """Raises InvalidInput for what no host can keep."""
        for name, value, low, high in (
            ("--vcpu-per-core", self.vcpu_per_core, Fraction(1, 10), 100),
            ("--free", self.free_percent, 0, 90),
            ("--losses", self.losses or 0, 0, 64),
            ("--within", self.within_points or 0, 0, 100),
            ("--copy-weight", self.copy_percent, 0, 1000),
        ):
            if not low <= value <= high:
                msg = f"{name}: {value} must be from {low} to {high}"
                raise InvalidInput(msg)

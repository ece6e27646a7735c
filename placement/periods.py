"""Time in a problem: leases that end, and reservations that begin later."""

from dataclasses import dataclass

from placement.arrays import Int64


@dataclass(frozen=True, eq=False)
class Periods:
    """Time cut into T slots at every moment where something begins or ends; capacity is kept in each."""

    names: tuple[str, ...]
    """[T] what people call each slot, such as ``2026-12-01 to 2027-01-31``."""
    first: Int64
    """[R] the slot in which each request begins."""
    end: Int64
    """[R] the slot before which it ends: it is there in ``first <= t < end``; ``first < end <= T``."""
    taken: Int64
    """[T, V, K] what others hold of each provider's free capacity in each slot; >= 0, at most `free`."""

"""Where requests sit, as arrays: what checkers and brute force look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from placement.arrays import Int64


@dataclass(frozen=True, eq=False)
class Seats:
    """A provider for each request, and what else was chosen for it there."""

    provider_of: Int64
    """[R] a host where the problem has hosts, otherwise a pool; -1 for none."""
    choices: Mapping[str, Int64] = field(default_factory=lambda: MappingProxyType({}))
    """[R] by the name of the constraint that asks for a choice (``numa``, ``datastores``); -1 for none."""

    def choice(self, name: str) -> Int64 | None:
        """[R] what was chosen, or None where the plan says nothing of it."""
        return self.choices.get(name)

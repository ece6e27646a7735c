"""A hypervisor is given up."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from catalog.pools import Hypervisor
from catalog.wording import known_names
from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake
from tierwise.planner.world import World


class HypervisorRetired(Change):
    """Every pool of a hypervisor is closed; its machines must go elsewhere."""

    summary: ClassVar[str] = "every pool of a hypervisor is closed, and its machines must go elsewhere"
    example: ClassVar[str] = "{kind: hypervisor_retired, hypervisor: vsphere}"
    kind: Literal["hypervisor_retired"]
    hypervisor: Hypervisor

    def __str__(self) -> str:
        return f"{self.hypervisor.label} retired"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """A hypervisor that runs nothing."""
        there = sorted({one.hypervisor.value for one in known.pools.values()})
        if self.hypervisor not in there:
            yield (
                ("hypervisor",),
                f"no pool runs '{self.hypervisor}'; {known_names(self.hypervisor, there)}",
            )

    def touches(self, known: Known) -> frozenset[str]:
        """The hypervisor."""
        return frozenset({f"whether {self.hypervisor.label} is there"})

    def removes(self, known: Known) -> frozenset[str]:
        """Its pools."""
        return frozenset(name for name, one in known.pools.items() if one.hypervisor == self.hypervisor)

    def apply(self, world: World) -> World:
        """The world with the hypervisor's pools closed."""
        pools = frozenset(name for name, one in world.pools.items() if one.hypervisor == self.hypervisor)
        return world.closing(pools, f"{self.hypervisor.label} is retired in this scenario", self.remedy)

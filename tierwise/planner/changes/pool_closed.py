"""Pools are closed."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, PoolSelector
from tierwise.planner.world import World


class PoolClosed(Change):
    """Nothing may run on some pools; their machines must go elsewhere."""

    summary: ClassVar[str] = "nothing may run on some pools, and their hosts are given up"
    example: ClassVar[str] = "{kind: pool_closed, of: {pools: [fra-test]}}"
    kind: Literal["pool_closed"]
    of: PoolSelector

    def __str__(self) -> str:
        return f"{self.of} closed"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown pools."""
        yield from ((("of", *path), why) for path, why in self.of.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """Each of the pools."""
        return frozenset(f"whether {name} is there" for name in self.of.names(known))

    def removes(self, known: Known) -> frozenset[str]:
        """The pools."""
        return self.of.names(known)

    def apply(self, world: World) -> World:
        """The world with the pools closed."""
        pools = frozenset(name for name, one in world.pools.items() if self.of.fits(one.like))
        return world.closing(pools, f"{self.of} are closed in this scenario", self.remedy)

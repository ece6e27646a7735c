"""Hosts of a pool are lost."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from catalog.wording import counted
from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, unknown
from tierwise.planner.world import World


class HostLoss(Change):
    """So many hosts of a pool are gone, its largest first."""

    summary: ClassVar[str] = "so many of the hosts that a pool has are lost, the largest first"
    example: ClassVar[str] = "{kind: host_loss, pool: fra-prod, hosts: 2}"
    kind: Literal["host_loss"]
    pool: str
    hosts: Annotated[int, Field(strict=True, ge=1, le=100_000)]

    def __str__(self) -> str:
        return f"{counted(self.hosts, 'host')} of {self.pool} lost"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """An unknown pool, and more hosts than it has."""
        found = list(unknown((), (self.pool,), tuple(known.pools)))
        yield from ((("pool",), why) for _, why in found)
        there = known.hosts.get(self.pool, 0)
        if not found and self.hosts > there:
            yield (
                ("hosts",),
                f"'{self.pool}' has {counted(there, 'host')}, so {self.hosts} cannot be lost; say at most {there}",
            )

    def touches(self, known: Known) -> frozenset[str]:
        """The pool's hosts."""
        return frozenset({f"the loss of hosts of {self.pool}"})

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """The pool itself."""
        return (frozenset({self.pool}),)

    def apply(self, world: World) -> World:
        """The world without the hosts."""
        return replace(world, lost={**world.lost, self.pool: world.lost.get(self.pool, 0) + self.hosts})

"""Pools promise more or less of what they have."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tierwise.planner.change import Change
from tierwise.planner.document import Overcommit, Ratio
from tierwise.planner.selecting import Known, Mistake, PoolSelector
from tierwise.planner.world import World


class Promised(Change):
    """The overcommit of pools is another."""

    summary: ClassVar[str] = (
        "pools promise more or fewer vCPU for each core, or more or less memory and disk"
    )
    example: ClassVar[str] = "{kind: promised, of: {tiers: [tier-2]}, vcpu: 6}"
    kind: Literal["promised"]
    of: PoolSelector | None = Field(default=None, description="Which pools; all where not given.")
    vcpu: Ratio | None = Field(default=None, description="vCPU for each physical core.")
    memory: Ratio | None = Field(default=None, description="Memory promised for each MiB there is.")
    disk: Ratio | None = Field(default=None, description="Disk promised for each GiB there is.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.parts:
            msg = "must have 'vcpu', 'memory' or 'disk'"
            raise ValueError(msg)
        return self

    @property
    def parts(self) -> dict[str, Decimal]:
        """What changes."""
        given = {"vcpu": self.vcpu, "memory": self.memory, "disk": self.disk}
        return {name: ratio for name, ratio in given.items() if ratio is not None}

    def __str__(self) -> str:
        parts = [f"{name} {ratio}" for name, ratio in self.parts.items()]
        return f"overcommit {', '.join(parts)}{f' on {self.of}' if self.of else ''}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown pools."""
        if self.of is not None:
            yield from ((("of", *path), why) for path, why in self.of.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """The overcommit of each pool."""
        pools = self.of.names(known) if self.of else known.pools
        return frozenset(f"the {part} overcommit of {name}" for part in self.parts for name in pools)

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Any of the pools."""
        return (self.of.names(known),) if self.of else ()

    def apply(self, world: World) -> World:
        """The world with the overcommit."""
        pools = {}
        for name, one in world.pools.items():
            was = one.overcommit
            now = Overcommit(
                vcpu=self.vcpu or was.vcpu, memory=self.memory or was.memory, disk=self.disk or was.disk
            )
            pools[name] = replace(one, overcommit=now) if self.of is None or self.of.fits(one.like) else one
        return replace(world, pools=pools)

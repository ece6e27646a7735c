"""More or fewer hosts may fail at once, or room for it is only told, not kept."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, PoolSelector
from tierwise.planner.world import World


class Reserve(Change):
    """The N+k of pools is another, or plans need not keep it."""

    summary: ClassVar[str] = (
        "pools keep room for the loss of so many hosts, or plans only tell where they do not"
    )
    example: ClassVar[str] = "{kind: reserve, of: {tiers: [tier-1]}, losses: 2}"
    kind: Literal["reserve"]
    of: PoolSelector | None = Field(default=None, description="Which pools; all where not given.")
    losses: Annotated[int, Field(strict=True, ge=0, le=64)] | None = None
    enforce: bool | None = Field(
        default=None, description="false: plans only tell where N+k does not hold."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if (self.losses is None) == (self.enforce is None):
            msg = "must have one of 'losses' and 'enforce'"
            raise ValueError(msg)
        if self.enforce is not None and self.of is not None:
            msg = "'enforce' is of all pools; leave 'of' out"
            raise ValueError(msg)
        return self

    def __str__(self) -> str:
        if self.enforce is not None:
            return f"room for failures {'kept' if self.enforce else 'told, not kept'}"
        return f"N+{self.losses}{f' on {self.of}' if self.of else ''}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown pools."""
        if self.of is not None:
            yield from ((("of", *path), why) for path, why in self.of.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """The reserve of each pool."""
        if self.enforce is not None:
            return frozenset({"whether room for failures is kept"})
        return frozenset(f"N+k of {name}" for name in (self.of.names(known) if self.of else known.pools))

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """Any of the pools."""
        return (self.of.names(known),) if self.of else ()

    def apply(self, world: World) -> World:
        """The world with the reserve."""
        if self.enforce is not None:
            return replace(world, reserve=self.enforce)
        losses = self.losses or 0
        pools = {
            name: replace(one, losses=losses) if self.of is None or self.of.fits(one.like) else one
            for name, one in world.pools.items()
        }
        return replace(world, pools=pools)

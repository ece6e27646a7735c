"""There are more machines like those that are there."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, MachineSelector, Mistake
from tierwise.planner.world import Growth as GrowthEdit
from tierwise.planner.world import World


class Growth(Change):
    """More machines in proportion to those that are there, from the first day on."""

    summary: ClassVar[str] = (
        "so many percent more machines like those that are there, from the first day on"
    )
    example: ClassVar[str] = "{kind: growth, machines: {classes: [web]}, percent: 30}"
    kind: Literal["growth"]
    machines: MachineSelector = MachineSelector()
    percent: Annotated[Decimal, Field(gt=0, le=10_000, max_digits=12, allow_inf_nan=False)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = Field(
        default=0,
        description="Which machines are doubled first where not all are; 0: spread evenly by size.",
    )

    def __str__(self) -> str:
        return f"{self.percent:+}% {self.machines}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown names."""
        yield from ((("machines", *path), why) for path, why in self.machines.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """The growth of these machines."""
        return frozenset({f"the growth of {self.machines.in_order()}"})

    def only_of(self) -> MachineSelector:
        """Its machines."""
        return self.machines

    def apply(self, world: World) -> World:
        """The world with more machines."""
        return replace(world, growth=(*world.growth, GrowthEdit(self.machines, self.percent, self.seed)))

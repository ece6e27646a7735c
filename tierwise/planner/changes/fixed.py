"""Some machines stay where they are."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, MachineSelector, Mistake
from tierwise.planner.world import Fixing, World


class Fixed(Change):
    """Machines that do not move."""

    summary: ClassVar[str] = "some machines stay where they are"
    example: ClassVar[str] = (
        "{kind: fixed, machines: {applications: [erp]}, reason: frozen until the audit}"
    )
    kind: Literal["fixed"]
    machines: MachineSelector = MachineSelector()
    reason: Annotated[str, Field(max_length=300)] = ""

    def __str__(self) -> str:
        return f"{self.machines} stay where they are"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown names."""
        yield from ((("machines", *path), why) for path, why in self.machines.mistakes(known))

    def touches(self, known: Known) -> frozenset[str]:
        """Whether these machines may move."""
        return frozenset({f"whether {self.machines.in_order()} may move"})

    def only_of(self) -> MachineSelector:
        """Its machines."""
        return self.machines

    def apply(self, world: World) -> World:
        """The world in which they stay."""
        why = self.reason or f"{self} in this scenario"
        return replace(world, fixed=(*world.fixed, Fixing(self.machines, why, self.remedy)))

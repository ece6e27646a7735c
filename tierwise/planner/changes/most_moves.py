"""Only so many machines may move."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from catalog.wording import counted
from tierwise.planner.change import Change
from tierwise.planner.selecting import Known
from tierwise.planner.world import World


class MostMoves(Change):
    """The most machines that may run elsewhere than today."""

    summary: ClassVar[str] = "at most so many machines run elsewhere than today"
    example: ClassVar[str] = "{kind: most_moves, machines: 200}"
    kind: Literal["most_moves"]
    machines: Annotated[int, Field(strict=True, ge=0, le=10**7)]

    def __str__(self) -> str:
        return f"at most {counted(self.machines, 'machine', 'moves', 'move')}"

    def touches(self, known: Known) -> frozenset[str]:
        """The limit."""
        return frozenset({"how many machines may move"})

    def apply(self, world: World) -> World:
        """The world with the limit."""
        return replace(world, most_moves=self.machines)

"""Machines are sized by what they used, by their class, or as they are."""

from dataclasses import replace
from typing import ClassVar, Literal

from tierwise.planner.change import Change
from tierwise.planner.document import SizedBy
from tierwise.planner.selecting import Known
from tierwise.planner.world import World


class Sizes(Change):
    """Whose word counts for the sizes of machines."""

    summary: ClassVar[str] = (
        "machines are sized by what they used (`use`), by their class (`class`) or as they are (`today`)"
    )
    example: ClassVar[str] = "{kind: sizes, by: use}"
    kind: Literal["sizes"]
    by: SizedBy

    def __str__(self) -> str:
        return {
            "today": "machines sized as they are",
            "class": "machines sized by class",
            "use": "machines right-sized",
        }[self.by]

    def touches(self, known: Known) -> frozenset[str]:
        """The sizes."""
        return frozenset({"the sizes of machines"})

    def sizes(self) -> frozenset[SizedBy]:
        """Those that it takes."""
        return frozenset({self.by})

    def apply(self, world: World) -> World:
        """The world with the sizes."""
        return replace(world, sized_by=self.by)

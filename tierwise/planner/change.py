"""What every kind of change has in common. A kind is one file of `tierwise.planner.changes`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from catalog.base import Value
from tierwise.planner.document import SizedBy
from tierwise.planner.selecting import Known, MachineSelector, Mistake
from tierwise.planner.world import World

Why = Annotated[str, Field(max_length=500)]


class Change(Value, ABC):
    """One change of a scenario: an edit of a `World`, and what it says about itself.

    A kind declares ``kind: Literal["its_name"]``; all other fields are what a document writes.
    """

    summary: ClassVar[str]
    """What it does, in a line for the reference."""
    example: ClassVar[str]
    """How it is written, as one line of YAML."""
    kind: str

    @abstractmethod
    def apply(self, world: World) -> World:
        """The world with the change made; names were checked before."""

    @abstractmethod
    def __str__(self) -> str:
        """What changes, in the planner's words."""

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Names that are nowhere, and what contradicts itself."""
        yield from ()

    @abstractmethod
    def touches(self, known: Known) -> frozenset[str]:
        """What it changes, in words: two changes of a scenario never touch the same."""

    def only_of(self) -> MachineSelector | None:
        """Machines: two changes of a scenario and of this kind never mean exactly the same ones. None: they may."""
        return None

    def removes(self, known: Known) -> frozenset[str]:
        """Pools on which nothing can be afterwards, and editions of licences that cannot be had (`editions`)."""
        return frozenset()

    def needs(self, known: Known) -> tuple[frozenset[str], ...]:
        """What others may remove and must still be there for it to make sense: of each set, one is enough."""
        return ()

    def sizes(self) -> frozenset[SizedBy]:
        """Sizes that machines must be told apart by, beside those of the document."""
        return frozenset()

    @property
    def remedy(self) -> str:
        """What makes possible what the change forbids."""
        return f"leave out the change '{self}'"

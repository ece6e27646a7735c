"""What an importer of estates promises."""

from abc import ABC, abstractmethod
from typing import ClassVar

from catalog.estates import Estate
from tierwise.estates.sources import Source


class Importer(ABC):
    """One kind of export. A kind is a file of `tierwise.estates.importers` that holds one subclass."""

    kind: ClassVar[str]
    """The name to ask for it by: that of its file, with hyphens."""
    summary: ClassVar[str]
    """What it reads, for people."""

    @abstractmethod
    def recognises(self, source: Source) -> int:
        """How sure it is that the source is of its kind: 0 not at all, 1 by its columns, 2 by names of its own."""

    def lacks(self, source: Source) -> str:
        """What a source that is nearly of its kind lacks to be, for people; empty where it is not even nearly so."""
        del source
        return ""

    @abstractmethod
    def read(self, source: Source) -> Estate:
        """The estate. Raises InvalidInput where no machine can be read from it."""

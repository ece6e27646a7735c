"""Our own JSON: ``format: tierwise-estate/1``."""

from typing import ClassVar

from catalog.estates import Estate
from tierwise.estates import document
from tierwise.estates.importer import Importer
from tierwise.estates.sources import Source


class Document(Importer):
    """Reads the JSON documents that `estate import --to` writes."""

    kind: ClassVar[str] = "document"
    summary: ClassVar[str] = "tierwise's own JSON"

    def recognises(self, source: Source) -> int:
        """Whatever is JSON; reading it says what is wrong with it."""
        return 2 if source.form == "json" else 0

    def read(self, source: Source) -> Estate:
        """The estate as it was written. Raises InvalidInput with everything that is wrong."""
        return document.parse(source.content or b"", str(source.path))

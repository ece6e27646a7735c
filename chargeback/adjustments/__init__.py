"""What is agreed about prices. Each file of this folder is one kind of term; adding one is adding a file.

A file holds one subclass of `chargeback.adjustment.Term`, whose ``kind`` is the file's name. An outside
distribution adds a kind by an entry point of the group ``tierwise.adjustments`` whose name is the kind
and whose value is the module that defines it.
"""

from collections.abc import Mapping
from functools import cache

from catalog.discovery import discovered
from chargeback.adjustment import Term

GROUP = "tierwise.adjustments"


@cache
def kinds() -> Mapping[str, type[Term]]:
    """Every kind by its name, in alphabetical order. Raises catalog.discovery.BadKind for a faulty module."""
    return discovered(__name__, __path__, GROUP, Term, "adjustment")  # type: ignore[type-abstract]  # only its subclasses are made

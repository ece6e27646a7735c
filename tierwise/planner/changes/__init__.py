"""What a scenario may change. Each file of this folder is one kind of change; adding one is adding a file.

A file holds one subclass of `tierwise.planner.change.Change` whose ``kind`` is the file's name. An outside distribution
adds a kind by an entry point of the group ``tierwise.changes`` whose name is the kind and whose value is the module that
defines it.
"""

from collections.abc import Mapping
from functools import cache

from catalog.discovery import discovered
from tierwise.planner.change import Change

GROUP = "tierwise.changes"


@cache
def kinds() -> Mapping[str, type[Change]]:
    """Every kind of change, in alphabetical order. Raises catalog.discovery.BadKind for a faulty module."""
    return discovered(__name__, __path__, GROUP, Change, "change")  # type: ignore[type-abstract]  # only its subclasses are made

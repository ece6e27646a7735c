"""The kinds of export that estates are read from. Each file of this folder is one; adding one is adding a file.

A file holds one subclass of `tierwise.estates.importer.Importer`. An outside distribution adds a kind by an entry
point of the group ``tierwise.estates`` whose name is the kind and whose value is the module that defines it.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType

from tierwise.estates.importer import Importer

GROUP = "tierwise.estates"


class BadKind(TypeError):
    """A module that claims to be an importer is not one; the message says what it lacks."""


@cache
def importers() -> Mapping[str, Importer]:
    """Every importer by its kind, in alphabetical order. Raises BadKind for a faulty module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {
        kind: importer_of(kind, import_module(f"{__name__}.{name}"))
        for name in names
        for kind in [name.replace("_", "-")]
    }
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the estate importer '{entry.name}': {type(found[entry.name]).__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = importer_of(entry.name, import_module(entry.module))
    return MappingProxyType(dict(sorted(found.items())))


def importer_of(kind: str, module: ModuleType) -> Importer:
    """The one importer of `module` whose `kind` is this kind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Importer) and getattr(one, "kind", None) == kind
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one importer with kind = '{kind}'"
        raise BadKind(msg)
    return fitting[0]()

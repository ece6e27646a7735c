"""What a scenario may change. Each file of this folder is one kind of change; adding one is adding a file.

A file holds one subclass of `tierwise.planner.change.Change` whose ``kind`` is the file's name. An outside distribution
adds a kind by an entry point of the group ``tierwise.changes`` whose name is the kind and whose value is the module that
defines it.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Any, Literal, get_args, get_origin

from tierwise.planner.change import Change

GROUP = "tierwise.changes"


class BadKind(TypeError):
    """A module that claims to be a kind of change is not one; the message says what it lacks."""


@cache
def kinds() -> Mapping[str, type[Change]]:
    """Every kind of change, in alphabetical order. Raises BadKind for a faulty module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: kind_of(name, import_module(f"{__name__}.{name}")) for name in names}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the change '{entry.name}': {found[entry.name].__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = kind_of(entry.name, import_module(entry.module))
    return MappingProxyType(dict(sorted(found.items())))


def kind_of(kind: str, module: ModuleType) -> type[Change]:
    """The one class of `module` whose `kind` field is this kind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Change) and declared(one) == kind
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one change with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def declared(change: type[Change]) -> str | None:
    """What a change calls itself in documents."""
    field: Any = change.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return str(get_args(field.annotation)[0]) if literal else None

"""How a price follows from a quantity. Each file of this folder is one shape; adding one is adding a file.

A file holds one subclass of `chargeback.shape.Shape` whose ``kind`` begins with the file's name. An
outside distribution adds a shape by an entry point of the group ``tierwise.shapes`` whose name is the
kind and whose value is the module that defines it.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Any, Literal, get_args, get_origin

from catalog.wording import known_names
from chargeback.shape import Shape

GROUP = "tierwise.shapes"


class BadKind(TypeError):
    """A module that claims to be a shape is not one; the message says what it lacks."""


@cache
def kinds() -> Mapping[str, type[Shape]]:
    """Every shape by its kind, in alphabetical order. Raises BadKind for a faulty module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: kind_of(name, import_module(f"{__name__}.{name}")) for name in names}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the shape '{entry.name}': {found[entry.name].__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = kind_of(entry.name, import_module(entry.module))
    return MappingProxyType(dict(sorted(found.items())))


@cache
def names() -> Mapping[str, type[Shape]]:
    """The kinds and their other names."""
    return MappingProxyType({name: shape for shape in kinds().values() for name in declared(shape)})


def kind_of(kind: str, module: ModuleType) -> type[Shape]:
    """The one class of `module` whose `kind` field begins with this kind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Shape) and declared(one)[:1] == (kind,)
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one shape with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def declared(shape: type[Shape]) -> tuple[str, ...]:
    """What a shape calls itself in documents: its kind, then other names for it."""
    field: Any = shape.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return tuple(str(name) for name in get_args(field.annotation)) if literal else ()


def shape_of(body: Mapping[str, Any]) -> Shape:
    """The shape that a mapping with its `kind` says. Raises ValueError or ValidationError."""
    kind = body.get("kind")
    if kind not in names():
        msg = f"there is no shape '{kind}'; {known_names(kind, names())}"
        raise ValueError(msg)
    return names()[str(kind)].model_validate(dict(body))

"""Kinds of things that are added as a file: those of a folder, and those that other distributions bring along.

A file holds one subclass of a base whose field ``kind: Literal["..."]`` begins with the file's name. An outside
distribution adds one by an entry point whose name is the kind and whose value is the module that defines it.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeVar, get_args, get_origin

from catalog.base import Value

T = TypeVar("T", bound=Value)


class BadKind(TypeError):
    """A module that claims to be a kind of something is not one; the message says what it lacks."""


def discovered(
    package: str, path: Sequence[str], group: str, base: type[T], noun: str
) -> Mapping[str, type[T]]:
    """Every kind by its name, in alphabetical order: of the package's files, and of the group of entry points.

    Raises BadKind for a faulty module, and for a name that two modules claim.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(path))
    found = {name: kind_of(name, import_module(f"{package}.{name}"), base, noun) for name in names}
    for entry in sorted(entry_points(group=group), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the {noun} '{entry.name}': {found[entry.name].__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = kind_of(entry.name, import_module(entry.module), base, noun)
    return MappingProxyType(dict(sorted(found.items())))


def kind_of(kind: str, module: ModuleType, base: type[T], noun: str) -> type[T]:
    """The one class of `module` whose `kind` field begins with this kind. Raises BadKind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, base) and declared(one)[:1] == (kind,)
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one {noun} with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def declared(one: type[Value]) -> tuple[str, ...]:
    """What a class calls itself in documents: its kind, then other names for it."""
    field: Any = one.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return tuple(str(name) for name in get_args(field.annotation)) if literal else ()

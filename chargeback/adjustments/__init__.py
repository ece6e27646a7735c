"""What is agreed about prices. Each file of this folder is one kind of term; adding one is adding a file.

A file holds one subclass of `chargeback.adjustment.Term`, whose ``kind`` is the file's name. An outside
distribution adds a kind by an entry point of the group ``tierwise.adjustments`` whose name is the kind
and whose value is the module that defines it.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Any, Literal, get_args, get_origin

from chargeback.adjustment import Term

GROUP = "tierwise.adjustments"


class BadKind(TypeError):
    """A module that claims to be a kind of term is not one; the message says what it lacks."""


@cache
def kinds() -> Mapping[str, type[Term]]:
    """Every kind by its name, in alphabetical order. Raises BadKind for a faulty module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: kind_of(name, import_module(f"{__name__}.{name}")) for name in names}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the adjustment '{entry.name}': {found[entry.name].__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = kind_of(entry.name, import_module(entry.module))
    return MappingProxyType(dict(sorted(found.items())))


def kind_of(kind: str, module: ModuleType) -> type[Term]:
    """The one class of `module` with this kind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Term) and _declared(one) == (kind,)
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one term with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def _declared(term: type[Term]) -> tuple[str, ...]:
    field: Any = term.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return tuple(str(name) for name in get_args(field.annotation)) if literal else ()

"""The kinds of constraint that a document may hold: every file of `placement.constraints`, and what others add.

An outside distribution adds a kind by an entry point of the group ``tierwise.constraints`` whose name is the kind and
whose value is the module that defines it.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Any, Literal, get_args, get_origin

from placement import constraints
from placement.constraint import Constraint

GROUP = "tierwise.constraints"


class BadKind(TypeError):
    """A module that claims to be a kind of constraint is not one; the message says what it lacks."""


@cache
def written() -> Mapping[str, type[Constraint]]:
    """Kind -> class, in alphabetical order, without those that always hold. Raises BadKind for a faulty module."""
    found = {name: one for name, one in constraints.kinds().items() if not one.always}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name in found:
            msg = f"two modules define the constraint kind '{entry.name}': {found[entry.name].__module__}, {entry.module}"
            raise BadKind(msg)
        found[entry.name] = kind_of(entry.name, import_module(entry.module))
    return MappingProxyType(dict(sorted(found.items())))


def kind_of(kind: str, module: ModuleType) -> type[Constraint]:
    """The one class of `module` whose `kind` field is this kind."""
    fitting = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Constraint) and declared(one) == kind
    ]
    if len(fitting) != 1:
        msg = f"{module.__name__} must define one constraint with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def declared(constraint: type[Constraint]) -> str | None:
    """What a constraint calls itself in documents."""
    field: Any = constraint.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return str(get_args(field.annotation)[0]) if literal else None

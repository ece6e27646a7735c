"""How a price follows from a quantity. Each file of this folder is one shape; adding one is adding a file.

A file holds one subclass of `chargeback.shape.Shape` whose ``kind`` begins with the file's name. An
outside distribution adds a shape by an entry point of the group ``tierwise.shapes`` whose name is the
kind and whose value is the module that defines it.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from catalog.discovery import declared, discovered
from catalog.wording import known_names
from chargeback.shape import Shape

GROUP = "tierwise.shapes"


@cache
def kinds() -> Mapping[str, type[Shape]]:
    """Every shape by its kind, in alphabetical order. Raises catalog.discovery.BadKind for a faulty module."""
    return discovered(__name__, __path__, GROUP, Shape, "shape")  # type: ignore[type-abstract]  # only its subclasses are made


@cache
def names() -> Mapping[str, type[Shape]]:
    """The kinds and their other names."""
    return MappingProxyType({name: shape for shape in kinds().values() for name in declared(shape)})


def shape_of(body: Mapping[str, Any]) -> Shape:
    """The shape that a mapping with its `kind` says. Raises ValueError or ValidationError."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in names():
        msg = f"there is no shape '{kind}'; {known_names(kind, names())}"
        raise ValueError(msg)
    return names()[kind].model_validate(dict(body))

"""The kinds of rule there are: every file of `policies.rules`, and what others add by entry points.

An outside distribution adds a kind by an entry point of the group ``tierwise.rules`` whose name is the
kind and whose value is the module that defines it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Literal, get_args, get_origin

from policies import rules
from policies.rule import PoolRule, QuotaRule, RuleDocument

GROUP = "tierwise.rules"


class BadKind(TypeError):
    """A module that claims to be a kind of rule is not one; the message says what it lacks."""


def rule_kinds() -> Mapping[str, type[RuleDocument]]:
    """Kind -> class of its documents, in alphabetical order. Raises BadKind for a faulty module."""
    found: dict[str, type[RuleDocument]] = {}
    for kind, module in _modules():
        if kind in found:
            msg = f"two modules define the rule kind '{kind}': {found[kind].__module__}, {module.__name__}"
            raise BadKind(msg)
        found[kind] = kind_of(kind, module)
    return MappingProxyType(dict(sorted(found.items())))


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for info in pkgutil.iter_modules(rules.__path__):
        yield info.name, importlib.import_module(f"{rules.__name__}.{info.name}")
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        yield entry.name, importlib.import_module(entry.module)


def kind_of(kind: str, module: ModuleType) -> type[RuleDocument]:
    """The one class of `module` whose `kind` field is this kind."""
    candidates = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, PoolRule | QuotaRule) and c.__module__ == module.__name__
    ]
    fitting = [c for c in candidates if _declared_kind(c) == kind]
    if len(fitting) != 1 or inspect.isabstract(fitting[0]):
        msg = f"{module.__name__} must define one rule class with the field kind: Literal['{kind}']"
        raise BadKind(msg)
    return fitting[0]


def _declared_kind(document: type[RuleDocument]) -> str | None:
    annotation = document.model_fields["kind"].annotation
    return str(get_args(annotation)[0]) if get_origin(annotation) is Literal else None

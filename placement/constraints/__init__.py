"""What a plan must keep, and what it pays for. Each file of this folder is one constraint; adding one is adding a file.

A file holds one subclass of `placement.constraint.Constraint`, whose ``kind`` is the file's name.
"""

import pkgutil
from functools import cache
from importlib import import_module

from placement.constraint import Constraint
from placement.problem import PlacementProblem

_ALWAYS = ("allowed", "capacity", "largest")
"""Those that say so themselves; named here, so that a plain order does not load all the others to find them."""


@cache
def kinds() -> dict[str, type[Constraint]]:
    """Every constraint by the name of its file, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: _only_one(name) for name in names}


def of(problem: PlacementProblem) -> tuple[Constraint, ...]:
    """The constraints of a problem: those that always hold, by name, then its own in their order."""
    return (*_always(), *problem.constraints)


@cache
def _always() -> tuple[Constraint, ...]:
    return tuple(_only_one(name)() for name in _ALWAYS)


def _only_one(name: str) -> type[Constraint]:
    module = import_module(f"{__name__}.{name}")
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Constraint) and one.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__name__} must define one constraint, not {len(found)}"
    return found[0]

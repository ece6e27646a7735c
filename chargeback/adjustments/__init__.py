"""What is agreed about prices. Each file of this folder is one kind of term; adding one is adding a file.

A file holds one subclass of `chargeback.adjustment.Term`, whose ``kind`` is the file's name.
"""

import pkgutil
from functools import cache
from importlib import import_module

from chargeback.adjustment import Term


@cache
def kinds() -> dict[str, type[Term]]:
    """Every kind by the name of its file, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: _only_one(name) for name in names}


def _only_one(name: str) -> type[Term]:
    module = import_module(f"{__name__}.{name}")
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Term) and one.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__name__} must define one term, not {len(found)}"
    return found[0]

"""Ways to solve a problem, one a file: `fits` says for which models it is meant, `solve` gives counts with proofs.

The first that fits is taken, in the order of their `RANK`; `placement.solve.solve` can be told another.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from placement.model import Model
from placement.outcome import Clock, Listener, Outcome
from placement.plan import Limits


class Way(Protocol):
    """What every module of this folder offers."""

    RANK: int

    def fits(self, model: Model) -> bool:
        """Whether it is meant for this model."""

    def solve(
        self, model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
    ) -> Outcome:
        """The best counts that the limits allow. Raises placement.solvers.exact.Infeasible."""


@cache
def names() -> tuple[str, ...]:
    """Every way, the one that is looked at first before the others."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted(found, key=lambda name: (way(name).RANK, name)))


def way(name: str) -> Way:
    """One way by its name."""
    return cast("Way", import_module(f"{__name__}.{name}"))


def chosen(model: Model) -> str:
    """The first way that is meant for a model."""
    return next(name for name in names() if way(name).fits(model))

"""What a plan must keep. Each file of this folder is one constraint; adding one is adding a file.

A constraint has three functions: `post` tells the model, `check` finds in words every breach that a
finished plan has, without the model, and `why` says of one request and one pool what stands against
it once a plan is carried out.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from placement.model import CountModel
from placement.placed import Placed
from placement.plan import Plan
from placement.problem import PlacementProblem
from policies.decisions import Rejection


class Constraint(Protocol):
    """What every module of this folder offers."""

    def post(self, model: CountModel) -> None:
        """Forbid cells and post rows, so that every solution of the model keeps the constraint."""

    def check(self, problem: PlacementProblem, plan: Plan) -> Iterator[str]:
        """Each breach of the plan, with the values; shares no code with `post`."""

    def why(self, after: Placed, request: int, pool: int) -> Iterator[Rejection]:
        """What keeps the request out of the pool, as things stand after the plan."""


def _modules() -> tuple[Constraint, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(cast("Constraint", import_module(f"{__name__}.{name}")) for name in names)


ALL: tuple[Constraint, ...] = _modules()
"""Every constraint, by name; explanations follow this order, and ``allowed`` has the policies' own."""


def posted(problem: PlacementProblem) -> CountModel:
    """The model of a problem with every constraint in it."""
    model = CountModel(problem)
    for constraint in ALL:
        constraint.post(model)
    return model

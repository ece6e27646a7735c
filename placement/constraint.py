"""What a constraint is: one file of `placement/constraints/` that says everything about one rule of placement.

A constraint is a frozen value with the data that a problem's document gives it. It tells four readers the
same thing in their own terms: solvers (`post`), the online kernel (`admit`), the checker (`check` and
`cost`, which share no code with the first two), and people (`blocked` and `why`).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from catalog.base import Value
from policies.decisions import Rejection

if TYPE_CHECKING:
    from placement.arrays import Bool, Int64
    from placement.crowding import Crowding
    from placement.kernel import Kernel
    from placement.model import Model
    from placement.placed import Placed
    from placement.problem import PlacementProblem
    from placement.seats import Seats


class Constraint(Value):
    """The promises of every constraint; each method's default is that of one which has nothing to say there.

    "Provider" is where requests sit: a host where the problem has hosts, otherwise a pool. Every subclass
    but the ones that always hold has a field ``kind: Literal["..."]``, named as its file.
    """

    always: ClassVar[bool] = False
    """Whether it holds for every problem, without being written into one."""
    terms: ClassVar[tuple[str, ...]] = ()
    """The terms of the objective that it adds to."""

    def fact(self, problem: "PlacementProblem") -> str:
        """What it asks for, as a sentence of a conflict: ``a machine must fit on one host``."""
        return f"the constraint '{type(self).__module__.rpartition('.')[2]}' must be kept"

    def problems(self, problem: "PlacementProblem") -> Iterator[str]:
        """Each mistake in its data that only the problem shows, starting with its path below the constraint.

        ``requests[2]: there is no request 'web-9'``.
        """
        yield from ()

    def labels(self, problem: "PlacementProblem") -> "Int64 | None":
        """[R] or [R, n] what tells requests apart for this constraint; None where all are alike to it.

        Requests with equal labels, demand, prices and refusals are one class: solvers decide how many of
        them go where, not which.
        """
        return None

    def crowding(self, problem: "PlacementProblem") -> "Crowding | None":
        """How many of whom there can be in a domain at most, where that is known; nothing depends on its being told."""
        return None

    def post(self, model: "Model") -> None:
        """Forbid cells, post rows and add costs, so that the model's solutions are just the plans that keep it."""

    def admit(self, kernel: "Kernel") -> None:
        """Tell the online kernel the same, in its primitives."""

    def check(self, problem: "PlacementProblem", seats: "Seats") -> Iterator[str]:
        """Each breach of a finished plan in words, with the values; no solver, no code of `post` or `admit`."""
        yield from ()

    def cost(self, problem: "PlacementProblem", seats: "Seats") -> Mapping[str, int]:
        """What the plan costs by term of the objective, counted without the model."""
        return {}

    def concerns(self, problem: "PlacementProblem") -> "Bool | None":
        """[R] the requests for which it may block a provider; None: any. `blocked` need not be asked for the others."""
        return None

    def blocked(self, after: "Placed", request: int) -> "Bool | None":
        """[V] the providers that could not take this request, in addition to everything else in the plan.

        None where it never blocks any. Where the request has a provider, it is judged as if it had none.
        """
        return None

    def why(self, after: "Placed", request: int, provider: int) -> Iterator[Rejection]:
        """What stands against one blocked provider: rule, dimension, limit, need, and what would help."""
        yield from ()

    def why_each(
        self, after: "Placed", request: int, providers: list[int]
    ) -> Iterator[tuple[Rejection, ...]]:
        """`why` of several blocked providers, in their order: for constraints that find it for all at once more quickly."""
        return (tuple(self.why(after, request, provider)) for provider in providers)

    def choice_name(self, problem: "PlacementProblem", choice: int) -> str:
        """What people call a choice that this constraint asks for (a datastore's name); `choice` as in `Seats`."""
        return str(choice)

    def choice_count(self, problem: "PlacementProblem") -> int:
        """How many choices there are at most: they are 0, 1, ... up to it."""
        return 0

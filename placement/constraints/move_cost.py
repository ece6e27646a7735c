"""Moving a machine that runs costs money: the migration, its risk, the window in which it is done."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from placement.amounts import Micros
from placement.arrays import Int64
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.problem import PlacementProblem
from placement.references import members, unknown_requests
from placement.seats import Seats


class MoveCost(Constraint):
    """Each machine that leaves the provider where it runs today costs this, as the plan's `moves` count them.

    A machine that finds no place any more leaves as well; placing one that did not run costs nothing.
    """

    terms: ClassVar[tuple[str, ...]] = ("moving",)

    kind: Literal["move_cost"] = "move_cost"
    cost_micros: FrozenMapping[str, Micros] = Field(default_factory=dict)
    """By the name of a request, or of a group for all of its requests; a request's own name goes first.

    Of several groups with the same request, the one that stands last counts.
    """
    default_cost_micros: Micros = 0
    """What all others cost."""

    def fact(self, problem: PlacementProblem) -> str:
        """That moving costs."""
        return "a machine that leaves where it runs costs money"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names."""
        for name in self.cost_micros:
            for text in unknown_requests(problem, "cost_micros", (name,)):
                yield text.replace("[0]", f".{name}", 1)

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R] what leaving costs; 0 for those that do not run."""
        costs = np.full(len(problem.request_ids), self.default_cost_micros, dtype=np.int64)
        for name in sorted(self.cost_micros, key=problem.request_positions.__contains__):
            costs[members(problem, (name,))] = self.cost_micros[name]
        if problem.current is None:
            return np.zeros_like(costs)
        return np.where(problem.current >= 0, costs, 0)

    def post(self, model: Model) -> None:
        """All that run pay, and who stays gets it back: ``cost * (running - staying)``."""
        costs = self.labels(model.problem)[model.classes.one]
        if not costs.any():
            return
        at_home = np.minimum(model.classes.current, model.upper) * (costs > 0)[:, None]
        home = np.flatnonzero(at_home)
        n = len(home)
        stay = model.variables(np.zeros(n, dtype=np.int64), at_home.reshape(-1)[home])
        row = np.tile(np.arange(n, dtype=np.int64), 2)
        signs = np.repeat(np.array([1, -1], dtype=np.int64), n)
        limits = np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64)
        model.rows(row, np.concatenate([stay, home]), signs, *limits)
        model.cost("moving", stay, -costs[home // model.shape[1]])
        one = np.ones(1, dtype=np.int64)
        running = model.classes.current.sum(axis=1)
        model.cost("moving", model.variables(one, one), np.array([(costs * running).sum()], dtype=np.int64))

    def admit(self, kernel: Kernel) -> None:
        """Going where none of a class runs costs each the move.

        The kernel prices classes, not single machines: who goes where another of its class runs is told
        nothing here, so its figure is never above the true one, which is counted of every finished plan.
        """
        costs = self.labels(kernel.problem)[kernel.classes.one]
        kernel.price("moving", np.where(kernel.classes.current == 0, costs[:, None], 0))

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Nothing: moving is paid for, not forbidden."""
        yield from ()

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The sum over machines that are no longer where they run."""
        if problem.current is None:
            return {"moving": 0}
        pairs = zip(problem.request_ids, problem.current.tolist(), seats.provider_of.tolist(), strict=True)
        return {
            "moving": sum(
                self._cost_of(problem, name) for name, was, now in pairs if was >= 0 and now != was
            )
        }

    def _cost_of(self, problem: PlacementProblem, request: str) -> int:
        if request in self.cost_micros:
            return self.cost_micros[request]
        groups = [g for g in self.cost_micros if request in problem.groups.get(g, ())]
        return self.cost_micros[groups[-1]] if groups else self.default_cost_micros

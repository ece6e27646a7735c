"""Providers in maintenance take nothing new, and what runs there may stay or must leave."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import called, pool_name
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import seats_named, unknown_providers
from placement.seats import Seats
from policies.decisions import Rejection


class Maintenance(Constraint):
    """Only machines that run on a provider in maintenance today may be there, and none where it is evacuated."""

    kind: Literal["maintenance"] = "maintenance"
    providers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ids of hosts, or of pools, which means all of their hosts."""
    evacuate: bool = False
    """Whether running machines must leave too; false: they may stay where they are, but not move from one to another."""

    def fact(self, problem: PlacementProblem) -> str:
        """What is closed."""
        one = len(self.providers) == 1
        closed = "evacuated for maintenance"
        if not self.evacuate:
            closed = f"in maintenance and take{'s' if one else ''} nothing new"
        return f"{called(self.providers)} {'is' if one else 'are'} {closed}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown hosts and pools."""
        yield from unknown_providers(problem, "providers", self.providers)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Those who may stay are told apart by where they run."""
        if self.evacuate or problem.current is None:
            return None
        here = seats_named(problem, self.providers)
        return np.where((problem.current >= 0) & here[problem.current], problem.current, -1)

    def post(self, model: Model) -> None:
        """Every cell in maintenance is forbidden, but for those who run there and may stay."""
        model.forbid(self._closed(model.problem, model.classes.one))

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        kernel.forbid(self._closed(kernel.problem, kernel.classes.one))

    def _closed(self, problem: PlacementProblem, one: Int64) -> Bool:
        """[G, V]."""
        cells = np.tile(seats_named(problem, self.providers), (len(one), 1))
        if not self.evacuate and problem.current is not None:
            home = problem.current[one]
            runs = np.flatnonzero(home >= 0)
            cells[runs, home[runs]] = False
        return cells

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine on a provider in maintenance that was not there before, or should have left."""
        before = [-1] * len(problem.request_ids) if problem.current is None else problem.current.tolist()
        for i, v in enumerate(seats.provider_of.tolist()):
            if v < 0 or not {problem.providers.ids[v], pool_name(problem, v)} & set(self.providers):
                continue
            if self.evacuate or before[i] != v:
                rule = (
                    "is evacuated for maintenance"
                    if before[i] == v
                    else "is in maintenance and takes nothing new"
                )
                yield f"{problem.request_ids[i]}: {problem.providers.ids[v]} {rule}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider in maintenance, but for the one that it may stay on."""
        blocked = seats_named(after.problem, self.providers)
        if not self.evacuate and after.problem.current is not None and after.problem.current[request] >= 0:
            blocked[after.problem.current[request]] = False
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """That it is in maintenance."""
        problem, name = after.problem, after.problem.providers.ids[provider]
        runs_here = problem.current is not None and problem.current[request] == provider
        yield Rejection(
            rule_id="maintenance",
            pool=pool_name(problem, provider),
            dimension="maintenance",
            limit="evacuated" if self.evacuate else "nothing new",
            need="to stay" if runs_here else "to come",
            why=f"{name} is evacuated for maintenance"
            if runs_here
            else f"{name} is in maintenance and takes nothing new",
            remedy=f"end the maintenance of {name}, or choose another host",
        )

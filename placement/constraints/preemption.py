"""Machines that run keep a place, except those that may be given up for requests of higher priority."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.grouping import called
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.problem import PlacementProblem
from placement.references import members, unknown_requests
from placement.seats import Seats


class Preemption(Constraint):
    """Every other machine with a `current` provider is placed, there or elsewhere; otherwise there is no plan.

    Without this constraint any machine may lose its place to one of higher priority. Placing the most of the
    highest priority goes first, so as few as possible of the lower ones are without; among equal priorities
    the objective decides, so a machine that new ones of its own priority must not replace is not preemptible. `Plan.preempted` names them. It is about whether a machine has a place, never about
    which, so it blocks no provider. Where not all can be placed, solving raises `Infeasible`.
    """

    kind: Literal["preemption"] = "preemption"
    preemptible: tuple[str, ...] = ()
    """Requests, or groups for all of theirs; those that do not run today are never bound by it."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who keeps a place."""
        but = f", except {called(self.preemptible)}" if self.preemptible else ""
        return f"machines that run must keep a place{but}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names. Whether all that must stay can stay is for the solver to find out."""
        yield from unknown_requests(problem, "preemptible", self.preemptible)

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R] 1 for those that must keep a place."""
        if problem.current is None:
            return np.zeros(len(problem.request_ids), dtype=np.int64)
        must = (problem.current >= 0) & ~members(problem, self.preemptible)
        return must.astype(np.int64)

    def post(self, model: Model) -> None:
        """One row for each class that must keep its places: all of them."""
        must = np.flatnonzero(self.labels(model.problem)[model.classes.one])
        if len(must) == 0:
            return
        cells = model.cells()[must]
        row = np.repeat(np.arange(len(must), dtype=np.int64), cells.shape[1])
        all_of_them = model.classes.count[must]
        every = np.full(len(must), NO_LIMIT)
        model.rows(row, cells.reshape(-1), np.ones(cells.size, dtype=np.int64), all_of_them, every)

    def admit(self, kernel: Kernel) -> None:
        """Nothing: the kernel takes requests one at a time, and takes no place from anyone by itself."""

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine that runs, may not be given up, and has no place."""
        if problem.current is None:
            return
        spared = {one for name in self.preemptible for one in problem.groups.get(name, (name,))}
        for i, (was, now) in enumerate(
            zip(problem.current.tolist(), seats.provider_of.tolist(), strict=True)
        ):
            name = problem.request_ids[i]
            if was >= 0 > now and name not in spared:
                yield f"{name}: runs on {problem.providers.ids[was]}, is not preemptible, and has no place"

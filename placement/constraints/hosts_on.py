"""A host that runs costs money, and only so many may run."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from placement.amounts import Count, Micros
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import in_words
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import seats_named, unknown_providers
from placement.seats import Seats
from policies.decisions import Rejection


class HostsOn(Constraint):
    """A host is on where any request sits on it; so is a pool, where a problem does not look inside pools."""

    terms: ClassVar[tuple[str, ...]] = ("hosts_on",)

    kind: Literal["hosts_on"] = "hosts_on"
    hosts: tuple[str, ...] = ()
    """The hosts, or pools for all of their hosts, that it is about; all where none are named."""
    cost_micros: FrozenMapping[str, Micros] = Field(default_factory=dict)
    """What each costs over the horizon while it is on; a pool's name stands for those hosts that are not named."""
    default_cost_micros: Micros = 0
    """What all others cost."""
    already_on: tuple[str, ...] = ()
    """Hosts or pools that run anyway: they cost nothing, and count among `most_on`."""
    most_on: Count | None = None
    """How many of `hosts` may be on, with those that run anyway."""

    def fact(self, problem: PlacementProblem) -> str:
        """How many may be on."""
        what = "hosts" if problem.providers.are_hosts else "pools"
        if self.most_on is None:
            return f"{what} that are on cost money"
        return f"at most {self.most_on} {f'of {in_words(self.hosts)}' if self.hosts else what} may be on"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, and a limit that those which run anyway exceed."""
        wrong = [
            *unknown_providers(problem, "hosts", self.hosts),
            *(
                t.replace("[0]", f".{name}", 1)
                for name in self.cost_micros
                for t in _no_provider(problem, name)
            ),
            *unknown_providers(problem, "already_on", self.already_on),
        ]
        yield from wrong
        if self.most_on is not None and not wrong:
            running = int((seats_named(problem, self.already_on) & self._concerned(problem)).sum())
            if running > self.most_on:
                yield f"most_on: {self.most_on} is less than the {running} of already_on; name fewer there"

    def costs_of(self, problem: PlacementProblem) -> Int64 | None:
        """[V] what each costs while it is on, where nothing but that is asked for; None where there is a limit."""
        if self.most_on is not None:
            return None
        counts = self._concerned(problem) & ~seats_named(problem, self.already_on)
        return np.where(counts, self._costs(problem), 0)

    def post(self, model: Model) -> None:
        """A column for each that may be switched on; while it is 0, nothing sits there."""
        problem = model.problem
        running = seats_named(problem, self.already_on)
        mine, costs = self._concerned(problem), self._costs(problem)
        off = np.flatnonzero(mine & ~running & ((costs > 0) | (self.most_on is not None)))
        if len(off) == 0:
            return
        on = model.booleans(len(off))
        _tie_cells(model, off, on)
        _tie_room(model, off, on)
        model.cost("hosts_on", on, costs[off])
        if self.most_on is not None:
            ones = np.ones(len(off), dtype=np.int64)
            model.at_most(on, ones, self.most_on - int((mine & running).sum()))

    def admit(self, kernel: Kernel) -> None:
        """What opening each costs. The kernel has no primitive for `most_on`: plans of its making are checked."""
        problem = kernel.problem
        counts = self._concerned(problem) & ~seats_named(problem, self.already_on)
        every = np.arange(len(counts), dtype=np.int64)
        anyone = np.ones(len(kernel.classes.one), dtype=np.bool_)
        kernel.opening("hosts_on", anyone, every, np.where(counts, self._costs(problem), 0))

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """More than may be on."""
        on = self._names_on(problem, seats) | set(self._expand(problem, self.already_on))
        on &= set(self._expand(problem, self.hosts or problem.pool_ids))
        if self.most_on is not None and len(on) > self.most_on:
            yield f"hosts_on: {len(on)} are on ({', '.join(sorted(on))}), more than {self.most_on}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """Each that is on and would not run anyway, once."""
        ours = set(self._expand(problem, self.hosts or problem.pool_ids))
        total = 0
        for name in self._names_on(problem, seats) & ours - set(self._expand(problem, self.already_on)):
            pool = problem.pool_ids[int(problem.providers.pool_of[problem.provider_positions[name]])]
            total += self.cost_micros.get(name, self.cost_micros.get(pool, self.default_cost_micros))
        return {"hosts_on": total}

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Those that are off, where no more may be on."""
        if self.most_on is None:
            return None
        mine, on = self._on_without(after, request)
        if int(on.sum()) < self.most_on:
            return None
        blocked: Bool = mine & ~on
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """How many are on, and which."""
        blocked = self.blocked(after, request)
        if blocked is None or not blocked[provider]:
            return
        providers = after.problem.providers
        what = "hosts" if providers.are_hosts else "pools"
        _, on = self._on_without(after, request)
        names = [providers.ids[v] for v in np.flatnonzero(on).tolist()]
        yield Rejection(
            rule_id="hosts-on",
            pool=after.problem.pool_ids[providers.pool_of[provider]],
            dimension="most_on",
            limit=f"{self.most_on} {what}",
            need=f"{len(names) + 1} {what}",
            why=f"{providers.ids[provider]} is off, and {len(names)} of at most {self.most_on} {what} are on",
            remedy=f"free room on {' or '.join(names)}, or let {len(names) + 1} be on"
            if names
            else f"let {len(names) + 1} be on",
        )

    def _on_without(self, after: Placed, request: int) -> tuple[Bool, Bool]:
        """[V] whom it is about, and which of them are on when the request sits nowhere."""
        problem = after.problem
        others = np.delete(after.provider_of, request)
        on = seats_named(problem, self.already_on)
        on[others[others >= 0]] = True
        mine = self._concerned(problem)
        return mine, on & mine

    def _concerned(self, problem: PlacementProblem) -> Bool:
        return seats_named(problem, self.hosts or problem.pool_ids)

    def _costs(self, problem: PlacementProblem) -> Int64:
        """[V]; hosts' own after their pools'."""
        costs = np.full(len(problem.providers.ids), self.default_cost_micros, dtype=np.int64)
        for name, micros in self.cost_micros.items():
            if name in problem.pool_ids:
                costs[seats_named(problem, (name,))] = micros
        for name, micros in self.cost_micros.items():
            if name in problem.provider_positions:
                costs[problem.provider_positions[name]] = micros
        return costs

    @staticmethod
    def _names_on(problem: PlacementProblem, seats: Seats) -> set[str]:
        return {problem.providers.ids[v] for v in seats.provider_of.tolist() if v >= 0}

    @staticmethod
    def _expand(problem: PlacementProblem, names: tuple[str, ...]) -> Iterator[str]:
        """The providers behind names, for the checker."""
        for name, pool in zip(problem.providers.ids, problem.providers.pool_of.tolist(), strict=True):
            if name in names or problem.pool_ids[pool] in names:
                yield name


def _no_provider(problem: PlacementProblem, name: str) -> Iterator[str]:
    return unknown_providers(problem, "cost_micros", (name,))


def _tie_cells(model: Model, off: Int64, on: Int64) -> None:
    """``cell <= most * on``, where `most` is also what the room alone would take of the class."""
    problem, demand = model.problem, model.classes.demand
    most = model.upper[:, off].copy()
    for k in () if model.apart else range(len(problem.resource_classes)):
        need = demand[:, k] > 0
        fits = problem.providers.free[None, off, k] // np.maximum(demand[:, k], 1)[:, None]
        most[need] = np.minimum(most, fits)[need]
    cells = model.cells()[:, off].reshape(-1)
    n = len(cells)
    row = np.tile(np.arange(n, dtype=np.int64), 2)
    coefficient = np.concatenate([np.ones(n, dtype=np.int64), -most.reshape(-1)])
    columns = np.concatenate([cells, np.tile(on, len(demand))])
    model.rows(row, columns, coefficient, np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64))


def _tie_room(model: Model, off: Int64, on: Int64) -> None:
    """``use <= free * on``: follows from the others in whole numbers, and makes fractions of a host cost their share."""
    problem, classes = model.problem, model.classes
    if model.apart or problem.periods is not None:
        return  # Of periods: not all are there at the same time, so their sum may be more than what is free.
    g, n = len(classes.one), len(off)
    cells = model.cells()[:, off].reshape(-1)
    row = np.concatenate([np.tile(np.arange(n, dtype=np.int64), g), np.arange(n, dtype=np.int64)])
    for k in np.flatnonzero(problem.providers.own).tolist():
        coefficient = np.concatenate([np.repeat(classes.demand[:, k], n), -problem.providers.free[off, k]])
        limits = np.full(n, -NO_LIMIT), np.zeros(n, dtype=np.int64)
        model.rows(row, np.concatenate([cells, on]), coefficient, *limits)

"""CP-SAT over counts of shapes on some hosts: exact for small problems, a large step for parts of others.

Requests of one shape are one count, identical hosts are ordered, and one worker with a fixed seed and
deterministic limits gives the same answer again.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.arrays import Bool, Int64
from placement.budget import Budget
from placement.hosts.cuts import Cut
from placement.hosts.kinds import Kinds
from placement.hosts.problem import UNPLACED_COST


@dataclass(frozen=True, eq=False)
class Part:
    """Some hosts, and all requests that are on them or nowhere."""

    hosts: Int64
    """[S] positions, in ascending order."""
    shapes: Int64
    """[G] which shapes there are."""
    now: Int64
    """[G, S] how many of each are on each host now."""
    out: Int64
    """[G] how many have no host now."""


@dataclass(frozen=True, eq=False)
class Answer:
    """`counts` [G, S], None when nothing better exists or was found; `bound` of the part's objective."""

    counts: Int64 | None
    bound: int


def part_of(kinds: Kinds, host_of: Int64, hosts: Int64) -> Part:
    """The part of a plan on `hosts`, with what has no host."""
    position = np.full(len(kinds.kind_of) + 1, -1, dtype=np.int64)
    position[hosts] = np.arange(len(hosts))
    position[-1] = len(hosts)
    at = position[host_of]
    inside = (at >= 0) & (kinds.shape_of >= 0)
    counts = np.zeros((len(kinds.count), len(hosts) + 1), dtype=np.int64)
    np.add.at(counts, (kinds.shape_of[inside], at[inside]), 1)
    shapes = np.flatnonzero(counts.any(axis=1))
    return Part(hosts, shapes, counts[shapes, :-1], counts[shapes, -1])


def seated(kinds: Kinds, host_of: Int64, part: Part, counts: Int64) -> Int64:
    """The plan with the part's requests where `counts` [G, S] say; identical ones in their order."""
    host_of = host_of.copy()
    moving = np.isin(host_of, part.hosts) | (host_of < 0)
    for g, shape in enumerate(part.shapes.tolist()):
        requests = np.flatnonzero(moving & (kinds.shape_of == shape))
        host_of[requests] = -1
        places = np.repeat(part.hosts, counts[g])
        host_of[requests[: len(places)]] = places
    return host_of


def improve(
    kinds: Kinds, part: Part, cuts: list[Cut], budget: Budget, deterministic_time: float, least: int | None
) -> Answer:
    """The best for a part, at most `deterministic_time`.

    With `least`, a lower bound of the objective, the whole is asked for and the answer's bound is proven;
    without, only something better than now is.
    """
    model = _Model(kinds, part)
    whole = least is not None
    if whole:
        model.post_cuts(cuts)
    model.minimise(least or 0, None if whole else model.worth_now() - 1)
    return model.solve(budget, deterministic_time)


class _Model:
    def __init__(self, kinds: Kinds, part: Part) -> None:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - takes seconds; many problems need none

        self._cp: Any = cp_model
        self._model: Any = cp_model.CpModel()
        self._kinds, self._part = kinds, part
        self._kind = kinds.kind_of[part.hosts]
        self._on = [self._model.new_bool_var("") for _ in part.hosts]
        self._out = [self._model.new_int_var(0, int(n), "") for n in part.now.sum(axis=1) + part.out]
        self._count = self._counts()
        self._post_rows()
        self._order_hosts()
        self._hint()

    def post_cuts(self, cuts: list[Cut]) -> None:
        """What the hosts that are on must be worth; each unplaced request lowers it by at most the most."""
        for cut in cuts:
            need, most = cut.need(self._kinds, 0), int(cut.weight.max(initial=0))
            value = cut.value[self._kind].tolist()
            terms = [*self._on, *self._out]
            self._model.add(
                self._cp.LinearExpr.weighted_sum(terms, [*value, *[most] * len(self._out)]) >= need
            )

    def worth_now(self) -> int:
        """The objective of the part as it is."""
        cost = self._kinds.cost[self._kind][self._part.now.any(axis=0)].sum()
        return int(cost) + UNPLACED_COST * int(self._part.out.sum())

    def minimise(self, low: int, high: int | None) -> None:
        """Unplaced requests, then the cost of hosts; between `low` and `high`."""
        costs = [*self._kinds.cost[self._kind].tolist(), *[UNPLACED_COST] * len(self._out)]
        objective = self._cp.LinearExpr.weighted_sum([*self._on, *self._out], costs)
        self._model.add(objective >= low)
        if high is not None:
            self._model.add(objective <= high)
        self._model.minimize(objective)

    def solve(self, budget: Budget, deterministic_time: float) -> Answer:
        """Run CP-SAT and take what it used off the budget."""
        solver: Any = self._cp.CpSolver()
        solver.parameters.num_workers = 1  # More workers race, and ties then fall by chance.
        solver.parameters.random_seed = budget.seed
        solver.parameters.max_deterministic_time = max(
            0.0, min(budget.deterministic_time, deterministic_time)
        )
        solver.parameters.max_time_in_seconds = max(0.0, budget.time_limit_s)
        status = solver.solve(self._model)
        budget.spend(solver.deterministic_time, solver.wall_time)
        if status == self._cp.MODEL_INVALID:
            raise AssertionError(self._model.validate())
        if status not in {self._cp.OPTIMAL, self._cp.FEASIBLE}:
            return Answer(None, 0)
        counts = [[0 if n is None else int(solver.value(n)) for n in row] for row in self._count]
        bound = int(solver.response_proto.inner_objective_lower_bound)
        return Answer(np.array(counts, dtype=np.int64).reshape(self._part.now.shape), bound)

    def _counts(self) -> list[list[Any]]:
        kinds, part = self._kinds, self._part
        demand = kinds.demand[part.shapes]
        capacity = kinds.capacity[self._kind]
        total = part.now.sum(axis=1) + part.out
        most = np.repeat(total[:, None], len(part.hosts), axis=1)
        for k in range(demand.shape[1]):
            used = demand[:, k] > 0
            most[used] = np.minimum(most[used], capacity[None, :, k] // demand[used, k][:, None])
        return [[self._model.new_int_var(0, n, "") if n else None for n in row] for row in most.tolist()]

    def _post_rows(self) -> None:
        part, kinds = self._part, self._kinds
        total = part.now.sum(axis=1) + part.out
        for row, out, n in zip(self._count, self._out, total.tolist(), strict=True):
            self._model.add(self._cp.LinearExpr.sum([*(x for x in row if x is not None), out]) == n)
        demand = kinds.demand[part.shapes].tolist()
        for s, on in enumerate(self._on):
            here = [g for g in range(len(part.shapes)) if self._count[g][s] is not None]
            for k, has in enumerate(kinds.capacity[self._kind[s]].tolist()):
                terms, sizes = [self._count[g][s] for g in here], [demand[g][k] for g in here]
                self._model.add(self._cp.LinearExpr.weighted_sum([*terms, on], [*sizes, -has]) <= 0)
            for g in here:
                if not any(demand[g]):  # nothing else says that a host of such a request is on
                    self._model.add(self._count[g][s] <= int(total[g]) * on)

    def _order_hosts(self) -> None:
        """Of identical hosts the first are on, so that only one of many equal answers is looked at."""
        for s, on in enumerate(self._on):
            before = np.flatnonzero(self._kind[:s] == self._kind[s])
            if len(before):
                self._model.add_implication(on, self._on[before[-1]])

    def _hint(self) -> None:
        """The part as it is, its identical hosts in an order that the model allows."""
        used: Bool = np.any(self._part.now, axis=0)
        order = np.arange(len(self._part.hosts))
        for kind in np.unique(self._kind):
            same = np.flatnonzero(self._kind == kind)
            order[same] = same[np.argsort(~used[same], kind="stable")]
        now = self._part.now[:, order]
        for s, on in enumerate(self._on):
            self._model.add_hint(on, int(used[order[s]]))
            for g, row in enumerate(self._count):
                if row[s] is not None:
                    self._model.add_hint(row[s], int(now[g, s]))
        for out, n in zip(self._out, self._part.out.tolist(), strict=True):
            self._model.add_hint(out, n)

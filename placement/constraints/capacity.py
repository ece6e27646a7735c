"""No provider, and no pool, gives more of any resource than it has free; overcommit and reserve are in that figure."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import gt
from typing import ClassVar

import numpy as np

from catalog.units import amount_more, amount_of, format_amount
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.placed import Placed, exceeds
from placement.problem import PlacementProblem
from placement.seats import Seats
from policies.decisions import Rejection


class Capacity(Constraint):
    """One limit for each provider and resource, and of hosts one for their pool; in each slot of time, if there are any."""

    always: ClassVar[bool] = True

    def fact(self, problem: PlacementProblem) -> str:
        """As in a sentence."""
        return "no host or pool gives more than it has free"

    def post(self, model: Model) -> None:
        """One packing row for each limit."""
        hosts, providers = model.problem.hosts is not None, model.problem.providers
        each = _of_each(model)
        pools = _of_pools(model) if hosts else each
        every = np.arange(len(model.problem.pool_ids), dtype=np.int64)
        for there, free, pool_free in _slots(model.problem, model.classes.one):
            for k, own in enumerate(providers.own.tolist()):
                demand = model.classes.demand[:, k] * there
                if own:
                    _post(model, each, demand, free[:, k], _about(model.problem, providers.pool_of, k))
                if hosts:
                    _post(model, pools, demand, pool_free[:, k], _about(model.problem, every, k))

    def admit(self, kernel: Kernel) -> None:
        """The same, one sum for each slot of time."""
        providers = kernel.problem.providers
        every = np.arange(len(providers.ids), dtype=np.int64)
        for there, free, pool_free in _slots(kernel.problem, kernel.classes.one):
            for k, own in enumerate(providers.own.tolist()):
                demand = kernel.classes.demand[:, k] * there
                if own:
                    kernel.at_most(demand, every, free[:, k])
                if kernel.problem.hosts is not None:
                    kernel.at_most(demand, providers.pool_of, pool_free[:, k])

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each resource of each provider or pool of which more is taken than was free, in any slot of time."""
        periods = problem.periods
        for slot in range(1 if periods is None else len(periods.names)):
            when = "" if periods is None else f" in {periods.names[slot]}"
            for text in _overfull(problem, seats, slot):
                yield f"{text}{when}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider on which any resource would be short."""
        return exceeds(after.problem.demand[request], after.left(request))

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each resource that is short once the plan is carried out.

        What is too large for a single machine there is left to `largest`: freeing room would not help.
        """
        (reasons,) = self.why_each(after, request, [provider])
        yield from reasons

    def why_each(
        self, after: Placed, request: int, providers: list[int]
    ) -> Iterator[tuple[Rejection, ...]]:
        """The same of each."""
        demand = after.problem.demand[request].tolist()
        left = after.left(request)[providers].tolist()
        largest = after.problem.providers.largest[providers].tolist()
        for provider, has, most in zip(providers, left, largest, strict=True):
            short = [k for k, need in enumerate(demand) if has[k] < need <= most[k]]
            others = _others(after, request, provider, demand) if short else ""
            yield tuple(_reason(after, provider, k, demand[k], has[k], others) for k in short)


def _reason(after: Placed, provider: int, k: int, need: int, limit: int, others: str) -> Rejection:
    key = "capacity", provider, k, need, limit, others
    found = after.said.get(key)
    if found is None:
        found = after.said[key] = _short(after.problem, provider, k, need, limit, others)
    return found


def _short(
    problem: PlacementProblem, provider: int, k: int, need: int, limit: int, others: str
) -> Rejection:
    providers, resource_class = problem.providers, problem.resource_classes[k]
    pool = problem.pool_ids[providers.pool_of[provider]]
    name = providers.ids[provider] if providers.own[k] else pool
    has, wants, more, lacks = _amounts(resource_class, limit, need)
    return Rejection(
        rule_id="capacity",
        pool=pool,
        dimension=resource_class,
        limit=has,
        need=wants,
        why=f"{more} would have to be free on {name}{others}",
        remedy=f"free {lacks} on {name}, or order a smaller size",
    )


@lru_cache(maxsize=4096)
def _amounts(resource_class: str, limit: int, need: int) -> tuple[str, str, str, str]:
    """What there is, what is needed, and what is missing in two ways, in words: sizes are few, and come again and again."""
    missing = need - limit
    return (
        format_amount(resource_class, max(0, limit)),
        format_amount(resource_class, need),
        amount_more(resource_class, missing),
        amount_of(resource_class, missing),
    )


def _slots(problem: PlacementProblem, requests: Int64) -> Iterator[tuple[Int64, Int64, Int64]]:
    """For each slot of time: whether these requests are there, and what is free [V, K] and [P, K]."""
    providers, periods = problem.providers, problem.periods
    if periods is None:
        yield np.ones(len(requests), dtype=np.int64), providers.free, problem.free
        return
    for slot in range(len(periods.names)):
        there = (periods.first[requests] <= slot) & (slot < periods.end[requests])
        pool_free = problem.free.copy()
        np.subtract.at(pool_free, providers.pool_of, periods.taken[slot])
        yield there.astype(np.int64), providers.free - periods.taken[slot], pool_free


def _of_each(model: Model) -> tuple[Int64, Int64, Int64]:
    """Row, cell and class of every entry of a row for each provider; row after row, so that nobody has to sort them."""
    g, v = model.shape
    row, of = np.repeat(np.arange(v, dtype=np.int64), g), np.tile(np.arange(g, dtype=np.int64), v)
    return row, model.cells().T.reshape(-1), of


def _of_pools(model: Model) -> tuple[Int64, Int64, Int64]:
    """The same of a row for each pool, where there are hosts."""
    problem, g = model.problem, model.shape[0]
    by_pool = problem.providers.by_pool
    inside = np.split(by_pool.order, by_pool.start[1:]) if len(by_pool.order) else []
    cells = [model.cells()[:, hosts].reshape(-1) for hosts in inside]
    of = [np.repeat(np.arange(g, dtype=np.int64), len(hosts)) for hosts in inside]
    empty = np.empty(0, dtype=np.int64)
    row = np.repeat(by_pool.pools, by_pool.count * g)
    return row, np.concatenate([empty, *cells]), np.concatenate([empty, *of])


def _post(
    model: Model, entries: tuple[Int64, Int64, Int64], demand: Int64, free: Int64, about: Int64
) -> None:
    row, cell, of = entries
    model.rows(row, cell, demand[of], np.full(len(free), -NO_LIMIT, dtype=np.int64), free, about)


def _about(problem: PlacementProblem, pool: Int64, k: int) -> Int64:
    """Which pool's room of which resource a row is about: ``pool * K + k``."""
    return pool * len(problem.resource_classes) + k


def _overfull(problem: PlacementProblem, seats: Seats, slot: int) -> Iterator[str]:
    """Counted in Python integers: what providers have, less what others and these requests take in one slot."""
    providers, periods = problem.providers, problem.periods
    left = dict(zip(providers.ids, providers.free.tolist(), strict=True))
    of_pool = dict(zip(problem.pool_ids, problem.free.tolist(), strict=True))
    pools = [problem.pool_ids[p] for p in providers.pool_of.tolist()]
    takers = list(zip(seats.provider_of.tolist(), problem.demand.tolist(), strict=True))
    if periods is not None:
        spans = zip(periods.first.tolist(), periods.end.tolist(), strict=True)
        takers = [t for t, (first, end) in zip(takers, spans, strict=True) if first <= slot < end]
        takers += list(enumerate(periods.taken[slot].tolist()))
    for v, amounts in takers:
        if v >= 0:
            left[providers.ids[v]] = [a - b for a, b in zip(left[providers.ids[v]], amounts, strict=True)]
            of_pool[pools[v]] = [a - b for a, b in zip(of_pool[pools[v]], amounts, strict=True)]
    own = providers.own.tolist() if providers.are_hosts else [True] * len(problem.resource_classes)
    limits = dict(zip(providers.ids, providers.free.tolist(), strict=True))
    yield from _short_of(problem, left, limits, own)
    if providers.are_hosts:
        of_pools = dict(zip(problem.pool_ids, problem.free.tolist(), strict=True))
        yield from _short_of(problem, of_pool, of_pools, [True] * len(own))


def _short_of(
    problem: PlacementProblem, left: dict[str, list[int]], limits: dict[str, list[int]], counts: list[bool]
) -> Iterator[str]:
    for name, amounts in left.items():
        for k, resource_class in enumerate(problem.resource_classes):
            if counts[k] and amounts[k] < 0:
                used, limit = limits[name][k] - amounts[k], limits[name][k]
                yield f"{name}: {resource_class} {used} is more than the {limit} that is free"


def _others(after: Placed, request: int, provider: int, demand: Sequence[int]) -> str:
    """Whether the request lost to others of its batch, rather than to what was there before."""
    problem = after.problem
    count = int(after.requests_on[provider]) - int(after.provider_of[request] == provider)
    if not count or any(map(gt, demand, problem.providers.free[provider].tolist())):
        return ""
    what = (
        "1 other request of this batch uses" if count == 1 else f"{count} other requests of this batch use"
    )
    return f": it would fit alone, but {what} the room"

"""The most loaded host is kept as little loaded as possible, and a share of every host stays free."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from catalog.units import amount_more, amount_of, format_amount, noun
from placement.amounts import PartsPerMillion
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

_WHOLE = 10**6
_LARGEST = 2**61


class Balance(Constraint):
    """Load is what is used of what is free at the start, in parts of a million, rounded up.

    The term `balance` is the largest load of any of its hosts in any of its resource classes (and in any slot
    of time, where what others hold then counts as used). What hosts share with their pool is the pool's load.
    It is made least where a level of the objective says so.
    """

    terms: ClassVar[tuple[str, ...]] = ("balance",)

    kind: Literal["balance"] = "balance"
    hosts: tuple[str, ...] = ()
    """The hosts, or pools for all of their hosts, that it is about; all where none are named."""
    resource_classes: tuple[str, ...] = ()
    """Those whose load counts; all where none are named."""
    headroom_ppm: FrozenMapping[str, PartsPerMillion] = Field(default_factory=dict)
    """Resource class -> the share of what is free at the start that requests must leave free on each."""

    def fact(self, problem: PlacementProblem) -> str:
        """What must stay free."""
        where = f"each host of {in_words(self.hosts)}" if self.hosts else "each host"
        kept = [f"{ppm / 10_000:g} % of {noun(name)}" for name, ppm in self.headroom_ppm.items()]
        if not kept:
            return "the most loaded host is loaded as little as possible"
        return f"{in_words(kept)} must stay free on {where}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, and amounts whose load does not fit into 61 bits."""
        yield from unknown_providers(problem, "hosts", self.hosts)
        known = ", ".join(problem.resource_classes)
        for n, name in enumerate(self.resource_classes):
            if name not in problem.resource_classes:
                yield f"resource_classes[{n}]: there is no resource class '{name}'; there are {known}"
        for name in self.headroom_ppm:
            if name not in problem.resource_classes:
                yield f"headroom_ppm.{name}: there is no resource class '{name}'; there are {known}"
        if _is_weighed(problem):
            for k, name in enumerate(problem.resource_classes):
                most = int(problem.demand[:, k].sum()) + int(problem.free[:, k].max(initial=0))
                if self._counts(name) and most * _WHOLE >= _LARGEST:
                    yield f"resource_classes: loads of {name} are too large to compare; name the others"

    def post(self, model: Model) -> None:
        """A column for the largest load, and rows ``million * use <= load * free``; and the limits of headroom."""
        problem = model.problem
        weighed = _is_weighed(problem) and not model.apart  # No load is above the whole: capacity's.
        (load,) = model.variables(*_bounds(_WHOLE)).tolist() if weighed else (-1,)
        for spots in self._spots(problem):
            name = problem.resource_classes[spots.k]
            for there, taken in _slots(problem, spots, model.classes.one):
                demand = model.classes.demand[:, spots.k] * there
                if load >= 0 and self._counts(name):
                    _post_load(model, spots, demand, taken, load)
                if name in self.headroom_ppm:
                    _post_limit(model, spots, demand, _limit(spots, self.headroom_ppm[name], taken))
        if load >= 0:
            model.cost("balance", np.array([load], dtype=np.int64), np.ones(1, dtype=np.int64))

    def admit(self, kernel: Kernel) -> None:
        """Headroom. The kernel has no primitive for the largest of loads, so it is told nothing of that term."""
        problem = kernel.problem
        for spots in self._spots(problem):
            ppm = self.headroom_ppm.get(problem.resource_classes[spots.k])
            for there, taken in _slots(problem, spots, kernel.classes.one) if ppm is not None else ():
                demand = kernel.classes.demand[:, spots.k] * there
                kernel.at_most(demand, spots.of, _limit(spots, ppm or 0, taken))

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each host or pool that is left less than its headroom."""
        for resource_class, ppm in self.headroom_ppm.items():
            k = problem.resource_classes.index(resource_class)
            for use in self._uses(problem, seats, k):
                kept = -(-use.free * ppm // _WHOLE)
                limit = max(0, use.free - kept - use.others)
                if use.requests > limit:
                    yield (
                        f"balance: {use.name}: {resource_class} {use.requests} is more than {limit}, "
                        f"where {kept} of {use.free} stay free{use.when}"
                    )

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The largest load."""
        counted = [
            problem.resource_classes.index(n) for n in self.resource_classes or problem.resource_classes
        ]
        uses = (use for k in counted for use in self._uses(problem, seats, k) if use.free)
        loads = (-(-(use.requests + use.others) * _WHOLE // use.free) for use in uses)
        return {"balance": max(loads, default=0)}

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Those that would have less than their headroom."""
        if not self.headroom_ppm:
            return None
        short = [self._short(after, request, spots) for spots in self._spots(after.problem)]
        found = [lack > 0 for lack in short if lack is not None]
        return np.logical_or.reduce(found) if found else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each resource of which too little would stay free."""
        problem = after.problem
        for spots in self._spots(problem):
            lack = self._short(after, request, spots)
            if lack is None or lack[provider] <= 0:
                continue
            name, short = problem.resource_classes[spots.k], int(lack[provider])
            need, where = int(problem.demand[request, spots.k]), spots.names[int(spots.of[provider])]
            share = f"{self.headroom_ppm[name] / 10_000:g} %"
            yield Rejection(
                rule_id="headroom",
                pool=problem.pool_ids[problem.providers.pool_of[provider]],
                dimension=name,
                limit=format_amount(name, max(0, need - short)),
                need=format_amount(name, need),
                why=f"{amount_more(name, short)} would have to be free on {where}, where {share} stay free",
                remedy=f"free {amount_of(name, short)} on {where}, order a smaller size, or keep less free",
            )

    def _counts(self, resource_class: str) -> bool:
        return not self.resource_classes or resource_class in self.resource_classes

    def _spots(self, problem: PlacementProblem) -> Iterator["_Spots"]:
        """By resource class, what has room of its own: hosts, or pools for what their hosts share."""
        providers = problem.providers
        mine = seats_named(problem, self.hosts or problem.pool_ids)
        every = np.arange(len(providers.ids), dtype=np.int64)
        for k, own in enumerate(providers.own.tolist()):
            of = every if own else providers.pool_of
            free, names = (providers.free, providers.ids) if own else (problem.free, problem.pool_ids)
            yield _Spots(k, np.where(mine, of, -1), of, free[:, k], names)

    def _short(self, after: Placed, request: int, spots: "_Spots") -> Int64 | None:
        """[V] how much is lacking for the request, at its worst time; None where nothing is to be kept free."""
        problem = after.problem
        need = problem.demand[request, spots.k]
        ppm = self.headroom_ppm.get(problem.resource_classes[spots.k])
        if ppm is None or need == 0:
            return None
        others = after.provider_of.copy()
        others[request] = -1
        seated = np.flatnonzero(others >= 0)
        worst = np.full(len(spots.of), -NO_LIMIT, dtype=np.int64)
        slots = _slots(problem, spots, np.arange(len(others), dtype=np.int64))
        for there, taken in slots:
            if there[request]:
                used = np.zeros(len(spots.free), dtype=np.int64)
                amounts = problem.demand[seated, spots.k] * there[seated]
                np.add.at(used, spots.where[others[seated]], amounts)
                lack = used + need - _limit(spots, ppm, taken)
                worst = np.maximum(worst, np.where(spots.of >= 0, lack[spots.of], -NO_LIMIT))
        return worst

    def _uses(self, problem: PlacementProblem, seats: Seats, k: int) -> Iterator["_Use"]:
        """What is used of one resource class, host by host or pool by pool, slot by slot; in Python integers."""
        providers, periods = problem.providers, problem.periods
        own = bool(providers.own[k])
        pools = [problem.pool_ids[p] for p in providers.pool_of.tolist()]
        spot_of = list(providers.ids) if own else pools
        wanted = set(self.hosts or problem.pool_ids)
        both = zip(spot_of, providers.ids, pools, strict=True)
        mine = {spot for spot, host, pool in both if host in wanted or pool in wanted}
        free = dict(zip(providers.ids, providers.free[:, k].tolist(), strict=True))
        if not own:
            free = dict(zip(problem.pool_ids, problem.free[:, k].tolist(), strict=True))
        for slot in range(1 if periods is None else len(periods.names)):
            use, others = dict.fromkeys(mine, 0), dict.fromkeys(mine, 0)
            for i, v in enumerate(seats.provider_of.tolist()):
                there = periods is None or periods.first[i] <= slot < periods.end[i]
                if v >= 0 and there and spot_of[v] in mine:
                    use[spot_of[v]] += int(problem.demand[i, k])
            if periods is not None:
                for spot, amount in zip(spot_of, periods.taken[slot, :, k].tolist(), strict=True):
                    if spot in mine:
                        others[spot] += amount
            when = "" if periods is None else f" in {periods.names[slot]}"
            for spot in sorted(mine):
                yield _Use(spot, free[spot], use[spot], others[spot], when)


@dataclass(frozen=True)
class _Use:
    name: str
    free: int
    requests: int
    others: int
    when: str


@dataclass(frozen=True, eq=False)
class _Spots:
    """What has room of its own of one resource class; D of them."""

    k: int
    of: Int64
    """[V] the spot of each provider that it is about, -1 for the others."""
    where: Int64
    """[V] the spot of each provider."""
    free: Int64
    """[D]."""
    names: tuple[str, ...]


def _is_weighed(problem: PlacementProblem) -> bool:
    return any(level.get("balance", 0) for level in problem.objective)


def _slots(problem: PlacementProblem, spots: _Spots, requests: Int64) -> Iterator[tuple[Int64, Int64]]:
    """For each slot of time: whether these requests are there, and what others take of each spot [D]."""
    periods = problem.periods
    if periods is None:
        yield np.ones(len(requests), dtype=np.int64), np.zeros_like(spots.free)
        return
    for slot in range(len(periods.names)):
        there = (periods.first[requests] <= slot) & (slot < periods.end[requests])
        taken = np.zeros_like(spots.free)
        np.add.at(taken, spots.where, periods.taken[slot, :, spots.k])
        yield there.astype(np.int64), taken


def _limit(spots: _Spots, ppm: int, taken: Int64) -> Int64:
    """[D] in Python integers, since a million times what is free may not fit into 64 bits."""
    most = np.array([free * (_WHOLE - ppm) // _WHOLE for free in spots.free.tolist()], dtype=np.int64)
    limit: Int64 = np.maximum(most - taken, 0)
    return limit


def _bounds(most: int) -> tuple[Int64, Int64]:
    return np.array([0], dtype=np.int64), np.array([most], dtype=np.int64)


def _entries(model: Model, spots: _Spots, demand: Int64) -> tuple[Int64, Int64, Int64]:
    """Row, column and coefficient of ``use`` of each spot that it is about."""
    mine = np.flatnonzero(spots.of >= 0)
    row = np.tile(spots.of[mine], len(demand))
    return row, model.cells()[:, mine].reshape(-1), np.repeat(demand, len(mine))


def _post_limit(model: Model, spots: _Spots, demand: Int64, limit: Int64) -> None:
    model.rows(*_entries(model, spots, demand), np.full(len(limit), -NO_LIMIT), limit)


def _post_load(model: Model, spots: _Spots, demand: Int64, taken: Int64, load: int) -> None:
    """Where nothing is free there is no load: capacity keeps it empty. Spots that it is not about have no row."""
    row, column, coefficient = _entries(model, spots, demand)
    loaded = np.unique(spots.of[spots.of >= 0])
    loaded = loaded[spots.free[loaded] > 0]
    position = np.full(len(spots.free), -1, dtype=np.int64)
    position[loaded] = np.arange(len(loaded))
    used = position[row] >= 0
    model.rows(
        np.concatenate([position[row[used]], position[loaded]]),
        np.concatenate([column[used], np.full(len(loaded), load, dtype=np.int64)]),
        np.concatenate([coefficient[used] * _WHOLE, -spots.free[loaded]]),
        np.full(len(loaded), -NO_LIMIT),
        -taken[loaded] * _WHOLE,
    )

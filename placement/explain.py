"""For each request every pool: what it costs there, and all that stands against it."""

from dataclasses import dataclass, field

import numpy as np

from placement import constraints
from placement.against import Against, against
from placement.arrays import Int64
from placement.classes import Classes, classes_of
from placement.constraint import Constraint
from placement.counterfactual import WouldHelp, would_help
from placement.placed import Placed
from placement.plan import Assignment, Candidate
from policies.decisions import Rejection


def assignments(after: Placed, classes: Classes | None = None) -> tuple[Assignment, ...]:
    """One assignment a request, with its candidates: the possible by cost, then the refused by tier.

    Room is judged as it is after the plan, so "refused" means that this request could not go there
    in addition to everything else. The pool that was chosen has no rejections.
    """
    explainer = _Explainer(after, classes or classes_of(after.problem))
    return tuple(explainer.assignment(i) for i in range(len(after.problem.request_ids)))


def explained(after: Placed, request: int) -> tuple[tuple[Candidate, ...], WouldHelp | None]:
    """Every pool for one request, in the same order, and the cheapest single change that would help; without a plan of all."""
    standing = against(after, request)
    return _candidates(standing, -1), would_help(standing)


_NO_ROOM = np.iinfo(np.int64).min


@dataclass
class _Explainer:
    after: Placed
    classes: Classes
    known: dict[tuple[object, ...], tuple[Candidate, ...]] = field(default_factory=dict)
    helps: dict[tuple[object, ...], WouldHelp | None] = field(default_factory=dict)

    def assignment(self, request: int) -> Assignment:
        problem, provider = self.after.problem, int(self.after.provider_of[request])
        pool = int(problem.providers.pool_of[provider]) if provider >= 0 else -1
        return Assignment(
            request_id=problem.request_ids[request],
            pool=problem.pool_ids[pool] if pool >= 0 else None,
            host=problem.providers.ids[provider] if pool >= 0 and problem.providers.are_hosts else None,
            candidates=self._candidates(request, provider, pool),
            choices=_choices(self.after, request) if self.after.choices else {},
            would_help=self._would_help(request) if pool < 0 else None,
        )

    def _would_help(self, request: int) -> WouldHelp | None:
        key = int(self.classes.of[request]), self._words(request)
        if key not in self.helps:
            self.helps[key] = would_help(against(self.after, request))
        return self.helps[key]

    def _words(self, request: int) -> tuple[object, ...]:
        """In which policies refuse a request: what else they are told by is the same for its class."""
        rejections, pools = self.after.problem.rejections, range(len(self.after.problem.pool_ids))
        return tuple(rejections.get((request, p), ()) for p in pools)

    def _candidates(self, request: int, provider: int, pool: int) -> tuple[Candidate, ...]:
        """Requests of one class that policies refuse in the same words share their candidates."""
        # Without constraints that look beyond a pool, which of its hosts a request is on changes nothing elsewhere.
        seat = provider if self.after.problem.constraints else pool
        key = int(self.classes.of[request]), seat, self._words(request)
        if key not in self.known:
            self.known[key] = _candidates(against(self.after, request), pool)
        return self.known[key]


def _candidates(all_: Against, chosen: int) -> tuple[Candidate, ...]:
    problem, providers = all_.after.problem, all_.after.problem.providers
    pools = len(problem.pool_ids)
    inside = providers.by_pool.sizes(pools)
    refused = [
        (name_of(one), np.bincount(providers.pool_of[blocked], minlength=pools).tolist())
        for one, blocked in all_.blocking
    ]
    prices = problem.cost_micros[all_.request].tolist()
    nearest = _nearest(all_)
    reasons = _reasons(all_, nearest, chosen)
    free = ((nearest >= 0) & (all_.count[nearest] == 0)).tolist()
    found = []
    for p in range(pools):
        possible = p == chosen or free[p]
        found.append(
            Candidate(
                pool=problem.pool_ids[p],
                tier=problem.tier_of[p],
                cost_micros=prices[p],
                rejections=reasons[p],
                hosts=inside[p] if providers.are_hosts else 0,
                refused_hosts={} if possible or not providers.are_hosts else _counts(refused, p),
            )
        )
    return tuple(sorted(found, key=_order))


def _counts(refused: list[tuple[str, list[int]]], pool: int) -> dict[str, int]:
    """How many hosts of a pool each kind of constraint refuses; of several of a kind, the one that refuses the most."""
    most: dict[str, int] = {}
    for name, hosts in refused:
        if hosts[pool]:
            most[name] = max(hosts[pool], most.get(name, 0))
    return most


def _nearest(all_: Against) -> Int64:
    """[P] of each pool the host that the fewest constraints refuse, and of these the one with the most room; -1: it has none."""
    problem = all_.after.problem
    by_pool = problem.providers.by_pool
    count = all_.count[by_pool.order]
    fewest = count == by_pool.least(count)
    room = np.where(fewest, all_.after.least_left(all_.request)[by_pool.order], _NO_ROOM)
    best = np.flatnonzero(fewest & (room == by_pool.most(room)))
    nearest = np.full(len(problem.pool_ids), -1, dtype=np.int64)
    nearest[by_pool.pools] = by_pool.order[best[np.searchsorted(best, by_pool.start)]]
    return nearest


def _reasons(all_: Against, nearest: Int64, chosen: int) -> list[tuple[Rejection, ...]]:
    """[P] what stands against each pool's nearest host; nothing against the chosen pool."""
    found: list[tuple[Rejection, ...]] = [
        () if v >= 0 else (_empty(all_.after, p),) for p, v in enumerate(nearest.tolist())
    ]
    asked = np.flatnonzero(nearest >= 0)
    asked = asked[asked != chosen]
    for one, blocked in all_.blocking:
        pools = asked[blocked[nearest[asked]]].tolist()
        each = one.why_each(all_.after, all_.request, nearest[pools].tolist())
        for p, reasons in zip(pools, each, strict=True):
            found[p] += reasons
    if chosen >= 0:
        found[chosen] = ()
    return found


def _empty(after: Placed, pool: int) -> Rejection:
    name = after.problem.pool_ids[pool]
    return Rejection(
        rule_id="hosts",
        pool=name,
        dimension="hosts",
        limit="0 hosts",
        need="1 host",
        why=f"{name} has no host",
        remedy=f"add a host to {name}",
    )


def name_of(constraint: Constraint) -> str:
    """What a constraint is called: as its file."""
    return type(constraint).__module__.rpartition(".")[2]


def _choices(after: Placed, request: int) -> dict[str, str]:
    return {
        name_of(one): one.choice_name(after.problem, int(chosen[request]))
        for one in constraints.of(after.problem)
        if (chosen := after.choices.get(name_of(one))) is not None and chosen[request] >= 0
    }


def _order(candidate: Candidate) -> tuple[bool, object]:
    refused = bool(candidate.rejections)
    return refused, candidate.tier if refused else candidate.cost_micros
